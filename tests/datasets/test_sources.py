import shutil
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import yaml

from tracekd.config import DatasetSpec, load_dataset
from tracekd.datasets import Loaded, Wanted, sources, table
from tracekd.datasets.readers import cotemp
from tracekd.errors import TracekdError

ROOT = Path(__file__).resolve().parents[2]
WANTED = Wanted(data_seed=0, train=None, test=None)
RECORD = (
    '{"index": 0, "triple_element": "S1_R1_O2", "question": "q?", "facts": ["B."], '
    '"answer": ["B"]}\n'
)


def spec(**values: Any) -> DatasetSpec:
    entry = {
        "reader": "cotemp",
        "answer_metric": "cotemp",
        "answers": "all",
        "class_sentence": "{class}",
        "facts": {"paper": "answer_string"},
        "options": {"classes": ["equal"]},
    }
    return DatasetSpec.model_validate(entry | values)


@pytest.fixture
def raw(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project root with a raw folder in it."""
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))
    folder = tmp_path / "raw"
    folder.mkdir()
    (folder / "equal.json").write_text(RECORD)
    shutil.copy(ROOT / "datasets.yaml", tmp_path / "datasets.yaml")
    return folder


def pinned(raw: Path, path: str = "raw") -> DatasetSpec:
    settings = raw.parent / "datasets.yaml"
    entries = yaml.safe_load(settings.read_text())
    entries["cotemp"]["options"] = {"classes": ["equal"]}
    settings.write_text(yaml.safe_dump(entries))
    sources.pin("cotemp", settings, path)
    return load_dataset(settings, "cotemp")


def test_a_pinned_folder_is_read_from_the_project_root(raw: Path) -> None:
    loaded = sources.load("cotemp", pinned(raw), WANTED)
    assert loaded.splits["train"]["id"].to_list() == ["cotemp/all/equal:0"]
    assert list(loaded.raw) == ["equal.json"]
    assert len(loaded.raw["equal.json"]) == 64


def test_changed_raw_data_is_an_error_that_names_both_hashes_and_the_remedy(raw: Path) -> None:
    entry = pinned(raw)
    (raw / "equal.json").write_text(RECORD.replace("B", "C"))
    found = sources.pin("cotemp", raw.parent / "datasets.yaml")
    with pytest.raises(TracekdError) as error:
        sources.load("cotemp", entry, WANTED)
    for part in (entry.sha256, found, r"python stages/prepare.py --pin cotemp"):
        assert str(part) in str(error.value)


def test_that_files_are_not_the_pinned_ones_comes_before_what_is_wrong_in_them(raw: Path) -> None:
    entry = pinned(raw)
    (raw / "equal.json").write_text("no JSON")
    with pytest.raises(TracekdError, match="not those that datasets"):
        sources.load("cotemp", entry, WANTED)
    sources.pin("cotemp", raw.parent / "datasets.yaml")
    again = load_dataset(raw.parent / "datasets.yaml", "cotemp")
    with pytest.raises(TracekdError, match=r"equal\.json:1: not JSON"):
        sources.load("cotemp", again, WANTED)


def test_a_file_that_the_reader_does_not_use_changes_no_hash(raw: Path) -> None:
    entry = pinned(raw)
    (raw / "README").write_text("x")
    assert sources.load("cotemp", entry, WANTED).rejected == []


def test_a_folder_without_a_pin_is_an_error_that_says_how_to_pin(raw: Path) -> None:
    with pytest.raises(TracekdError, match=r"sha256 is null.*prepare\.py --pin cotemp"):
        sources.load("cotemp", spec(path="raw"), WANTED)


def test_pinning_keeps_the_rest_of_the_file_as_it_is(raw: Path) -> None:
    settings = raw.parent / "datasets.yaml"
    (raw.parent / "babi").mkdir()
    (raw.parent / "babi" / "qa1_single-supporting-fact_train.txt").write_text("1 A.\n")
    before = settings.read_text().splitlines()
    sha256 = sources.pin("babi", settings, "babi")
    after = settings.read_text().splitlines()
    changed = [(old, new) for old, new in zip(before, after, strict=True) if old != new]
    assert [new.split("#")[0].strip() for _, new in changed] == ["path: babi", f"sha256: {sha256}"]
    assert [line.count("#") for line in before] == [line.count("#") for line in after]
    assert load_dataset(settings, "babi").sha256 == sha256


def test_what_cannot_be_pinned_is_said(raw: Path) -> None:
    settings = raw.parent / "datasets.yaml"
    before = settings.read_bytes()
    with pytest.raises(TracekdError, match="--pin: unknown data set 'babbi'; did you mean babi"):
        sources.pin("babbi", settings)
    with pytest.raises(TracekdError, match="path is null, so there is no folder to pin"):
        sources.pin("babi", settings)
    with pytest.raises(TracekdError, match=r"no such folder: .*nowhere"):
        sources.pin("babi", settings, "nowhere")
    with pytest.raises(TracekdError, match="makes its data itself"):
        sources.pin("babi_sim", settings, "raw")
    assert settings.read_bytes() == before


def test_an_absent_source_or_reader_is_named(raw: Path) -> None:
    with pytest.raises(TracekdError, match=r"cotemp: no source; .*--pin cotemp --path FOLDER"):
        sources.load("cotemp", spec(), WANTED)
    with pytest.raises(TracekdError, match=r"path: no such folder: .*nowhere"):
        sources.load("cotemp", spec(path="nowhere"), WANTED)
    with pytest.raises(TracekdError, match="unknown reader 'cotmp'; did you mean cotemp"):
        sources.load("cotemp", spec(reader="cotmp"), WANTED)
    with pytest.raises(TracekdError, match="reader babi_sim reads no hub data set"):
        hub = {"repo": "a/b", "revision": "0" * 40}
        sources.load("x", spec(reader="babi_sim", hub=hub), WANTED)


QUESTION = {
    "id": "q/1",
    "question": "?",
    "context": ["a"],
    "answers": ["a"],
    "question_class": "c",
    "subtype": None,
    "gold_facts": None,
    "source": "f:1",
}


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"train": []}, "returned dict, expected Loaded"),
        (Loaded({"train": pl.DataFrame()}, []), "the splits .'train'., expected train and test"),
        (Loaded({"train": [QUESTION], "test": []}, []), "split train is a list; make a table"),  # type: ignore[dict-item]
    ],
)
def test_a_reader_that_gives_something_else_is_named(
    raw: Path, monkeypatch: pytest.MonkeyPatch, given: object, message: str
) -> None:
    entry = pinned(raw)
    monkeypatch.setattr(cotemp, "read", lambda *_: given)
    with pytest.raises(TracekdError, match=f"^reader cotemp: .*{message}"):
        sources.load("cotemp", entry, WANTED)


def test_a_row_with_text_for_a_list_or_without_a_key_is_named() -> None:
    assert table([QUESTION])["answers"].to_list() == [["a"]]
    with pytest.raises(TracekdError, match=r"f:1: q/1: answers is text.*expected List"):
        table([QUESTION, QUESTION | {"answers": "attic"}])
    with pytest.raises(TracekdError, match="f:1: q/1: subtype is missing"):
        table([{key: value for key, value in QUESTION.items() if key != "subtype"}])
