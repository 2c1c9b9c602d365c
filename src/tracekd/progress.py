"""Partial results of long stages, kept where a rerun of the same job finds them.

DVC deletes a stage's outs before it runs the stage again, so partial results are kept
elsewhere, in `.checkpoints/STAGE-KEY` of the user's own checkout. KEY is a hash of everything that
determines the result: a job with another seed, model, data or code never resumes this one. The
folder is deleted on success, unless another process waits to resume from it.
"""

import hashlib
import json
import shutil
import signal
import sys
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from tempfile import NamedTemporaryFile
from types import FrameType
from typing import Any

from tracekd.config import project_root
from tracekd.files import combined_hash, hash_files


class Stopped(SystemExit):
    """The process was asked to stop (SIGTERM, Ctrl-C) and has kept its partial results."""


@contextmanager
def progress_folder(stage: str, key: Mapping[str, Any], owner: bool = True) -> Iterator[Path]:
    """Yield the folder for partial results of one job; delete it if the block succeeds.

    `key` is everything that the result depends on, JSON-serializable. Without `owner` the folder is
    another process's of the same job, which locks and deletes it.

    While another job with this key runs, this one waits. Then it resumes from what that one last
    saved, be that one finished or killed, so that little is computed twice.
    """
    from filelock import FileLock, Timeout

    folder = project_root() / ".checkpoints" / f"{stage}-{digest(key)}"
    if not owner:
        yield folder
        return
    folder.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder.with_suffix(".lock"))
    try:
        lock.acquire(timeout=0)
    except Timeout:
        print(f"{stage}: waiting for another process that runs the same job", file=sys.stderr)
        with NamedTemporaryFile(dir=folder.parent, prefix=f"{folder.name}.waiting-"):
            lock.acquire(poll_interval=1.0)
    try:
        folder.mkdir(exist_ok=True)  # whoever held the lock may have deleted it
        yield folder
        if any(folder.parent.glob(f"{folder.name}.waiting-*")):
            return
        # Deleted under another name: a kill in between leaves nothing half-deleted to resume.
        done = folder.with_suffix(".done")
        shutil.rmtree(done, ignore_errors=True)
        folder.replace(done)
        shutil.rmtree(done)
        Path(lock.lock_file).unlink(missing_ok=True)
    finally:
        lock.release()


def digest(content: Any) -> str:
    """Return a SHA-256 of a JSON-serializable value."""
    text = json.dumps(content, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()


def code_hash() -> str:
    """Return one SHA-256 of all Python files of this package."""
    package = Path(__file__).parent
    return combined_hash(hash_files(package, package.rglob("*.py")))


def versions(packages: Iterable[str]) -> dict[str, str]:
    """Return the versions of those packages that are installed."""
    found = {}
    for package in packages:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def progress_bar(total: int, title: str, unit: str, done: int = 0) -> Any:
    """Return a tqdm bar on stderr, `done` steps in; in a log file it is printed every 15 s."""
    from tqdm import tqdm  # type: ignore[import-untyped]

    terminal = sys.stderr.isatty()
    return tqdm(
        total=total,
        initial=done,
        desc=title,
        unit=unit,
        ncols=79,
        mininterval=0.2 if terminal else 15.0,
        maxinterval=1.0 if terminal else 15.0,
        smoothing=0.05,
    )


class StopRequest:
    """Records SIGTERM and Ctrl-C in a `with` block; another Ctrl-C stops the process at once.

    Another SIGTERM is the same request: schedulers send it to all processes of a job, of which one
    may pass it on. Only the main thread can be asked; elsewhere nothing is recorded.

    Attributes:
        signal: the first that arrived, or None.
    """

    def __enter__(self) -> "StopRequest":
        """Take over the two signals until the block ends."""
        self.signal: signal.Signals | None = None
        main = threading.current_thread() is threading.main_thread()
        numbers = (signal.SIGTERM, signal.SIGINT) if main else ()
        self._before = {number: signal.signal(number, self._record) for number in numbers}
        return self

    def __exit__(self, *_: object) -> None:
        """Give the signals back."""
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def check(self, kept: str) -> None:
        """End the process if it was asked to stop, printing what is `kept`."""
        if self.signal is not None:
            print(f"\n{self.signal.name}: {kept} kept; run again to resume", file=sys.stderr)
            raise Stopped(128 + self.signal)

    def _record(self, number: int, _frame: FrameType | None) -> None:
        if self.signal is None:
            self.signal = signal.Signals(number)
        elif number == signal.SIGINT:
            raise Stopped(128 + number)
