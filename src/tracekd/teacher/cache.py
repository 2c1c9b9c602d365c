"""Replies, kept on disk the moment they arrive: nothing is paid for twice.

`.teacher/MODEL.jsonl` in the user's own checkout, outside every out, so that experiments share it.
One JSON object a line, `{"key": ..., "reply": {...}}`; files can be copied and concatenated.
"""

import json
import re
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tracekd.config import project_root
from tracekd.teacher.prompts import TeacherRequest
from tracekd.teacher.replies import Reply


class ReplyCache:
    """The kept replies of one model; `teacher` is what they depend on besides the request."""

    def __init__(self, path: Path, teacher: Mapping[str, Any]) -> None:
        """Read the file, if it exists; a line that a kill cut off is skipped."""
        self._path, self._teacher = path, teacher
        self._replies: dict[str, Reply] = {}
        for line in path.read_bytes().split(b"\n") if path.is_file() else ():
            try:
                if line:
                    kept = json.loads(line)
                    self._replies[kept["key"]] = Reply(**kept["reply"])
            except (ValueError, KeyError, TypeError):
                continue

    def get(self, request: TeacherRequest) -> Reply | None:
        """Return the kept reply, if any."""
        return self._replies.get(request.key(self._teacher))

    def keep(self, request: TeacherRequest, reply: Reply) -> None:
        """Append a reply; when this returns, a kill of this process no longer loses it."""
        key = request.key(self._teacher)
        line = json.dumps({"key": key, "reply": asdict(reply)}, ensure_ascii=False)
        # It begins with a line break, so that a line that was cut off ends there.
        try:
            with self._path.open("ab") as file:
                file.write(f"\n{line}\n".encode("utf-8", "surrogatepass"))
        except OSError as error:  # a full disk: an error of write names no file
            raise OSError(error.errno, error.strerror, str(self._path)) from error
        self._replies[key] = reply


@contextmanager
def reply_cache(model: str, teacher: Mapping[str, Any]) -> Iterator[ReplyCache]:
    """Yield a model's kept replies; another run that asks it at the same time waits."""
    from filelock import FileLock, Timeout

    name = re.sub(r"[^\w.-]+", "_", model)
    path = project_root() / ".teacher" / f"{name}.jsonl"
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(path.with_suffix(".lock"))
    try:
        lock.acquire(timeout=0)
    except Timeout:
        print(f"{model}: waiting for another run that asks it", file=sys.stderr)
        lock.acquire()
    try:
        yield ReplyCache(path, teacher)
    finally:
        lock.release()
