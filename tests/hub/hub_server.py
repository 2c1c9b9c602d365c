"""A small Hugging Face hub on loopback, which can be told to misbehave.

It serves the part of the hub's HTTP API that its own client uses to fetch a repository: the tree of
a revision, and files, small ones from git, large ones (weights, parquet) by a redirect to a content
network, with the headers in which the hub states sizes and hashes.
"""

import hashlib
import json
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Literal
from urllib.parse import unquote

REVISION = "8" * 40
_LARGE = (".safetensors", ".parquet")

#: gated_401, gated_403: the licence has not been accepted, without and with a token
#: forbidden: 403 without a reason. gone: the repository does not exist. broken: HTTP 500.
#: slow: a file comes in drops. stalled: the connection stays open and nothing comes.
#: cut: a file's connection closes in its middle, and at once when it is asked for the rest.
#: cut_once: closes in the middle the first time only. wrong: other bytes of the same length.
#: wrong_once: so the first time only. stuck: nothing comes after the middle of a file.
Fault = Literal[
    "gated_401", "gated_403", "forbidden", "gone", "broken", "slow", "stalled", "cut", "cut_once",
    "wrong", "wrong_once", "stuck",
]  # fmt: skip
_REFUSALS = {
    "gated_401": (401, "GatedRepo"),
    "gated_403": (403, "GatedRepo"),
    "forbidden": (403, ""),
    "gone": (404, "RepoNotFound"),
    "broken": (500, ""),
}


@dataclass
class Hub:
    """The hub's content and mood.

    Attributes:
        root: `models/OWNER/NAME/...` and `datasets/OWNER/NAME/...`.
        faults: for "OWNER/NAME", what is wrong with it; absent: nothing.
        served: how often the content of each hash was sent, whole or in part.
        tokens: the Authorization headers that came in.
    """

    root: Path
    endpoint: str = ""
    faults: dict[str, Fault] = field(default_factory=dict)
    served: Counter[str] = field(default_factory=Counter)
    tokens: set[str] = field(default_factory=set)


@contextmanager
def serving(root: Path) -> Iterator[Hub]:
    """Serve the folder `root` while the block runs."""
    hub = Hub(root)
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(hub))
    server.daemon_threads = True
    hub.endpoint = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def git_hash(content: bytes) -> str:
    """Return git's name of a file."""
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()  # noqa: S324


def stated_hash(name: str, content: bytes) -> str:
    """Return the hash by which the hub names a file's content."""
    large = name.endswith(_LARGE)
    return hashlib.sha256(content).hexdigest() if large else git_hash(content)


def _handler(hub: Hub) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: Any) -> None:
            pass

        def do_HEAD(self) -> None:
            self.do_GET()

        def do_GET(self) -> None:
            if token := self.headers.get("Authorization"):
                hub.tokens.add(token)
            path, _, query = unquote(self.path).partition("?")
            parts = path.strip("/").split("/")
            if len(parts) < 4:
                self._answer(b"{}", 404, {})
                return
            if parts[0] == "api":
                kind, repo, verb, rest = parts[1], "/".join(parts[2:4]), parts[4], parts[5:]
            elif parts[0] == "content":
                kind, repo, verb, rest = parts[1], "/".join(parts[2:4]), "content", parts[4:]
            else:
                kind = "datasets" if parts[0] == "datasets" else "models"
                parts = parts[1:] if kind == "datasets" else parts
                repo, verb, rest = "/".join(parts[:2]), parts[2], parts[3:]
            fault = hub.faults.get(repo)
            folder = hub.root / kind / repo
            if fault == "stalled":
                time.sleep(4)
                self.close_connection = True
            elif fault in _REFUSALS:
                status, code = _REFUSALS[str(fault)]
                self._answer(b"{}", status, {"X-Error-Code": code} if code else {})
            elif not folder.is_dir():
                self._answer(b"{}", 404, {"X-Error-Code": "RepoNotFound"})
            elif verb == "content":
                self._content(folder, "/".join(rest), fault)
            elif rest[0] != REVISION:
                self._answer(b"{}", 404, {"X-Error-Code": "RevisionNotFound"})
            elif verb == "tree":
                self._json(_listing(folder, "/".join(rest[1:]), "recursive=true" in query.lower()))
            elif verb == "revision":
                self._json({"id": repo, "sha": REVISION, "siblings": []})
            else:
                self._file(kind, repo, folder, "/".join(rest[1:]), fault)

        def _file(self, kind: str, repo: str, folder: Path, name: str, fault: Fault | None) -> None:
            if not (folder / name).is_file():
                self._answer(b"{}", 404, {"X-Error-Code": "EntryNotFound"})
                return
            if not name.endswith(_LARGE):
                self._content(folder, name, fault)
                return
            content = (folder / name).read_bytes()
            headers = {
                "X-Repo-Commit": REVISION,
                "X-Linked-Etag": f'"{stated_hash(name, content)}"',
                "X-Linked-Size": str(len(content)),
                "Location": f"{hub.endpoint}/content/{kind}/{repo}/{name}",
            }
            self._answer(b"", 302, headers)

        def _content(self, folder: Path, name: str, fault: Fault | None) -> None:
            content = (folder / name).read_bytes()
            headers = {"X-Repo-Commit": REVISION, "ETag": f'"{stated_hash(name, content)}"'}
            if self.command == "HEAD":
                self._answer(content, 200, headers)
                return
            key = stated_hash(name, content)
            again = hub.served[key] > 0
            hub.served[key] += 1
            if fault == "wrong" or (fault == "wrong_once" and not again):
                content = content[:-1] + bytes([content[-1] ^ 1])
            first = int((self.headers.get("Range") or "bytes=0-")[6:].split("-")[0])
            status = 206 if "Range" in self.headers else 200
            rest, total = content[first:], len(content)
            if status == 206:
                headers["Content-Range"] = f"bytes {first}-{total - 1}/{total}"
            sent = rest
            if fault == "cut" or (fault == "cut_once" and not again):
                sent = b"" if first else rest[: len(rest) // 2]
                self.close_connection = True
            self._head(status, len(rest), headers)
            if fault == "stuck":
                self.wfile.write(sent[: len(sent) // 2])
                self.wfile.flush()
                time.sleep(6)
                self.close_connection = True
            elif fault == "slow":
                step = max(1, len(sent) // 5)
                for start in range(0, len(sent), step):
                    time.sleep(0.05)
                    self.wfile.write(sent[start : start + step])
                    self.wfile.flush()
            else:
                self.wfile.write(sent)

        def _json(self, content: Any) -> None:
            self._answer(json.dumps(content).encode(), 200, {"Content-Type": "application/json"})

        def _answer(self, body: bytes, status: int, headers: dict[str, str]) -> None:
            self._head(status, len(body), headers)
            if self.command == "GET":
                self.wfile.write(body)

        def _head(self, status: int, length: int, headers: dict[str, str]) -> None:
            self.send_response(status)
            for name, value in {"Content-Length": str(length), **headers}.items():
                self.send_header(name, value)
            self.end_headers()

    return Handler


def _listing(folder: Path, inside: str, recursive: bool) -> list[dict[str, Any]]:
    found = (folder / inside).rglob("*") if recursive else (folder / inside).glob("*")
    return [_entry(path, path.relative_to(folder).as_posix()) for path in sorted(found)]


def _entry(path: Path, name: str) -> dict[str, Any]:
    if path.is_dir():
        return {"type": "directory", "path": name, "oid": "0" * 40, "size": 0}
    content = path.read_bytes()
    entry = {"type": "file", "path": name, "oid": git_hash(content), "size": len(content)}
    if name.endswith(_LARGE):
        large = {"oid": stated_hash(name, content), "size": len(content), "pointerSize": 134}
        entry["lfs"] = large
    return entry
