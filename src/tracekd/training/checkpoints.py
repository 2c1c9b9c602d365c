"""What a killed or stopped training run leaves, and how the next one resumes from it.

    step-120/state.safetensors   the adapter's weights and the optimizer's tensors
             state.json          everything else
             log/                the live log so far

No pickle: a checkpoint holds numbers and text only, so that reading one runs no code.
"""

import os
import shutil
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file

from tracekd.errors import TracekdError
from tracekd.files import atomic_directory, read_json, write_json
from tracekd.training.processes import Ranks
from tracekd.training.shards import gathered, scattered

_TENSORS, _STATE, _LOG = "state.safetensors", "state.json", "log"


def checkpoint_seconds() -> float:
    """Return the time between checkpoints: TRACEKD_CHECKPOINT_SECONDS or a minute."""
    chosen = os.environ.get("TRACEKD_CHECKPOINT_SECONDS", "60")
    try:
        return float(chosen)
    except ValueError as error:
        raise TracekdError(
            f"TRACEKD_CHECKPOINT_SECONDS: must be a number of seconds, found {chosen!r}"
        ) from error


def save(
    progress: Path,
    step: int,
    model: torch.nn.Module,
    optimizer: torch.optim.Optimizer,
    state: dict[str, Any],
    log: Path,
) -> None:
    """Write the checkpoint of a step into `progress`, then delete older ones.

    Saved are the trained weights, the optimizer over them, the live log, and `state`, which is
    JSON-serializable. Every process must call this; one writes what one alone would have, so that
    any number of processes can resume, and all wait until the checkpoint is complete.
    """
    ranks, current = Ranks.current(), optimizer.state_dict()
    parts: dict[str, torch.Tensor] = {f"weight.{name}": weight for name, weight in _trained(model)}
    for index, entries in current["state"].items():
        parts |= {f"optimizer.{index}.{key}": tensor for key, tensor in entries.items()}
    tensors = {}
    for name, part in parts.items():
        whole = gathered(part)
        if ranks.rank == 0:
            tensors[name] = whole.cpu()
    if ranks.rank == 0:
        with atomic_directory(progress / f"step-{step}") as folder:
            save_file(tensors, folder / _TENSORS)
            shutil.copytree(log, folder / _LOG)
            write_json(folder / _STATE, {"groups": current["param_groups"], **state})
        for older in progress.glob("step-*"):
            if older.name != f"step-{step}":
                shutil.rmtree(older)
    ranks.wait()


def restore(
    progress: Path, model: torch.nn.Module, optimizer: torch.optim.Optimizer, log: Path
) -> dict[str, Any] | None:
    """Load the latest checkpoint into model, optimizer and log; return what else was saved.

    Returns None, and changes nothing, if there is none.
    """
    ranks = Ranks.current()
    ranks.wait()  # for the process that has locked the folder
    found = progress.glob("step-*")
    folder = max(found, key=lambda path: int(path.name.removeprefix("step-")), default=None)
    if folder is None:
        return None
    tensors, state = load_file(folder / _TENSORS), read_json(folder / _STATE)
    with torch.no_grad():
        for name, weight in _trained(model):
            weight.copy_(scattered(tensors.pop(f"weight.{name}"), weight))
    weights = [weight for group in optimizer.param_groups for weight in group["params"]]
    entries: dict[int, dict[str, torch.Tensor]] = {}
    for name, tensor in tensors.items():
        _, index, key = name.split(".")
        entries.setdefault(int(index), {})[key] = scattered(tensor, weights[int(index)])
    optimizer.load_state_dict({"state": entries, "param_groups": state.pop("groups")})
    if ranks.rank == 0:
        shutil.rmtree(log, ignore_errors=True)
        shutil.copytree(folder / _LOG, log)
    return dict(state)


def _trained(model: torch.nn.Module) -> list[tuple[str, torch.nn.Parameter]]:
    return [(name, weight) for name, weight in model.named_parameters() if weight.requires_grad]
