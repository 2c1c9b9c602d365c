"""A hub with two tiny models and three small data sets, in the layouts of the real repositories."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hub_server import Hub, serving

from tracekd.config import load_model

ROOT = Path(__file__).resolve().parents[2]
MODELS = {"tiny_llama": "meta/Tiny-Llama", "tiny_qwen3": "Qwen/Tiny-Qwen3"}

STORY = {
    "id": ["1", "2", "3", "4"],
    "type": [0, 0, 1, 0],
    "text": ["Mary moved to the den.", "John left.", "Where is Mary? ", "John moved."],
    "supporting_ids": [[], [], ["1"], []],
    "answer": ["", "", "den", ""],
}
QUERY = {
    "query_id": 7,
    "query": "what is x",
    "passages": {"is_selected": [1, 0], "passage_text": ["X is.", "Y."], "url": ["u", "v"]},
    "query_type": "ENTITY",
    "answers": ["X"],
    "wellFormedAnswers": [],
}
RECORD = {
    "index": 4,
    "triple_element": "S1_R1_O2",
    "question": "q",
    "facts": ["B."],
    "answer": ["B"],
}

Client = Callable[..., dict[str, Any]]


@pytest.fixture(scope="session")
def content(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that the hub serves."""
    from tracekd.models.tiny import save_random_model

    root = tmp_path_factory.mktemp("hub")
    for key, repo in MODELS.items():
        random = load_model(ROOT / "models.yaml", key).random
        assert random is not None
        folder = root / "models" / repo
        folder.mkdir(parents=True)
        save_random_model(random, folder)
        (folder / "pytorch_model.bin").write_bytes(b"a format that can run code")
        (folder / "original").mkdir()
        (folder / "original" / "params.json").write_text("{}")
    data = root / "datasets"
    for split in ("train", "test"):
        _parquet(data / f"facebook/babi_qa/en-qa1/{split}/0000.parquet", {"story": STORY})
    for split in ("train", "test"):
        _parquet(data / f"other/columns/en-qa1/{split}/0000.parquet", {"text": "Mary moved."})
        (data / f"other/damaged/en-qa1/{split}").mkdir(parents=True)
        (data / f"other/damaged/en-qa1/{split}/0000.parquet").write_bytes(b"PAR1 and no more PAR1")
    for split in ("train", "validation"):
        _parquet(data / f"microsoft/ms_marco/v1.1/{split}-00000-of-00001.parquet", QUERY)
    cotemp = data / "Warrieryes/CotempQA"
    cotemp.mkdir(parents=True)
    (cotemp / "equal.json").write_text(json.dumps(RECORD) + "\r\n")
    (cotemp / "README.md").write_text("# CotempQA\n")
    return root


def _parquet(path: Path, row: dict[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pl.DataFrame([row]).write_parquet(path)


@pytest.fixture(scope="session")
def server(content: Path) -> Iterator[Hub]:
    with serving(content) as hub:
        yield hub


@pytest.fixture
def hub(server: Hub) -> Iterator[Hub]:
    """The hub in a good mood; what a test does to it ends with the test."""
    server.faults.clear()
    server.served.clear()
    server.tokens.clear()
    yield server
    server.faults.clear()


@pytest.fixture
def client(hub: Hub, tmp_path: Path) -> Client:
    """Runs code with the real client in a process of its own, whose caches last for the test.

    The code's `answer(...)` is what the call returns; a TracekdError comes back as {"error": …}.
    """

    def call(code: str, *arguments: str, **environment: str) -> dict[str, Any]:
        program = (
            "import json, sys\nfrom tracekd.errors import TracekdError\n"
            "def answer(**found): print('\\n' + json.dumps(found))\n"
            "def main():\n"
            + "".join(f"    {line}\n" for line in code.splitlines())
            + "try: main()\n"
            "except TracekdError as error: answer(error=str(error))\n"
        )
        settings = {
            "HF_ENDPOINT": hub.endpoint,
            "HF_HOME": str(tmp_path / "hf"),
            "TRACEKD_CACHE": str(tmp_path / "tracekd"),
            "HF_HUB_DOWNLOAD_TIMEOUT": "1",
            "HF_HUB_ETAG_TIMEOUT": "1",
            "HF_HUB_DISABLE_PROGRESS_BARS": "1",
        }
        kept = {k: v for k, v in os.environ.items() if not k.startswith("HF_")}
        done = subprocess.run(
            [sys.executable, "-c", program, *arguments],
            env=kept | settings | environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=100,
        )
        if done.returncode == -signal.SIGKILL:
            return {"killed": True}
        assert done.returncode == 0, done.stderr
        found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
        return {**found, "stderr": done.stderr} if "--stderr" in arguments else found

    return call
