"""Models from a hub: the real client and transformers, against a hub on loopback."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from hub_server import REVISION, Fault, Hub

LOCATE = """
from tracekd.config import HubModel, ModelSpec
from tracekd.model_sources import locate
repo, revision = sys.argv[1:3]
spec = ModelSpec(hub=HubModel(repo=repo, revision=revision), max_length=64)
folder = locate("mine", spec)
answer(files=sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file()))
"""
LOAD = """
import torch
from tracekd.config import HubModel, ModelSpec
from tracekd.devices import Device
from tracekd.models import load_base, load_encoder
found = {}
for repo in sys.argv[2:]:
    spec = ModelSpec(hub=HubModel(repo=repo, revision=sys.argv[1]), max_length=64)
    model = load_base("mine", spec, Device(torch.device("cpu"), torch.float32))
    ids = load_encoder("mine", spec).prompt_ids("S", "Q")
    with torch.no_grad():
        shape = model(torch.tensor([ids])).logits.shape
    found[model.config.model_type] = list(shape)[:2] == [1, len(ids)]
answer(**found)
"""
ONE_FILE = """
import huggingface_hub
huggingface_hub.hf_hub_download(sys.argv[1], "config.json", revision=sys.argv[2])
answer()
"""
LLAMA, QWEN = "meta/Tiny-Llama", "Qwen/Tiny-Qwen3"
FILES = [
    "chat_template.jinja",
    "config.json",
    "generation_config.json",
    "model.safetensors",
    "tokenizer.json",
    "tokenizer_config.json",
]

Client = Callable[..., dict[str, Any]]


def test_hub_models_load_and_then_need_no_network(client: Client, hub: Hub) -> None:
    for repo in (LLAMA, QWEN):
        assert client(LOCATE, repo, REVISION) == {"files": FILES}, "no pickle, no others' files"
    offline = {"HF_ENDPOINT": "http://127.0.0.1:9", "HF_HUB_OFFLINE": "1"}
    assert client(LOAD, REVISION, LLAMA, QWEN, **offline) == {"llama": True, "qwen3": True}


@pytest.mark.parametrize(
    ("fault", "told"),
    [
        ("gated_401", f"but it is gated; accept its licence at https://huggingface.co/{LLAMA} and"),
        ("gated_403", "but it is gated; accept its licence at"),
        ("forbidden", "but it refuses you (HTTP 403); run `hf auth login`, or set"),
        ("gone", "but it does not exist or is not open to you; check the name"),
        ("broken", "but it answers HTTP 500; try again later"),
        ("stalled", "could not reach it or was cut off"),
        pytest.param("cut", "could not reach it or was cut off", marks=pytest.mark.slow),
        ("wrong", "is not what the hub states (its hash differs), twice in a row"),
    ],
)
def test_a_fault_is_one_sentence_and_a_second_try_works(
    client: Client, hub: Hub, fault: Fault, told: str
) -> None:
    hub.faults[LLAMA] = fault
    message = client(LOCATE, LLAMA, REVISION)["error"]
    assert message.startswith(f"model mine: tried {LLAMA}@{REVISION[:12]} on the Hugging Face hub,")
    assert told in message
    assert "set `path:` of mine in models.yaml to a folder with its files" in message
    assert "\n" not in message
    hub.faults.clear()
    assert client(LOCATE, LLAMA, REVISION) == {"files": FILES}


@pytest.mark.parametrize("fault", ["slow", "cut_once", "wrong_once"])
def test_what_passes_by_itself_is_waited_for(client: Client, hub: Hub, fault: Fault) -> None:
    hub.faults[QWEN] = fault
    assert client(LOCATE, QWEN, REVISION) == {"files": FILES}


def test_a_revision_that_is_gone_is_named_with_where_to_find_another(client: Client) -> None:
    message = client(LOCATE, QWEN, "9" * 40)["error"]
    assert f"has no such revision; choose one from https://huggingface.co/{QWEN}/commits" in message


def test_without_a_network_the_remedies_are_named(client: Client) -> None:
    message = client(LOCATE, QWEN, REVISION, HF_ENDPOINT="http://127.0.0.1:9")["error"]
    assert "check the network and run again" in message
    assert "or set `path:` of mine in models.yaml" in message
    assert "\n" not in message


def test_a_cache_of_which_a_part_is_missing_is_filled(
    client: Client, hub: Hub, tmp_path: Path
) -> None:
    assert client(ONE_FILE, QWEN, REVISION) == {}
    assert client(LOCATE, QWEN, REVISION) == {"files": FILES}, "another program left one file"
    next((tmp_path / "hf").rglob("snapshots/*/model.safetensors")).unlink()
    assert client(LOCATE, QWEN, REVISION) == {"files": FILES}, "a file of a known list is missing"


def test_a_part_of_a_model_is_never_taken_for_all_of_it(client: Client) -> None:
    assert client(ONE_FILE, QWEN, REVISION) == {}
    message = client(LOCATE, QWEN, REVISION, HF_ENDPOINT="http://127.0.0.1:9")["error"]
    assert f"tried {QWEN}@{REVISION[:12]}" in message


def test_damaged_weights_in_the_cache_are_fetched_again(
    client: Client, hub: Hub, tmp_path: Path
) -> None:
    client(LOCATE, QWEN, REVISION)
    weights = next((tmp_path / "hf").rglob("snapshots/*/model.safetensors"))
    whole = weights.read_bytes()
    weights.resolve().write_bytes(whole[:-8] + bytes(8))
    assert client(LOCATE, QWEN, REVISION) == {"files": FILES}
    assert weights.read_bytes() == whole


def test_two_processes_that_fetch_at_the_same_moment_both_get_the_whole_model(
    client: Client, hub: Hub
) -> None:
    hub.faults[QWEN] = "slow"
    with ThreadPoolExecutor() as pool:
        found = [pool.submit(client, LOCATE, QWEN, REVISION) for _ in range(2)]
    assert [each.result() for each in found] == [{"files": FILES}] * 2
    assert max(hub.served.values()) == 1, "the second waits and fetches nothing"


def test_a_fetch_that_is_killed_is_taken_up_by_the_next(
    client: Client, hub: Hub, tmp_path: Path
) -> None:
    hub.faults[QWEN] = "stuck"
    killed = (
        "import os, signal, threading, time\n"
        "def kill():\n"
        "    time.sleep(2.5)\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
        f"threading.Thread(target=kill, daemon=True).start(){LOCATE}"
    )
    assert client(killed, QWEN, REVISION, HF_HUB_DOWNLOAD_TIMEOUT="60") == {"killed": True}
    assert list((tmp_path / "hf").rglob("*.incomplete")), "killed in the middle of a file"
    hub.faults.clear()
    assert client(LOCATE, QWEN, REVISION) == {"files": FILES}
