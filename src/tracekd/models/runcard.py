"""The run card: what a run cost and where it ran. Never part of a result that is compared."""

import platform
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tracekd.files import read_json, write_json
from tracekd.progress import versions

_PACKAGES = (
    *("tracekd", "torch", "transformers", "peft", "tokenizers", "accelerate", "polars"),
    *("vllm", "bitsandbytes"),  # extras
)


class RunCard:
    """The time of a run, from construction to `write`."""

    def __init__(self) -> None:
        """Start the clock."""
        self._started = time.perf_counter()

    def write(self, path: Path, facts: Mapping[str, Any]) -> None:
        """Write the facts, the seconds so far, the platform and the packages' versions."""
        seconds = round(time.perf_counter() - self._started, 2)
        machine = {"python": platform.python_version(), "platform": platform.platform()}
        packages = versions(_PACKAGES)
        write_json(path, {"seconds": seconds, **facts, **machine, "packages": packages})


def join(folder: Path) -> None:
    """Write `run.json`, one card of all stages that left a `run_STAGE.json` in `folder`."""
    cards = {
        path.stem.removeprefix("run_"): read_json(path)
        for path in sorted(folder.glob("run_*.json"))
    }
    write_json(folder / "run.json", cards)
