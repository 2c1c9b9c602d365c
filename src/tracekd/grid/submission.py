"""Starting what is missing: checks first, then data that all tasks share, then the launcher."""

import re
import shutil
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from tracekd.errors import TracekdError
from tracekd.grid.baseline import experiment_refs
from tracekd.grid.cells import GridCell, read_cells
from tracekd.grid.folder import GridFolder
from tracekd.grid.launchers import check_launcher
from tracekd.grid.planning import TO_RUN, plan
from tracekd.grid.settings import GridSettings, load_grid
from tracekd.grid.work import make_checkout, stage_environment
from tracekd.progress import digest
from tracekd.repository import dvc, find_cache, git


def submit(file: Path) -> str:
    """Start the missing cells of grid.yaml; return what was done, for the reader.

    Raises:
        TracekdError: before anything is started, if the tasks could not run or publish.
    """
    root, settings = Path.cwd(), load_grid(file)
    cells = read_cells(root, settings, str(file))
    try:
        there = experiment_refs(root) | experiment_refs(root, settings.git_remote)
    except TracekdError as error:
        known = "(grid.yaml: git_remote; `git remote -v` lists some)"
        raise TracekdError(f"{error} {known}") from error
    missing = [cell for cell, state in plan(root, cells, there) if state == TO_RUN]
    if not missing:
        return "nothing to submit: every cell is there or on its way"
    _check_checkout(root)
    check_launcher(settings, (cell.resources for cell in missing))
    addresses = _remote_addresses(root, settings)
    grid = GridFolder.create(root, git(root, "rev-parse", "HEAD").strip(), settings, cells)
    _configure(grid, addresses)
    _prepare_data(grid, missing)
    names = {cell.name for cell in missing}
    return grid.launch([task for task in grid.tasks if task.name in names])


def _check_checkout(root: Path) -> None:
    """Raise unless tasks, which run the commit, run what is here."""
    if changed := git(root, "status", "--porcelain", "--untracked-files=no").splitlines():
        some = ", ".join(line[3:] for line in changed[:3])
        raise TracekdError(
            f"{len(changed)} files differ from the commit that tasks would run ({some}); commit "
            "them (git commit -a), or restore them (git checkout .)"
        )
    if git(root, "rev-parse", "--is-shallow-repository").strip() == "true":
        raise TracekdError("a shallow clone, in which DVC loses results: git fetch --unshallow")


def _remote_addresses(root: Path, settings: GridSettings) -> dict[str, str]:
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


def _configure(grid: GridFolder, remotes: Mapping[str, str]) -> None:
    """Write the local configuration of the tasks' checkouts: the user's own, with its cache."""
    with tempfile.TemporaryDirectory(prefix="tracekd-") as folder:
        git(Path(folder), "clone", "--quiet", "--shared", "--no-checkout", str(grid.root), "config")
        clone = Path(folder, "config")
        git(clone, "checkout", "--quiet", grid.commit, "--", ".dvc")
        local = grid.root / ".dvc/config.local"
        if local.is_file():
            shutil.copyfile(local, clone / ".dvc/config.local")
        dvc(clone, "cache", "dir", "--local", str(find_cache(grid.root)))
        for remote, address in remotes.items():
            if "://" not in address:
                dvc(clone, "remote", "modify", "--local", remote, "url", address)
        (grid.path / "config.local").touch(mode=0o600)  # it may hold keys
        shutil.copyfile(clone / ".dvc/config.local", grid.path / "config.local")


def _prepare_data(grid: GridFolder, cells: Iterable[GridCell]) -> None:
    """Run the stages up to `teach` once for all cells whose settings agree there."""
    shared = {"dataset", "data_seed", "prepare", "decompose", "teacher"}
    kinds: dict[str, Mapping[str, Any]] = {}
    for cell in cells:
        kinds.setdefault(digest(cell.params.model_dump(include=shared)), cell.values)
    for number, values in enumerate(kinds.values(), 1):
        print(f"data {number} of {len(kinds)}: prepare, decompose, teach", flush=True)
        with tempfile.TemporaryDirectory(prefix="tracekd-") as folder:
            clone = Path(folder, "data/checkout")
            make_checkout(grid, clone, values)
            dvc(clone, "repro", "teach", environment=stage_environment(grid, clone))
