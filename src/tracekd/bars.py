"""Progress bars that read well on a terminal and in a log file, and a word about long runs."""

import sys
import time
from typing import Any

#: A log file gets a new line's worth of bar this often; a terminal is redrawn in place.
_SECONDS_BETWEEN_LOG_LINES = 15.0
_LONG_SECONDS = 3600.0
#: Steps left out of the estimate: they warm caches up.
_WARM_UP_STEPS = 2
_STEPS_BEFORE_ESTIMATE = 6


def progress_bar(total: int, title: str, unit: str, done: int = 0) -> Any:
    """Return a tqdm bar on stderr with elapsed and remaining time; an earlier run did `done`."""
    from tqdm import tqdm  # type: ignore[import-untyped]

    terminal = sys.stderr.isatty()
    return tqdm(
        total=total,
        initial=done,
        desc=title,
        unit=unit,
        ncols=None if terminal else 79,
        dynamic_ncols=terminal,
        mininterval=0.2 if terminal else _SECONDS_BETWEEN_LOG_LINES,
        maxinterval=1.0 if terminal else _SECONDS_BETWEEN_LOG_LINES,
        smoothing=0.05,
    )


class LongRunWarning:
    """Says once, after the first steps, that a run will take hours."""

    def __init__(self, title: str, total: int, machine: str) -> None:
        """Expect `total` steps of the run that messages call `title`."""
        self._title, self._total, self._machine = title, total, machine
        self._done, self._started = 0, time.perf_counter()

    def step(self) -> str | None:
        """Count a step; return the warning when it is due, else None."""
        self._done += 1
        if self._done == _WARM_UP_STEPS:
            self._started = time.perf_counter()
        if self._done != _STEPS_BEFORE_ESTIMATE:
            return None
        pace = (time.perf_counter() - self._started) / (self._done - _WARM_UP_STEPS)
        return long_run_message(self._title, pace * (self._total - self._done), self._machine)


def long_run_message(title: str, seconds: float, machine: str) -> str | None:
    """Return a sentence for the user if `seconds` are more than an hour, else None."""
    if seconds <= _LONG_SECONDS:
        return None
    return (
        f"{title} will take about {seconds / 3600:.1f} hours on this machine ({machine}); "
        "fewer questions (params.yaml: prepare), a smaller model or a GPU make it shorter"
    )
