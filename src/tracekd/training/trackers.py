"""Where a run's numbers go as they are made: DVCLive's files, and the trackers that a user names.

All are accelerate's own. Nothing is sent anywhere unless `train.report_to` names its tracker.
"""

import os
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tracekd.config import project_root
from tracekd.errors import TracekdError, nearest

#: It writes the files that DVC plots.
_ALWAYS = "dvclive"
_LIVE = {"dvcyaml": None, "report": None, "save_dvc_exp": False, "monitor_system": False}
_PROJECT = "tracekd"
#: In the user's checkout, for trackers that write files: `tensorboard --logdir runs`.
_FILES = "runs"
#: Trackers that name a run, and what they call the argument.
_NAMED = {"wandb": "name", "mlflow": "run_name", "trackio": "name"}


def require_trackers(names: Sequence[str]) -> None:
    """Raise unless accelerate knows each tracker and its package is installed."""
    from accelerate.tracking import get_available_trackers

    available = {str(tracker) for tracker in get_available_trackers()} - {_ALWAYS}
    for name in names:
        if name not in available:
            raise TracekdError(
                f"params.yaml: train.report_to: {name} is no tracker of accelerate, or its package "
                f"is not installed; {nearest(name, available)}"
            )


def tracker_options(names: Sequence[str]) -> dict[str, Any]:
    """Return what `accelerate.Accelerator` needs to know of the trackers."""
    run = os.environ.get("DVC_EXP_NAME") or f"{datetime.now(UTC):%Y-%m-%d-%H-%M-%S}"
    folder = project_root() / _FILES / run
    return {"log_with": [_ALWAYS, *names], "project_dir": str(folder) if names else None}


def start_trackers(
    accelerator: Any, names: Sequence[str], settings: Mapping[str, Any], log: Path, *, resumed: bool
) -> None:
    """Start DVCLive in the folder `log`, and the trackers, which also get the settings."""
    run = Path(accelerator.project_dir or "").name
    options: dict[str, dict[str, Any]] = {
        name: {_NAMED[name]: run} for name in names if name in _NAMED
    }
    options[_ALWAYS] = {"dir": str(log), "resume": resumed, **_LIVE}
    accelerator.init_trackers(_PROJECT, init_kwargs=options)
    plain = (str, int, float, bool)
    given = {
        key: value if isinstance(value, plain) else str(value) for key, value in settings.items()
    }
    for name in names:
        accelerator.get_tracker(name).store_init_configuration(given)
