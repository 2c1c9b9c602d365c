"""Where raw data comes from, pinned: a folder by its content hash, the hub by its commit."""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, cast

import polars as pl

from tracekd import pools
from tracekd.config import DatasetSpec, HubDataset, load_dataset, project_root, write_entry
from tracekd.datasets import FileReader, HubReader, Loaded, Wanted, rawfiles, reader
from tracekd.datasets.questions import Questions
from tracekd.errors import TracekdError
from tracekd.fetch import fetch_repository, hub_page
from tracekd.files import combined_hash, sha256_file

#: Rows of a hub data set that become Python objects at a time.
_BATCH = 1000
#: Bytes of raw files that a reader may read in other processes.
_LARGE = 100_000_000


def load(name: str, spec: DatasetSpec, wanted: Wanted) -> Loaded:
    """Read a data set from its folder, from the hub, or by its simulator.

    Args:
        name: key of datasets.yaml.
        spec: its entry. A `path` wins over `hub`.
        wanted: how many questions a simulator makes.

    Raises:
        TracekdError: if the raw data is not there or is not what the entry pins.
    """
    module = reader(spec.reader, f"datasets.yaml: {name}: reader")
    if spec.path is not None:
        return _load_folder(name, spec, _file_reader(name, spec, module), wanted)
    if spec.hub is not None:
        if not hasattr(module, "read_hub"):
            raise TracekdError(f"datasets.yaml: {name}: reader {spec.reader} reads no hub data set")
        return _checked(spec.reader, cast(HubReader, module).read_hub(spec.hub, spec.options))
    if hasattr(module, "raw_files"):
        raise TracekdError(
            f"datasets.yaml: {name}: no source; put the raw files into a folder and run "
            f"`python stages/prepare.py --pin {name} --path FOLDER`"
        )
    return _checked(spec.reader, module.read(None, spec.options, wanted))


def pin(name: str, settings: Path, path: str | None = None) -> str:
    """Write the content hash of a data set's folder into datasets.yaml, and return it.

    Args:
        name: key of datasets.yaml.
        settings: that file; comments and order are kept.
        path: the folder; None takes the one that the entry has.

    Raises:
        TracekdError: if there is no such entry or folder, or the entry reads no files.
    """
    spec = load_dataset(settings, name, named_by="--pin")
    chosen = path if path is not None else spec.path
    if chosen is None:
        raise TracekdError(
            f"{settings}: {name}: path is null, so there is no folder to pin; give one with --path"
        )
    module = _file_reader(name, spec, reader(spec.reader, f"{settings}: {name}: reader"))
    folder = _folder(name, chosen)
    sha256 = combined_hash(fingerprint(folder, module.raw_files(folder, spec.options)))
    write_entry(settings, name, {"path": chosen, "sha256": sha256})
    return sha256


def fingerprint(folder: Path, files: Iterable[Path]) -> dict[str, str]:
    """Return the SHA-256 of each file by its name relative to `folder`."""
    paths = list(files)
    names = [path.relative_to(folder).as_posix() for path in paths]
    return dict(zip(names, pools.in_threads(sha256_file, paths), strict=True))


def hub_files(hub: HubDataset, patterns: dict[str, str]) -> dict[str, list[Path]]:
    """Return files of a hub data set at its pinned revision, fetched once and verified.

    Args:
        hub: repository and commit.
        patterns: for each name of the result, files within the repository. No script of the
            repository is run.

    Raises:
        TracekdError: if the hub, the repository, the revision or a file cannot be reached.
    """
    folder = fetch_repository("dataset", hub, "datasets.yaml", list(patterns.values()))
    found = {name: rawfiles.files(folder, pattern) for name, pattern in patterns.items()}
    for name, files in found.items():
        if not files:
            raise TracekdError(
                f"{hub.repo} at revision {hub.revision[:12]}: holds no file {patterns[name]}; "
                f"choose another revision from {hub_page('dataset', hub)}/commits/main, or set path in "
                "datasets.yaml to a folder with the raw files"
            )
    return found


def parquet_rows(hub: HubDataset, patterns: dict[str, str]) -> dict[str, Iterator[dict[str, Any]]]:
    """Return the rows of parquet files of a hub data set, through `datasets`; see `hub_files`."""
    import datasets

    found = hub_files(hub, patterns)
    files = {name: list(map(str, paths)) for name, paths in found.items()}
    try:
        loaded = datasets.load_dataset("parquet", data_files=files)
    except Exception as error:  # pyarrow's errors and those of `datasets`
        if isinstance(error, OSError) and error.errno is not None:
            raise
        cause = " ".join(str(error.__cause__ or error).split())[:300]
        raise TracekdError(
            f"{hub.repo} at revision {hub.revision[:12]}: its files {', '.join(patterns.values())} "
            f"are not parquet of one schema ({cause}); choose another revision"
        ) from error
    return {name: _rows(loaded[name]) for name in patterns}


def _rows(dataset: Any) -> Iterator[dict[str, Any]]:
    for batch in dataset.with_format("arrow").iter(batch_size=_BATCH):
        yield from batch.to_pylist()


def _folder(name: str, path: str) -> Path:
    folder = project_root() / Path(path).expanduser()
    if not folder.is_dir():
        raise TracekdError(
            f"datasets.yaml: {name}: path: no such folder: {folder} (from {path!r}); a relative "
            f"path starts at the project root {project_root()}"
        )
    return folder


def _file_reader(name: str, spec: DatasetSpec, module: Any) -> FileReader:
    if not hasattr(module, "raw_files"):
        raise TracekdError(
            f"datasets.yaml: {name}: reader {spec.reader} has no function raw_files: it makes "
            "its data itself and reads no folder; set path to null (a reader of files needs one, "
            "see FileReader in src/tracekd/datasets/__init__.py)"
        )
    return cast(FileReader, module)


def _load_folder(name: str, spec: DatasetSpec, module: FileReader, wanted: Wanted) -> Loaded:
    """Read a pinned folder while its content hash is taken, which decides about the result."""
    folder = _folder(name, str(spec.path))
    if spec.sha256 is None:
        raise TracekdError(
            f"datasets.yaml: {name}: path is set but sha256 is null, so its content is not pinned; "
            f"run {_pin(name)}"
        )
    files = module.raw_files(folder, spec.options)
    if sum(path.stat().st_size for path in files) >= _LARGE:
        pools.start(module.read)
    with pools.beside(partial(fingerprint, folder, files)) as raw:
        try:
            loaded = _checked(spec.reader, module.read(folder, spec.options, wanted))
        except TracekdError:
            # Of two faults, that the files are not the ones pinned explains the other.
            _require_pinned(name, spec, folder, raw())
            raise
    _require_pinned(name, spec, folder, raw())
    return replace(loaded, raw=raw())


def _checked(reader: str, loaded: Any) -> Loaded:
    """Return what a reader gave, if it is what all readers give."""
    if not isinstance(loaded, Loaded):
        raise TracekdError(f"reader {reader}: returned {type(loaded).__name__}, expected Loaded")
    if set(loaded.splits) != {"train", "test"}:
        raise TracekdError(
            f"reader {reader}: returned the splits {sorted(loaded.splits)}, expected train and "
            "test; validation is cut from train, and where upstream has no test split the reader "
            "cuts one (as cotemp.py does)"
        )
    for name, questions in loaded.splits.items():
        if not isinstance(questions, (pl.DataFrame, Questions)):
            raise TracekdError(
                f"reader {reader}: split {name} is a {type(questions).__name__}; make a table of "
                "its rows by tracekd.datasets.table"
            )
    return loaded


def _require_pinned(name: str, spec: DatasetSpec, folder: Path, raw: dict[str, str]) -> None:
    found = combined_hash(raw)
    if found != spec.sha256:
        raise TracekdError(
            f"{folder}: the raw files are not those that datasets.yaml pins for {name}: pinned "
            f"sha256 {spec.sha256}, found {found} over {len(raw)} files; restore them, or if the "
            f"change is intended, run {_pin(name)}"
        )


def _pin(name: str) -> str:
    return f"`python stages/prepare.py --pin {name}`"
