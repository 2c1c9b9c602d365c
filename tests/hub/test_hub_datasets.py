"""Data sets from a hub: the real readers and the real client, against a hub on loopback."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hub_server import REVISION, Fault, Hub

READ = """
from tracekd.config import HubDataset
from tracekd.datasets import babi, cotemp, marco
name, revision = sys.argv[1:]
module, repo, options = {
    "babi": (babi, "facebook/babi_qa", {"tasks": [1]}),
    "cotemp": (cotemp, "Warrieryes/CotempQA", {"classes": ["equal"]}),
    "marco": (marco, "microsoft/ms_marco", {}),
    "gone": (cotemp, "Warrieryes/gone", {}),
    "columns": (babi, "other/columns", {"tasks": [1]}),
    "damaged": (babi, "other/damaged", {"tasks": [1]}),
    "no_files": (cotemp, "Warrieryes/CotempQA", {"classes": ["mix"]}),
}[name]
loaded = module.read_hub(HubDataset(repo=repo, revision=revision), options)
columns = ["id", "context", "answers", "question_class", "gold_facts", "source"]
answer(rows=[
    [split, *row] for split, table in loaded.splits.items()
    for row in table.select(columns).iter_rows()
])
"""
STORY_FACTS, LABEL = ["Mary moved to the den.", "John left."], "single-supporting-fact"
EXPECTED: dict[str, list[Any]] = {
    "babi": [
        [split, f"babi/{split}/qa1:3", STORY_FACTS, ["den"], LABEL, [0], f"en-qa1/{split}:3"]
        for split in ("train", "test")
    ],
    "cotemp": [["train", "cotemp/all/equal:4", ["B."], ["B"], "equal", None, "equal.json:1"]],
    "marco": [
        [split, f"marco/{split}/7", ["X is.", "Y."], ["X"], "entity", None, f"v1.1/{split}:1"]
        for split in ("train", "test")
    ],
}
COTEMP, MARCO = "Warrieryes/CotempQA", "microsoft/ms_marco"
TOKEN = "hf_" + "x" * 34

Client = Callable[..., dict[str, Any]]


@pytest.mark.parametrize("name", EXPECTED)
def test_every_reader_reads_the_hubs_files_as_it_reads_local_ones(
    client: Client, hub: Hub, name: str
) -> None:
    assert client(READ, name, REVISION) == {"rows": EXPECTED[name]}
    hub.faults |= {"facebook/babi_qa": "broken", COTEMP: "broken", MARCO: "broken"}
    again = client(READ, name, REVISION, HF_ENDPOINT="http://127.0.0.1:9")
    assert again == {"rows": EXPECTED[name]}, "what was fetched once needs no network"


#: The client's part is the same as for models (test_hub_models), which are tried with all of them.
FAULTS = {
    "gated_403": "but it is gated; accept its licence at https://huggingface.co/datasets/",
    "wrong": "equal.json is not what the hub states (its hash differs), twice in a row",
}
MORE_FAULTS = {
    "gated_401": "but it is gated; accept its licence at",
    "forbidden": "but it refuses you (HTTP 403); run `hf auth login`",
    "gone": "but it does not exist or is not open to you; check the name",
    "broken": "but it answers HTTP 500; try again later",
    "stalled": "could not reach it or was cut off",
    "cut": "could not reach it or was cut off",
}


@pytest.mark.parametrize(
    ("fault", "told"),
    [
        *FAULTS.items(),
        *(pytest.param(*fault, marks=pytest.mark.slow) for fault in MORE_FAULTS.items()),
    ],
)
def test_a_fault_is_one_sentence_and_a_second_try_works(
    client: Client, hub: Hub, fault: Fault, told: str
) -> None:
    hub.faults[COTEMP] = fault
    message = client(READ, "cotemp", REVISION)["error"]
    assert message.startswith(f"data set: tried {COTEMP}@{REVISION[:12]} on the Hugging")
    assert told in message
    assert "set `path:` in datasets.yaml to a folder with its files" in message
    assert "\n" not in message
    hub.faults.clear()
    assert client(READ, "cotemp", REVISION) == {"rows": EXPECTED["cotemp"]}


@pytest.mark.slow
@pytest.mark.parametrize("fault", ["slow", "cut_once", "wrong_once"])
def test_what_passes_by_itself_is_waited_for(client: Client, hub: Hub, fault: Fault) -> None:
    hub.faults[MARCO] = fault
    assert client(READ, "marco", REVISION) == {"rows": EXPECTED["marco"]}


@pytest.mark.parametrize(
    ("name", "revision", "told"),
    [
        ("cotemp", "9" * 40, f"has no such revision; choose one from .*/datasets/{COTEMP}/commits"),
        pytest.param(
            "gone", REVISION, "does not exist or is not open to you", marks=pytest.mark.slow
        ),
        ("no_files", REVISION, r"holds no file mix\.json; choose another revision"),
        ("columns", REVISION, r"en-qa1/train: row 1: story: not the lists id, type, text, answer"),
        ("damaged", REVISION, r"en-qa1/train/\*\.parquet are not parquet of one schema"),
    ],
)
def test_what_is_not_there_or_not_as_expected_is_named(
    client: Client, name: str, revision: str, told: str
) -> None:
    message = client(READ, name, revision)["error"]
    assert re.search(told, message), message


def test_without_a_network_the_remedies_are_named(client: Client) -> None:
    message = client(READ, "marco", REVISION, HF_ENDPOINT="http://127.0.0.1:9")["error"]
    assert f"tried {MARCO}@{REVISION[:12]}" in message
    assert "check the network" in message
    assert "\n" not in message


def test_a_damaged_file_in_the_cache_is_fetched_again(
    client: Client, hub: Hub, tmp_path: Path
) -> None:
    client(READ, "cotemp", REVISION)
    link = next((tmp_path / "hf").rglob("snapshots/*/equal.json"))
    link.resolve().write_bytes(link.read_bytes()[:20])
    assert client(READ, "cotemp", REVISION) == {"rows": EXPECTED["cotemp"]}


def test_a_token_goes_to_the_hub_and_stands_in_no_message(client: Client, hub: Hub) -> None:
    hub.faults[COTEMP] = "gated_403"
    found = client(READ, "cotemp", REVISION, HF_TOKEN=TOKEN)
    assert hub.tokens == {f"Bearer {TOKEN}"}
    assert TOKEN not in str(found)
