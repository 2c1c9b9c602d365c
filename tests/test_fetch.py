"""Downloads from a small real server on loopback: a hub with one repository, and plain files."""

import hashlib
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import huggingface_hub
import huggingface_hub.constants
import huggingface_hub.hf_api
import pytest

from tracekd.config import DatasetFile, HubModel
from tracekd.errors import TracekdError
from tracekd.fetch import fetch_files, fetch_repository

REPO, REVISION = "owner/repo", "8" * 40
SMALL, LARGE, PICKLE = b'{"a": 1}\n', b"weights" * 100, b"a format that can run code"
LARGE_HASH = hashlib.sha256(LARGE).hexdigest()
#: Files of the repository; weights are stored as large files, which are known by their SHA-256.
FILES = {"config.json": SMALL, "model.safetensors": LARGE, "pytorch_model.bin": PICKLE}
TOKEN = "hf_" + "x" * 34


def git_hash(content):
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()  # noqa: S324


class Server(ThreadingHTTPServer):
    """What it serves, what is wrong with it, and what was asked for."""

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.endpoint = f"http://127.0.0.1:{self.server_port}"
        self.contents = dict(FILES)
        self.refusal: tuple[int, str] | None = None
        self.tokens: set[str] = set()
        self.requests: list[str] = []


class Handler(BaseHTTPRequestHandler):
    server: Server

    def log_message(self, *_):
        pass

    def do_HEAD(self):
        self.do_GET()

    def do_GET(self):
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
        elif REVISION not in path:
            self.reply(b"", 404, {"X-Error-Code": "RevisionNotFound"})
        elif path.startswith("api/"):
            entries = [
                {"type": "file", "path": name, "oid": git_hash(content), "size": len(content)}
                for name, content in FILES.items()
            ]
            large = {"oid": LARGE_HASH, "size": len(LARGE), "pointerSize": 134}
            entries[1]["lfs"] = large  # of model.safetensors
            self.reply(json.dumps(entries).encode(), 200)
        else:
            stated = LARGE_HASH if FILES[name] == LARGE else git_hash(SMALL)
            headers = {"X-Repo-Commit": REVISION, "ETag": f'"{stated}"'}
            self.reply(hub.contents[name], 200, headers)

    def reply(self, body, status, headers=None):
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)


@pytest.fixture
def hub(monkeypatch, tmp_path):
    with Server() as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        monkeypatch.setenv("TRACEKD_CACHE", str(tmp_path / "cache"))
        constants = huggingface_hub.constants
        template = server.endpoint + "/{repo_id}/resolve/{revision}/{filename}"
        agents = str(tmp_path / "agents.json")
        monkeypatch.setattr(constants, "AGENT_HARNESSES_PATH", agents, raising=False)
        monkeypatch.setattr(constants, "ENDPOINT", server.endpoint)
        monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
        monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hf"))
        monkeypatch.setattr(huggingface_hub.hf_api.api, "endpoint", server.endpoint)
        yield server
        server.shutdown()


def fetch():
    source = HubModel(repo=REPO, revision=REVISION)
    return fetch_repository("model", source, "models.yaml: mine", ["*.json", "*.safetensors"])


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_a_repository_is_fetched_once_and_then_needs_no_network(hub):
    folder = fetch()
    assert contents(folder) == {"config.json": SMALL, "model.safetensors": LARGE}
    hub.requests.clear()
    assert fetch() == folder
    assert hub.requests == []


def test_a_damaged_download_is_reported_deleted_and_fetched_again(hub):
    hub.contents["model.safetensors"] = wrong = LARGE[:-1] + b"S"
    with pytest.raises(TracekdError, match=r"safetensors: .* was deleted: run again") as error:
        fetch()
    for content in (wrong, LARGE):
        assert hashlib.sha256(content).hexdigest() in str(error.value)
    hub.contents["model.safetensors"] = LARGE
    assert (fetch() / "model.safetensors").read_bytes() == LARGE


@pytest.mark.parametrize(
    ("refusal", "message"),
    [
        ((403, "GatedRepo"), "is gated; accept its licence at https://huggingface.co/owner/repo, "),
        ((401, "GatedRepo"), "is gated; accept its licence at https://huggingface.co/owner/repo, "),
        (
            (404, "RepoNotFound"),
            "does not exist or is private; check its name, run `hf auth login`",
        ),
        ((404, "RevisionNotFound"), "no such revision; choose one from https://huggingface.co/own"),
        ((403, ""), "answers HTTP 403; try again later"),
        (None, "cannot be reached ("),
    ],
)
def test_a_refusal_is_one_line_that_says_what_to_do_and_has_no_token(
    hub, monkeypatch, refusal, message
):
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    hub.refusal = refusal
    if not refusal:
        monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", "http://127.0.0.1:9")
        monkeypatch.setattr("time.sleep", lambda _: None)  # between the client's further attempts
    with pytest.raises(TracekdError) as error:
        fetch()
    line = str(error.value)
    assert line.startswith("models.yaml: mine: owner/repo@888888888888 on the Hugging Face hub")
    assert message in line
    assert line.endswith("or set path in this entry to a folder with its files")
    assert "\n" not in line
    assert TOKEN not in line


def test_a_part_of_a_repository_is_never_taken_for_all_of_it(hub):
    """Another program may have left one file in the cache, without the list of all."""
    huggingface_hub.hf_hub_download(REPO, "config.json", revision=REVISION)
    hub.refusal = (403, "")
    with pytest.raises(TracekdError, match="answers HTTP 403"):
        fetch()
    hub.refusal = None
    assert (fetch() / "model.safetensors").is_file()


def test_a_token_goes_to_the_hub_and_to_no_other_server(hub, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    fetch()
    assert hub.tokens == {f"Bearer {TOKEN}"}
    hub.tokens.clear()
    fetch_files({"a.json": file(hub)}, "datasets.yaml: mine")
    assert hub.tokens == set()


def file(hub, **change):
    values = {"git_hash": git_hash(SMALL), "size": len(SMALL)} | change
    return DatasetFile.model_validate({"url": f"{hub.endpoint}/plain/config.json", **values})


def test_files_are_downloaded_once_by_the_names_of_the_entry(hub):
    files = {"a.json": file(hub), "b.json": file(hub, size=None)}
    folder = fetch_files(files, "datasets.yaml: x")
    assert contents(folder) == {"a.json": SMALL, "b.json": SMALL}
    hub.requests.clear()
    assert fetch_files({"b.json": file(hub), "a.json": file(hub)}, "datasets.yaml: x") == folder
    assert hub.requests == []
    (folder / "a.json").write_bytes(SMALL[:3])
    fetch_files(files, "datasets.yaml: x")
    assert (folder / "a.json").read_bytes() == SMALL, "damaged in the cache: downloaded again"
    assert len(hub.requests) == 1


@pytest.mark.parametrize("content", [SMALL + b" ", SMALL[:-1], b"x" * len(SMALL), None])
def test_content_that_is_absent_or_not_what_is_pinned_is_refused(hub, content, tmp_path):
    hub.contents["config.json"] = content
    with pytest.raises(TracekdError) as error:
        fetch_files({"a.json": file(hub)}, "datasets.yaml: x")
    hashes = [git_hash(content), git_hash(SMALL), "pinned"] if content else ["answers HTTP 404"]
    for part in ("datasets.yaml: x: http://127", *hashes):
        assert part in str(error.value)
    assert not [path for path in (tmp_path / "cache").rglob("*") if path.is_file()]
