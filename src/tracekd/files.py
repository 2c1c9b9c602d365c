"""Files that are either whole or absent, and the hashes that pin them."""

import errno
import fcntl
import glob
import hashlib
import json
import os
import shutil
import tempfile
import weakref
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from tracekd.errors import system_error

_CHUNK = 1 << 20
_SUFFIX = ".tmp"
_TAKES_NO_MORE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS)


@contextmanager
def atomic_file(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`; rename it to `path` only if the block succeeds.

    The file is flushed to disk before the rename, so a reader never sees half of it. What a killed
    process left beside `path` goes.

    Raises:
        OSError: with its number and `path` where the system takes no more, in whatever words the
            writing library tells it.
    """
    with _temporary(path, _new_file) as temporary:
        yield temporary
        with temporary.open("rb") as written:
            os.fsync(written.fileno())
        temporary.chmod(0o666 & ~_umask())
        temporary.replace(path)


@contextmanager
def atomic_directory(path: Path) -> Iterator[Path]:
    """Yield a temporary folder beside `path`; let it take `path`'s place only on success.

    What a killed process left beside `path` goes.

    Raises:
        OSError: as `atomic_file`.
    """
    with _temporary(path, _new_directory) as temporary:
        yield temporary
        temporary.chmod(0o777 & ~_umask())
        # Deleted under another name: a kill in the middle leaves nothing half-deleted under `path`.
        old = temporary.with_name(f"{temporary.name}.old{_SUFFIX}")
        if path.exists():
            path.replace(old)
        temporary.replace(path)
        shutil.rmtree(old, ignore_errors=True)


@contextmanager
def _temporary(path: Path, create: Callable[[Path], Path]) -> Iterator[Path]:
    """Yield a new path beside `path`; delete what is there in the end."""
    path.parent.mkdir(parents=True, exist_ok=True)
    _delete_left_behind(path)
    temporary, hold = _created(path, create)
    try:
        yield temporary
    except Exception as error:
        refusal = system_error(error)
        if refusal is None or refusal.errno not in _TAKES_NO_MORE:
            raise
        where = str(refusal.filename or path).replace(str(temporary), str(path))
        raise OSError(refusal.errno, refusal.strerror, where) from error
    finally:
        _delete(temporary)
        if hold is not None:
            os.close(hold)


def _created(path: Path, create: Callable[[Path], Path]) -> tuple[Path, int | None]:
    """Return a new path and the handle that holds it; None where the file system cannot lock."""
    while True:
        try:
            temporary = create(path)
        except OSError as error:
            raise OSError(error.errno, error.strerror, str(path.parent)) from None
        try:
            return temporary, _hold(temporary, fcntl.LOCK_EX)
        except FileNotFoundError:  # another process took it for left behind
            continue
        except OSError:
            return temporary, None


def _new_file(path: Path) -> Path:
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=_SUFFIX)
    os.close(handle)
    return Path(name)


def _new_directory(path: Path) -> Path:
    return Path(tempfile.mkdtemp(dir=path.parent, prefix=f".{path.name}.", suffix=_SUFFIX))


class HeldFolder(tempfile.TemporaryDirectory[str]):
    """A temporary folder that is this process's as long as it lives; a killed one's goes."""

    def __init__(self, prefix: str) -> None:
        """Make a folder, and delete those of the prefix that no living process holds."""
        _delete_unheld(Path(tempfile.gettempdir()).glob(f"{glob.escape(prefix)}*"))
        while True:
            super().__init__(prefix=prefix)
            try:
                weakref.finalize(self, os.close, _hold(Path(self.name), fcntl.LOCK_EX))
            except FileNotFoundError:  # another process took it for left behind
                continue
            except OSError:  # a file system without locks
                return
            return


def _delete_left_behind(path: Path) -> None:
    """Delete the temporary files and folders of `path` that no living process holds."""
    _delete_unheld(path.parent.glob(f".{glob.escape(path.name)}.*{_SUFFIX}"))


def _delete_unheld(paths: Iterable[Path]) -> None:
    for found in paths:
        with suppress(OSError):
            hold = _hold(found, fcntl.LOCK_EX | fcntl.LOCK_NB)
            try:
                _delete(found)
            finally:
                os.close(hold)


def _hold(path: Path, how: int) -> int:
    """Lock a file or folder until the handle returned is closed, or the process ends."""
    handle = os.open(path, os.O_RDONLY)
    try:
        fcntl.flock(handle, how)
        path.stat()  # what was waited for may be deleted or renamed
    except OSError:
        os.close(handle)
        raise
    return handle


def _delete(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def write_json(path: Path, content: Any) -> None:
    """Write `content` as indented JSON with a final newline; NaN and Infinity are refused."""
    with atomic_file(path) as temporary:
        text = json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False)
        temporary.write_text(text + "\n", encoding="utf-8")


def read_json(path: Path) -> Any:
    """Return what `write_json` has written."""
    return json.loads(path.read_text(encoding="utf-8"))


def sha256_file(path: Path) -> str:
    """Return the hexadecimal SHA-256 of a file's bytes."""
    digest = hashlib.sha256()
    with path.open("rb") as source:
        while chunk := source.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def sha256_files(hashes: dict[str, str]) -> str:
    """Return one SHA-256 for a set of files, given each relative name and its own SHA-256."""
    digest = hashlib.sha256()
    for name, value in sorted(hashes.items()):
        digest.update(f"{value}  {name}\n".encode())
    return digest.hexdigest()


def _umask() -> int:
    current = os.umask(0)
    os.umask(current)
    return current
