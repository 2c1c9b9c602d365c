"""A small real server on loopback: a hub with one repository, and plain files."""

import base64
import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import huggingface_hub
import huggingface_hub.constants
import huggingface_hub.hf_api
import pytest

REPO, REVISION = "owner/repo", "8" * 40
SMALL, LARGE, PICKLE = b'{"a": 1}\n', b"weights" * 100, b"a format that can run code"
#: Files of the repository.
FILES = {"config.json": SMALL, "model.safetensors": LARGE, "pytorch_model.bin": PICKLE}
TOKEN = "hf_" + "x" * 34


def git_hash(content: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()  # noqa: S324


def entry(name: str, content: bytes) -> dict[str, Any]:
    """Return what the hub says of a file; weights are stored as large files."""
    described = {"type": "file", "path": name, "oid": git_hash(content), "size": len(content)}
    if name.endswith(".safetensors"):
        digest = hashlib.sha256(content).hexdigest()
        described["lfs"] = {"oid": digest, "size": len(content), "pointerSize": 134}
    return described


def upload_mode(path: str) -> dict[str, Any]:
    mode = "lfs" if path.endswith(".safetensors") else "regular"
    return {"path": path, "uploadMode": mode, "shouldIgnore": False}


class Server(ThreadingHTTPServer):
    """What it serves, what is wrong with it, and what was asked for."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.endpoint = f"http://127.0.0.1:{self.server_port}"
        self.files = dict(FILES)
        self.contents = dict(FILES)
        self.uploaded: dict[str, bytes] = {}
        self.large: dict[str, bytes] = {}
        self.private = self.exists = False
        self.refusal: tuple[int, str] | None = None
        self.tokens: set[str] = set()
        self.requests: list[str] = []


class Handler(BaseHTTPRequestHandler):
    server: Server

    def log_message(self, *_: Any) -> None:
        pass

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        hub = self.server
        hub.requests.append(self.path)
        hub.tokens |= {self.headers["Authorization"]} - {None}
        path = self.path.partition("?")[0].strip("/")
        name = path.rsplit("/", 1)[-1]
        if hub.refusal:
            status, code = hub.refusal
            self.reply(b"", status, {"X-Error-Code": code})
        elif path.startswith("plain/"):
            found = hub.contents.get(name)
            self.reply(found or b"", 404 if found is None else 200)
        elif not path.removeprefix("api/models/").startswith(REPO):
            self.reply(b"", 404, {"X-Error-Code": "RepoNotFound"})
        elif path == f"api/models/{REPO}":
            self.reply_json({"id": REPO, "private": hub.private})
        elif REVISION not in path and not path.endswith("/tree/main"):
            self.reply(b"", 404, {"X-Error-Code": "RevisionNotFound"})
        elif path.startswith("api/"):
            self.reply_json([entry(name, content) for name, content in hub.files.items()])
        elif name not in hub.files:
            self.reply(b"", 404, {"X-Error-Code": "EntryNotFound"})
        else:
            stated = entry(name, hub.files[name])
            tag = stated.get("lfs", stated)["oid"]
            headers = {"X-Repo-Commit": REVISION, "ETag": f'"{tag}"'}
            self.reply(hub.contents[name], 200, headers)

    def do_POST(self) -> None:
        """Take an upload, as the hub does: https://huggingface.co/docs/hub/api."""
        hub, body = self.server, self.rfile.read(int(self.headers["Content-Length"] or 0))
        hub.requests.append(self.path)
        hub.tokens |= {self.headers["Authorization"]} - {None}
        if hub.refusal:
            self.reply(b"{}", hub.refusal[0])
        elif self.path == "/api/repos/create":
            if not hub.exists:
                asked = json.loads(body)  # older clients ask by "private"
                hub.private = asked.get("visibility") == "private" or bool(asked.get("private"))
            status = 409 if hub.exists else 200
            self.reply(json.dumps({"url": f"{hub.endpoint}/{REPO}"}).encode(), status)
        elif self.path == "/api/validate-yaml":
            self.reply_json({})
        elif "/preupload/" in self.path:
            files = [file["path"] for file in json.loads(body)["files"]]
            self.reply_json({"files": [upload_mode(path) for path in files]})
        elif self.path.endswith("/info/lfs/objects/batch"):
            objects = json.loads(body)["objects"]
            for one in objects:
                one["actions"] = {"upload": {"href": f"{hub.endpoint}/lfs/{one['oid']}"}}
            self.reply_json({"transfer": "basic", "objects": objects})
        else:
            for line in body.splitlines():
                self.commit(**json.loads(line))
            self.reply_json({"commitUrl": f"{hub.endpoint}/{REPO}/commit/1", "commitOid": "1"})

    def do_PUT(self) -> None:
        content = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.large[self.path.rpartition("/")[2]] = content
        self.reply(b"", 200)

    def commit(self, key: str, value: dict[str, Any]) -> None:
        hub = self.server
        if key == "file":
            hub.uploaded[value["path"]] = base64.b64decode(value["content"])
        elif key == "lfsFile":
            hub.uploaded[value["path"]] = hub.large[value["oid"]]
        elif key == "deletedFile":
            del hub.files[value["path"]]

    def reply_json(self, content: Any) -> None:
        self.reply(json.dumps(content).encode(), 200)

    def reply(self, body: bytes, status: int, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)


@contextmanager
def serve(monkeypatch: pytest.MonkeyPatch, folder: Path) -> Iterator[Server]:
    """Run the server; the hub's client knows no other, and keeps its cache in `folder`."""
    with Server() as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        monkeypatch.setenv("TRACEKD_CACHE", str(folder / "cache"))
        constants = huggingface_hub.constants
        template = server.endpoint + "/{repo_id}/resolve/{revision}/{filename}"
        agents = str(folder / "agents.json")
        monkeypatch.setattr(constants, "AGENT_HARNESSES_PATH", agents, raising=False)
        monkeypatch.setattr(constants, "ENDPOINT", server.endpoint)
        monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
        monkeypatch.setattr(constants, "HF_HUB_CACHE", str(folder / "hf"))
        monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
        monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(folder / "no-token"))
        monkeypatch.setattr(huggingface_hub.hf_api.api, "endpoint", server.endpoint)
        yield server
        server.shutdown()
