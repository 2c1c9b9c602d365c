"""Files that are either complete or absent, and the hashes that pin them."""

import errno
import hashlib
import json
import os
import shutil
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tracekd.errors import TracekdError

_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


@contextmanager
def atomic_file(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`; rename it to `path` only if the block succeeds.

    The file is flushed to disk before the rename, so that a reader never sees half of it.
    """
    if path.is_dir():
        raise TracekdError(f"{path}: is a folder; name a file")
    with _temporary(path) as temporary:
        yield temporary
        with temporary.open("rb") as written:
            os.fsync(written.fileno())
        temporary.replace(path)


@contextmanager
def atomic_directory(path: Path) -> Iterator[Path]:
    """Yield a temporary folder beside `path`; it replaces `path` only if the block succeeds."""
    with _temporary(path) as temporary:
        temporary.mkdir()
        yield temporary
        # Deleted under another name: a kill in between leaves nothing half-deleted at `path`.
        old = temporary.with_name(f"{temporary.name}.old.tmp")
        if path.exists():
            path.replace(old)
        temporary.replace(path)
        shutil.rmtree(old, ignore_errors=True)


@contextmanager
def _temporary(path: Path) -> Iterator[Path]:
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        yield temporary
    except OSError as error:
        if error.errno in _NO_ROOM and error.filename is None:
            error.filename = str(path)  # the system does not say what it could not write
        raise
    finally:
        if temporary.is_dir():
            shutil.rmtree(temporary, ignore_errors=True)
        else:
            temporary.unlink(missing_ok=True)


def write_json(path: Path, content: Any) -> None:
    """Write `content` as indented JSON with a final newline; NaN and Infinity are refused."""
    with atomic_file(path) as temporary:
        text = json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False)
        temporary.write_text(text + "\n", encoding="utf-8")


def read_json(path: Path) -> Any:
    """Return the content of a JSON file.

    Raises:
        TracekdError: if it is not JSON.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise TracekdError(f"{path}: not JSON ({error}); restore it, or write it again") from error


def expanded(path: str) -> Path:
    """Return a path in which ~ stands for a home folder.

    Raises:
        TracekdError: if there is no such user.
    """
    try:
        return Path(path).expanduser()
    except RuntimeError as error:
        raise TracekdError(f"{path}: {error}") from error


def sha256_file(path: Path) -> str:
    """Return the hexadecimal SHA-256 of a file's bytes."""
    with path.open("rb") as source:
        return hashlib.file_digest(source, "sha256").hexdigest()


def hash_files(folder: Path, files: Iterable[Path]) -> dict[str, str]:
    """Return the SHA-256 of each file, by its name relative to `folder`."""
    return {path.relative_to(folder).as_posix(): sha256_file(path) for path in files}


def combined_hash(hashes: Mapping[str, str]) -> str:
    """Return one SHA-256 for a set of files, given each name and its own SHA-256."""
    lines = (f"{value}  {name}\n" for name, value in sorted(hashes.items()))
    # A name need not be UTF-8; its bytes count.
    return hashlib.sha256("".join(lines).encode(errors="surrogateescape")).hexdigest()


def require_pinned(path: Path, found: str, pinned: str | None, entry: str, command: str) -> None:
    """Raise unless `found`, the content hash of `path`, is what an entry has `pinned`.

    `command` is what pins it, and `entry` is, for example, "datasets.yaml: babi".
    """
    if pinned is None:
        raise TracekdError(
            f"{entry}: path is set but sha256 is null, so nothing is pinned; run `{command}`"
        )
    if found != pinned:
        raise TracekdError(
            f"{path}: the content is not what {entry} pins: pinned sha256 {pinned}, found {found}; "
            f"restore the files, or if the change is intended, run `{command}`"
        )
