"""The files of experiments, read from DVC's cache without a checkout."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from polars import DataFrame

from tracekd import records
from tracekd.comparison.experiments import Experiment
from tracekd.errors import TracekdError
from tracekd.files import read_json
from tracekd.records import Schema
from tracekd.repository import cached, file_md5, find_cache


@dataclass(frozen=True)
class Store:
    """Where the files of experiments are: the folder of a DVC project, and that of its cache."""

    root: Path
    cache: Path

    def find(self, one: Experiment, path: str) -> Path | None:
        """Return where a file of an experiment is (a folder: its list); None if nowhere here.

        A file in the workspace need not be in the cache (`dvc repro --no-commit`).
        """
        md5, here = one.run.files.get(path, ""), self.root / path
        if (kept := cached(self.cache, md5)).is_file():
            return kept
        return here if here.is_file() and file_md5(here) == md5 else None

    def file(self, one: Experiment, path: str) -> Path:
        """Return where a file of an experiment is; raises with the command that fetches it."""
        if (found := self.find(one, path)) is None:
            raise _absent(one, path)
        return found

    def folder(self, one: Experiment, path: str) -> dict[str, Path]:
        """Return where the files of a folder are, by their names in it; see `file`."""
        listed = read_json(self.file(one, path))
        files = {entry["relpath"]: cached(self.cache, entry["md5"]) for entry in listed}
        if not all(file.is_file() for file in files.values()):
            raise _absent(one, path)
        return files

    def table(self, one: Experiment, path: str, schema: Schema, extra: bool = False) -> DataFrame:
        """Return a table of an experiment; see `file` and `records.read`."""
        return records.read(self.file(one, path), schema, extra=extra)

    def json(self, one: Experiment, path: str) -> dict[str, Any]:
        """Return the content of a file, or nothing if it is not on this machine."""
        content: dict[str, Any] = read_json(found) if (found := self.find(one, path)) else {}
        return content


def find_store(root: Path) -> Store:
    """Return where the files of a project's experiments are; see `find_cache`."""
    return Store(root, find_cache(root))


def _absent(one: Experiment, path: str) -> TracekdError:
    if path not in one.run.files:
        return TracekdError(f"experiment {one.name}: its dvc.lock has no {path}")
    pull = f"`dvc exp pull REMOTE {one.name}`, REMOTE being the git remote that has it"
    if one.name == "workspace":
        pull = "`dvc pull`"
    elif one.name.startswith("commit "):
        pull = "`dvc fetch --all-commits`"
    return TracekdError(
        f"experiment {one.name}: {path} is not in DVC's cache on this machine; fetch it with {pull}"
    )
