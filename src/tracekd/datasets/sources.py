"""Where raw data comes from: a pinned folder or file, pinned downloads, the hub, or a simulator."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from tracekd.config import DatasetSpec, HubDataset, load_dataset, project_root, write_entry
from tracekd.datasets import Loaded, Wanted, rawfiles, reader
from tracekd.errors import TracekdError
from tracekd.fetch import fetch_files, fetch_repository, hub_page
from tracekd.files import combined_hash, expanded, hash_files, require_pinned

#: Function of a reader -> what an entry needs so that it is called.
_SOURCES = {
    "raw_files": "path or files",
    "read_hub": "hub",
    "simulate": "none of path, files and hub",
}


def load(spec: DatasetSpec, wanted: Wanted) -> Loaded:
    """Read a dataset from its `path`, else from its `files`, else from the hub, or simulate it.

    Raises:
        TracekdError: if the raw data is absent or is not what the entry pins.
    """
    entry = f"datasets.yaml: {spec.name}"
    raw: dict[str, str] = {}
    loaded: Loaded
    if spec.path is not None or spec.files is not None:
        module = _reader(spec, "raw_files", entry)
        place = existing(spec.path, entry) if spec.path else fetch_files(spec.files or {}, entry)
        raw = _hashes(module, place, spec)
        if spec.path is not None:
            command = f"python stages/prepare.py --pin {spec.name}"
            require_pinned(place, combined_hash(raw), spec.sha256, entry, command)
        loaded = module.read(place, spec.options)
    elif spec.hub is not None:
        loaded = _reader(spec, "read_hub", entry).read_hub(spec.hub, spec.options)
    elif hasattr(reader(spec.reader), "raw_files"):
        raise TracekdError(
            f"{entry}: has no path, files or hub; put the raw files into a folder and run "
            f"`python stages/prepare.py --pin {spec.name} --path FOLDER`"
        )
    else:
        loaded = _reader(spec, "simulate", entry).simulate(spec.options, wanted)
    return replace(loaded, raw=raw)


def pin(name: str, settings: Path, path: str | None = None) -> str:
    """Write the content hash of a dataset's folder or file into datasets.yaml, and return it.

    `path` replaces the one that the entry has; `settings` is datasets.yaml.

    Raises:
        TracekdError: if there is no such entry or path, or the entry's reader does not read it.
    """
    spec = load_dataset(settings, name, named_by="--pin")
    entry = f"{settings}: {name}"
    chosen = path if path is not None else spec.path
    if chosen is None:
        raise TracekdError(f"{entry}: path is null; name the folder or file with --path")
    module, place = _reader(spec, "raw_files", entry), existing(chosen, entry)
    sha256 = combined_hash(_hashes(module, place, spec))
    module.read(place, spec.options)  # what prepare would refuse is not pinned
    write_entry(settings, name, {"path": chosen, "sha256": sha256})
    return sha256


def hub_folder(hub: HubDataset, patterns: Sequence[str]) -> Path:
    """Return a folder with the files of a hub dataset that match; each pattern matches some.

    Raises:
        TracekdError: if the hub, the repository, the revision or a file cannot be reached.
    """
    entry = "datasets.yaml: hub"
    folder = fetch_repository("dataset", hub, entry, patterns)
    for pattern in patterns:
        if not rawfiles.files(folder, pattern):
            raise TracekdError(
                f"{entry}: {hub.repo}@{hub.revision[:12]} has no file {pattern}; choose another "
                f"revision from {hub_page('dataset', hub)}/commits/main, or set path to a folder "
                "with the raw files"
            )
    return folder


def existing(path: str, entry: str) -> Path:
    """Return an entry's path from the project root; it is an error if nothing is there."""
    place = project_root() / expanded(path)
    if not place.exists():
        raise TracekdError(
            f"{entry}: path: no such folder or file: {place} (from {path!r}); a relative path "
            f"starts at the project root {project_root()}"
        )
    return place


def _reader(spec: DatasetSpec, function: str, entry: str) -> Any:
    """Return the entry's reader; it is an error if it lacks the function for the entry's source."""
    module = reader(spec.reader)
    if not hasattr(module, function):
        wanted = " or ".join(text for name, text in _SOURCES.items() if hasattr(module, name))
        raise TracekdError(
            f"{entry}: the reader {spec.reader} has no function {function}; it needs {wanted}"
        )
    return module


def _hashes(module: Any, place: Path, spec: DatasetSpec) -> dict[str, str]:
    folder = place.parent if place.is_file() else place
    return hash_files(folder, module.raw_files(place, spec.options))
