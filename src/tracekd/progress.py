"""What a long stage has done so far, kept where a rerun of the same work finds it.

DVC deletes a stage's outs before it runs the stage again, so progress is kept apart from them, in
`.checkpoints/STAGE-KEY` of the user's own checkout. KEY is a hash of everything that determines the
result: work with another seed, model, data or code never goes on from this one's. The folder goes
when the work is done.
"""

import hashlib
import json
import os
import shutil
import signal
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

from tracekd.config import ModelSpec, project_root
from tracekd.errors import TracekdError
from tracekd.files import sha256_file, sha256_files
from tracekd.models.devices import process_rank
from tracekd.models.runcard import versions
from tracekd.models.sources import content

_PACKAGES = ("torch", "transformers", "peft", "tokenizers", "accelerate")
#: Files of this package that compute.
_SOURCES = ("*.py", "*.c")


class Stopped(SystemExit):
    """The process was asked to stop (SIGTERM, Ctrl-C), and has kept its progress."""


@contextmanager
def progress_folder(stage: str, key: Mapping[str, Any]) -> Iterator[Path]:
    """Yield the folder for the progress of one piece of work; delete it if the block succeeds.

    Of several processes under `torchrun`, the first one holds the folder for all.

    Args:
        stage: first part of the folder's name.
        key: what the result depends on; JSON can hold it.

    Raises:
        TracekdError: if another process is at the same work, naming it.
    """
    from filelock import FileLock, Timeout

    text = json.dumps(key, sort_keys=True, default=str)
    folder = (
        project_root() / ".checkpoints" / f"{stage}-{hashlib.sha256(text.encode()).hexdigest()}"
    )
    folder.parent.mkdir(parents=True, exist_ok=True)
    if process_rank() > 0:
        yield folder
        return
    lock, holder = folder.with_suffix(".lock"), folder.with_suffix(".pid")
    try:
        with FileLock(lock, timeout=0):
            holder.write_text(str(os.getpid()), encoding="ascii")
            # Deleted under another name: a kill in the middle leaves nothing to go on from.
            gone = folder.with_suffix(".gone")
            shutil.rmtree(gone, ignore_errors=True)
            folder.mkdir(exist_ok=True)
            yield folder
            folder.replace(gone)
            shutil.rmtree(gone)
            holder.unlink(missing_ok=True)
            lock.unlink(missing_ok=True)
    except Timeout as error:
        pid = holder.read_text(encoding="ascii") if holder.exists() else "unknown"
        raise TracekdError(
            f"{stage}: process {pid} is at this very work; wait for it, or stop it and run again"
        ) from error


def fingerprint(spec: ModelSpec, model: Path, packages: Sequence[str] = ()) -> dict[str, Any]:
    """Return what, beside settings and data, decides the result of a computation with a model.

    Args:
        spec: the model's entry.
        model: folder of its files: weights, tokenizer, chat template, settings of generation.
        packages: those that take part beside the ones that always do.
    """
    package = Path(__file__).parent
    sources = [path for kind in _SOURCES for path in package.rglob(kind)]
    code = {str(path.relative_to(package)): sha256_file(path) for path in sources}
    return {
        "entry": spec.model_dump(),
        "files": sha256_files(content(model)),
        "code": sha256_files(code),
        "packages": versions([*_PACKAGES, *packages]),
    }


def digest(rows: Sequence[Any]) -> str:
    """Return a hash of rows that JSON can hold."""
    return hashlib.sha256(json.dumps(rows, sort_keys=True).encode()).hexdigest()


class Journal:
    """A file that grows by one JSON value at a time; a value cut off by a kill is dropped.

    Work in steps asks it before each step (`recall`) and tells it what a new one gave (`append`).

    Attributes:
        values: what an earlier run left, and what was added since.
        left: how many of them are still to be recalled.
    """

    def __init__(self, path: Path) -> None:
        """Read what is there and open it for more."""
        self.path = path
        whole = path.read_bytes().rpartition(b"\n")[0] if path.exists() else b""
        self.values: list[Any] = [json.loads(line) for line in whole.splitlines()]
        self.left = len(self.values)
        self._file = path.open("r+b" if path.exists() else "wb")
        self._file.seek(len(whole) + 1 if whole else 0)
        self._file.truncate()

    def recall(self) -> Any:
        """Return the next value that an earlier run left; None if there is no more."""
        if not self.left:
            return None
        self.left -= 1
        return self.values[-1 - self.left]

    def append(self, value: Any) -> None:
        """Add `value`, which is not None; it is on the disk when this returns."""
        self._file.write(json.dumps(value).encode() + b"\n")
        self._file.flush()
        os.fsync(self._file.fileno())
        self.values.append(value)

    def __enter__(self) -> "Journal":
        """Return the journal, which is closed at the end of the block."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the file."""
        self._file.close()


class StopRequest:
    """Notes SIGTERM and Ctrl-C inside a block; a second one stops the process at once.

    Attributes:
        signal: the first that came, or None.
    """

    def __init__(self) -> None:
        """Note nothing yet."""
        self.signal: signal.Signals | None = None
        self._at_once = False

    @contextmanager
    def listening(self) -> Iterator["StopRequest"]:
        """Take the two signals over until the block ends, if this is the main thread."""
        if threading.current_thread() is not threading.main_thread():
            yield self
            return
        taken = (signal.SIGTERM, signal.SIGINT)
        before = [signal.signal(number, self._note) for number in taken]
        try:
            yield self
        finally:
            for number, handler in zip(taken, before, strict=True):
                signal.signal(number, handler)

    @contextmanager
    def leaving(self, progress: Callable[[], str]) -> Iterator["StopRequest"]:
        """Listen; the first signal ends the block at once, saying what is kept.

        For work that keeps each of its steps, and calls `check` after each.

        Args:
            progress: says what is kept, as for `leave`.
        """
        self._at_once = True
        with self.listening():
            try:
                yield self
            except Stopped:
                self.leave(progress())
                raise

    def check(self) -> None:
        """Raise what the signal should have raised.

        Python drops an exception that a signal raises inside a finalizer or a callback of C code.
        """
        if self.signal is not None:
            raise Stopped(128 + self.signal)

    def leave(self, progress: str) -> None:
        """End the process if it was asked to, saying what is kept; its status is the shell's."""
        if self.signal is not None:
            print(f"\n{self.signal.name}: {progress} are kept; run again to go on from there")
            raise Stopped(128 + self.signal)

    def _note(self, number: int, _frame: FrameType | None) -> None:
        second = self.signal is not None
        self.signal = signal.Signals(number)
        if self._at_once or second:
            raise Stopped(128 + number)
