"""Reading from a hub: the real client, against a small hub served from a folder."""

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import polars as pl
import pytest

REVISION = "8" * 40
STORY = {
    "id": ["1", "2", "3"],
    "type": [0, 1, 0],
    "text": ["Mary moved.", "Where is Mary? ", "John moved."],
    "supporting_ids": [[], ["1"], []],
    "answer": ["", "den", ""],
}
QUERY = {
    "query_id": 7,
    "query": "what is x",
    "passages": {"is_selected": [1], "passage_text": ["X is."], "url": ["u"]},
    "query_type": "ENTITY",
    "answers": ["X"],
    "wellFormedAnswers": [],
}
RECORD = {"index": 4, "triple_element": "S1", "question": "q", "facts": ["B."], "answer": ["B"]}
READ = """
import json, sys
from tracekd.config import HubDataset
from tracekd.datasets import babi, cotemp, marco
from tracekd.errors import TracekdError
hub = HubDataset(repo="org/data", revision=sys.argv[1])
found = {}
try:
    for module, options in (
        (babi, {"tasks": [1]}), (cotemp, {"classes": ["equal"]}), (marco, {})
    ):
        loaded = module.read_hub(hub, options)
        found[module.__name__] = [
            [split, *row] for split, table in loaded.splits.items()
            for row in table.select("id", "context", "answers", "question_class", "gold_facts",
                                    "source").iter_rows()
        ]
except TracekdError as error:
    found["error"] = str(error)
print(json.dumps(found))
"""


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("hub")
    for split in ("train", "test"):
        _parquet(folder / f"en-qa1/{split}/0000.parquet", {"story": STORY})
    for split in ("train", "validation"):
        _parquet(folder / f"v1.1/{split}-00000-of-00001.parquet", QUERY)
    (folder / "equal.json").write_text(json.dumps(RECORD) + "\r\n")
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(folder))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()


def _parquet(path: Path, row: dict[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pl.DataFrame([row]).write_parquet(path)


def _handler(folder: Path) -> type[BaseHTTPRequestHandler]:
    class Hub(BaseHTTPRequestHandler):
        def log_message(self, *_: Any) -> None:
            pass

        def do_HEAD(self) -> None:
            self.do_GET()

        def do_GET(self) -> None:
            path, _, query = unquote(self.path).partition("?")
            if path == f"/api/datasets/org/data/revision/{REVISION}":
                self._answer(json.dumps({"id": "org/data", "sha": REVISION, "siblings": []}))
            elif path.startswith(f"/api/datasets/org/data/tree/{REVISION}"):
                inside = path.partition(REVISION)[2].strip("/")
                self._answer(json.dumps(_listing(folder, inside, "recursive=true" in query)))
            elif path.startswith(f"/datasets/org/data/resolve/{REVISION}/"):
                self._answer((folder / path.partition(f"{REVISION}/")[2]).read_bytes())
            else:
                self._answer("{}", 404)

        def _answer(self, content: str | bytes, status: int = 200) -> None:
            body = content.encode() if isinstance(content, str) else content
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.send_header("ETag", f'"{"a" * 40}{len(body)}"')
            self.send_header("X-Repo-Commit", REVISION)
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(body)

    return Hub


def _listing(folder: Path, inside: str, recursive: bool) -> list[dict[str, Any]]:
    found = (folder / inside).rglob("*") if recursive else (folder / inside).glob("*")
    return [
        {
            "type": "directory" if path.is_dir() else "file",
            "path": str(path.relative_to(folder)),
            "size": 0 if path.is_dir() else path.stat().st_size,
            "oid": "a" * 40,
        }
        for path in sorted(found)
    ]


def read(endpoint: str, home: Path, revision: str = REVISION) -> dict[str, Any]:
    environment = os.environ | {"HF_ENDPOINT": endpoint, "HF_HOME": str(home)}
    environment.pop("HF_HUB_OFFLINE", None)
    done = subprocess.run(
        [sys.executable, "-c", READ, revision],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def test_every_reader_reads_the_hubs_files_as_it_reads_local_ones(hub: str, tmp_path: Path) -> None:
    found = read(hub, tmp_path)
    assert "error" not in found, found["error"]
    fact, label = ["Mary moved."], "single-supporting-fact"
    assert found["tracekd.datasets.babi"] == [
        [split, f"babi/{split}/qa1:2", fact, ["den"], label, [0], f"en-qa1/{split}:2"]
        for split in ("train", "test")
    ]
    assert found["tracekd.datasets.cotemp"] == [
        ["train", "cotemp/all/equal:4", ["B."], ["B"], "equal", None, "equal.json:1"]
    ]
    assert found["tracekd.datasets.marco"] == [
        [split, f"marco/{split}/7", ["X is."], ["X"], "entity", None, f"v1.1/{split}:1"]
        for split in ("train", "test")
    ]


@pytest.mark.parametrize("where", ["unknown revision", "no network"])
def test_what_cannot_be_reached_is_one_sentence_with_the_remedy(
    hub: str, tmp_path: Path, where: str
) -> None:
    endpoint, revision = (
        (hub, "9" * 40) if where == "unknown revision" else ("http://127.0.0.1:9", REVISION)
    )
    message = read(endpoint, tmp_path, revision)["error"]
    assert message.startswith(f"org/data at revision {revision}: could not be read from the hub;")
    assert "tried en-qa1/train/*.parquet" in message
    assert "set path in datasets.yaml" in message
    assert "\n" not in message
