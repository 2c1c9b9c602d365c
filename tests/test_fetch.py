"""Downloads from a small real server on loopback: a hub with one repository, and plain files."""

import hashlib
from collections.abc import Iterator
from pathlib import Path

import huggingface_hub
import huggingface_hub.constants
import pytest
from hub_server import LARGE, REPO, REVISION, SMALL, TOKEN, Server, git_hash, serve

from tracekd.config import DatasetFile, HubModel
from tracekd.errors import TracekdError
from tracekd.fetch import fetch_files, fetch_repository


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Server]:
    with serve(monkeypatch, tmp_path) as server:
        yield server


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
