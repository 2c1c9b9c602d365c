"""Starting what is missing: checks first, then data that all tasks share, then the launcher."""

import re
import shutil
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from tracekd.comparison.experiments import find_cache
from tracekd.errors import TracekdError
from tracekd.grid.cells import GridCell
from tracekd.grid.folder import GridFolder
from tracekd.grid.launchers import make_launcher
from tracekd.grid.planning import GridPlan
from tracekd.grid.repository import dvc, git, require_clean
from tracekd.grid.settings import GridSettings
from tracekd.grid.work import make_checkout, task_environment
from tracekd.progress import digest

#: The stages that experiments on the same data share.
_SHARED = "teach"


def submit(found: GridPlan) -> str:
    """Start the missing cells of a plan; return what was done, for the reader.

    Raises:
        TracekdError: before anything is started, if the tasks could not run or publish.
    """
    if found.note:
        raise TracekdError(found.note)
    missing = found.missing
    if not missing:
        return "nothing to submit: every cell is there or on its way"
    root, settings = found.root, found.settings
    require_clean(root)
    if git(root, "rev-parse", "--is-shallow-repository").strip() == "true":
        raise TracekdError("a shallow clone, in which DVC loses results; git fetch --unshallow")
    make_launcher(settings).check(list({cell.resources: None for cell in missing}))
    remotes = remote_addresses(root, settings)
    commit = git(root, "rev-parse", "HEAD").strip()
    grid = GridFolder.create(root, commit, settings, found.cells)
    names = {cell.name for cell in missing}
    tasks = [task for task in grid.tasks if task.name in names]
    configure(grid, remotes)
    prepare_data(grid, missing)
    jobs = ", ".join(grid.launch(tasks))
    return f"{len(tasks)} experiments submitted ({jobs}); folder {grid.path}"


def remote_addresses(root: Path, settings: GridSettings) -> dict[str, str]:
    """Return the address of every DVC remote, absolute if it is a folder.

    Raises:
        TracekdError: if there is none that results could be pushed to.
    """
    lines = dvc(root, "config", "--list").splitlines()
    options = dict(line.split("=", 1) for line in lines if "=" in line)
    found = ((re.fullmatch(r"remote\.(.+)\.url", key), url) for key, url in options.items())
    remotes = {match[1]: url for match, url in found if match}
    wanted = settings.dvc_remote or options.get("core.remote")
    if wanted not in remotes:
        which = f"DVC remote {wanted!r}" if wanted else "default DVC remote"
        raise TracekdError(
            f"there is no {which} to push results to; dvc remote add --default NAME ADDRESS (a "
            "folder, s3://..., ssh://...), and commit .dvc/config"
        )
    return remotes


def configure(grid: GridFolder, remotes: Mapping[str, str]) -> None:
    """Write the local configuration of the tasks' checkouts: the user's own, with its cache."""
    with tempfile.TemporaryDirectory(prefix="tracekd-") as name:
        folder = Path(name)
        git(folder, "clone", "--quiet", "--no-checkout", str(grid.root), "config")
        clone = folder / "config"
        git(clone, "checkout", "--quiet", grid.commit, "--", ".dvc")
        local = grid.root / ".dvc/config.local"
        if local.is_file():
            shutil.copyfile(local, clone / ".dvc/config.local")
        dvc(clone, "cache", "dir", "--local", str(find_cache(grid.root)))
        for remote, address in remotes.items():
            if "://" not in address:
                dvc(clone, "remote", "modify", "--local", remote, "url", address)
        shutil.copyfile(clone / ".dvc/config.local", grid.path / "config.local")
        (grid.path / "config.local").chmod(0o600)  # it may hold keys


def prepare_data(grid: GridFolder, cells: Iterable[GridCell]) -> None:
    """Run the stages up to `teach` once for all cells whose settings agree there."""
    kinds: dict[str, Mapping[str, Any]] = {}
    for cell in cells:
        params = cell.params.model_dump(
            mode="json", include={"dataset", "data_seed", "prepare", "decompose", "teacher"}
        )
        kinds.setdefault(digest(params), cell.values)
    for number, values in enumerate(kinds.values(), 1):
        print(f"data {number} of {len(kinds)}: prepare, decompose, teach", flush=True)
        with tempfile.TemporaryDirectory(prefix="tracekd-") as name:
            scratch = Path(name)
            clone = scratch / "data" / "checkout"
            make_checkout(grid, clone, values)
            dvc(clone, "repro", _SHARED, environment=task_environment(grid, scratch))
