import hashlib
import shutil
from pathlib import Path

import polars as pl
import pytest

from tracekd.config import DatasetSpec, HubDataset, load_dataset, parse_settings
from tracekd.datasets import Wanted, sources
from tracekd.datasets.readers import babi, cotemp
from tracekd.errors import TracekdError

ROOT = Path(__file__).resolve().parents[2]
WANTED = Wanted(data_seed=0, train=None, test=None)
RECORD = """\
{"index": 0, "triple_element": "S1_R1_O2", "question": "q?", "facts": ["B."], "answer": ["B"]}
"""

MARCO = """\
{"query_id": %d, "query": "q%d", "passages": [{"passage_text": "a"}], "query_type": "entity", "answers": ["a"]}
"""  # noqa: E501


def spec(**values):
    entry = {"name": "mine", "reader": "cotemp", "options": {"classes": ["equal"]}}
    return parse_settings(DatasetSpec, entry | values, "datasets.yaml: mine")


@pytest.fixture
def raw(tmp_path, monkeypatch):
    """A folder of raw files in a project root that has a datasets.yaml."""
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))
    folder = tmp_path / "raw"
    folder.mkdir()
    (folder / "equal.json").write_text(RECORD)
    (tmp_path / "datasets.yaml").write_text(
        "mine:\n  reader: cotemp\n  options: {classes: [equal]}\n"
    )
    return folder


def pinned(raw, path="raw"):
    sources.pin("mine", raw.parent / "datasets.yaml", path)
    return load_dataset(raw.parent / "datasets.yaml", "mine")


def test_a_pinned_folder_is_read_from_the_project_root(raw):
    entry = pinned(raw)
    (raw / "README").write_text("the reader does not read it, so it does not count")
    loaded = sources.load(entry, WANTED)
    assert loaded.splits["train"]["id"].to_list() == ["cotemp/all/equal:0"]
    sha256 = hashlib.sha256(RECORD.encode()).hexdigest()
    assert loaded.raw == {"equal.json": sha256}
    # This is what users have pinned.
    assert entry.sha256 == hashlib.sha256(f"{sha256}  equal.json\n".encode()).hexdigest()


def test_changed_raw_data_is_an_error_with_both_hashes_and_the_remedy(raw):
    entry = pinned(raw)
    (raw / "equal.json").write_text(RECORD.replace("q?", "r?"))
    with pytest.raises(TracekdError) as error:
        sources.load(entry, WANTED)
    again = pinned(raw, None)
    for part in (entry.sha256, again.sha256, "`python stages/prepare.py --pin mine`"):
        assert str(part) in str(error.value)


def test_pinning_keeps_the_rest_of_the_file_as_it_is(raw):
    settings = Path(shutil.copy(ROOT / "datasets.yaml", raw.parent))
    (raw / "train.json").write_text(MARCO % (1, 1) + MARCO % (2, 2))
    before = settings.read_text().splitlines()
    (raw / "equal.json").unlink()
    sha256 = sources.pin("marco", settings, "raw")
    after = settings.read_text().splitlines()
    changed = [new.strip() for old, new in zip(before, after, strict=True) if old != new]
    assert changed == ["path: raw", f"sha256: {sha256}"]


def test_what_prepare_would_refuse_is_not_pinned(raw):
    settings = Path(shutil.copy(ROOT / "datasets.yaml", raw.parent))
    before = settings.read_text()
    # As en-valid names its files.
    for folder, message in ((raw, "expected one file qa1_"), (raw / "en-valid", "variant en;")):
        folder.mkdir(exist_ok=True)
        for split in ("train", "valid", "test"):
            (folder / f"qa1_{split}.txt").write_text("1 A.\n2 Who?\tA\t1\n")
        with pytest.raises(TracekdError, match=message):
            sources.pin("babi", settings, str(folder))
    assert settings.read_text() == before


def test_what_cannot_be_read_or_pinned_is_explained(raw):
    settings = raw.parent / "datasets.yaml"
    for message, faulty in (
        (r"mine: path is set but sha256 is null.*prepare\.py --pin mine", spec(path="raw")),
        (r"mine: path: no such folder or file: .*nowhere", spec(path="nowhere")),
        (r"mine: has no path, files or hub; .*--pin mine --path FOLDER", spec()),
        (r"babi_sim has .* needs none of", spec(reader="babi_sim", path="raw", options={})),
        (r"jsonl has no function read_hub", spec(reader="jsonl", hub=HUB, options={})),
    ):
        with pytest.raises(TracekdError, match=message):
            sources.load(faulty, WANTED)
    for message, name, path in (
        (r"mine: path is null; name the folder or file with --p", "mine", None),
        (r"no such folder or file: .*nowhere", "mine", "nowhere"),
        (r"--pin: .* no entry 'mime'.* did you mean mine", "mime", "raw"),
    ):
        with pytest.raises(TracekdError, match=message):
            sources.pin(name, settings, path)


def test_an_entry_with_addresses_is_downloaded_by_itself(raw, monkeypatch):
    monkeypatch.setattr(sources, "fetch_files", lambda *_: raw)
    blob = hashlib.sha1(b"blob %d\0" % len(RECORD) + RECORD.encode()).hexdigest()  # noqa: S324
    file = {"url": "http://127.0.0.1:9/equal.json", "git_hash": blob, "size": len(RECORD)}
    loaded = sources.load(spec(files={"equal.json": file}), WANTED)
    assert loaded.splits["train"]["id"].to_list() == ["cotemp/all/equal:0"]
    assert list(loaded.raw) == ["equal.json"]
    with pytest.raises(TracekdError, match=r"files\.\.\./x.*plain file name"):
        spec(files={"../x": file})


def test_the_files_of_cotemp_are_those_that_the_results_were_made_with(shared):
    entry = load_dataset(ROOT / "datasets.yaml", "cotemp")
    assert entry.files is not None
    assert set(entry.files) == {"equal.json", "overlap.json", "during.json", "mix.json"}
    for name in ("equal.json", "overlap.json", "mix.json"):
        content = (shared / "datasets" / "cotemp" / name).read_bytes()
        blob = hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()  # noqa: S324
        assert (entry.files[name].git_hash, entry.files[name].size) == (blob, len(content))


HUB = {"repo": "a/b", "revision": "0" * 40}
STORY = {
    "id": ["1", "2", "3", "4"],
    "type": [0, 0, 1, 0],
    "text": ["Mary moved to the den.", "John left.", "Where is Mary? ", "John moved."],
    "supporting_ids": [[], [], ["1"], []],
    "answer": ["", "", "den", ""],
}


def test_readers_read_the_files_of_the_hub(tmp_path, monkeypatch):
    """In the layouts of the real repositories; tests/test_fetch.py has the download itself."""
    monkeypatch.setattr(sources, "fetch_repository", lambda *_: tmp_path)
    hub = HubDataset.model_validate(HUB)
    (tmp_path / "equal.json").write_text(RECORD)
    for split in ("train", "test"):
        (tmp_path / f"en-qa1/{split}").mkdir(parents=True)
        pl.DataFrame([{"story": STORY}]).write_parquet(tmp_path / f"en-qa1/{split}/0000.parquet")
    loaded = cotemp.read_hub(hub, {"classes": ["equal"]})
    assert loaded.splits["train"]["source"].to_list() == ["equal.json:1"]
    for split, table in babi.read_hub(hub, {"tasks": [1]}).splits.items():
        (row,) = table.to_dicts()
        assert row["id"] == f"babi/{split}/qa1:3"
        assert row["source"] == f"en-qa1/{split}:3"
        assert row["context"] == ["Mary moved to the den.", "John left."]
        assert (row["answers"], row["gold_facts"]) == (["den"], [0])
    for wrong in ({"answer": ["", "", None, ""]}, {"text": [None] * 4}, {"id": ["1"]}):
        path = tmp_path / "en-qa1/test/0000.parquet"
        pl.DataFrame([{"story": STORY | wrong}]).write_parquet(path)
        with pytest.raises(TracekdError, match="en-qa1/test: row 1: story: expected the lists id"):
            babi.read_hub(hub, {"tasks": [1]})
    with pytest.raises(TracekdError, match=r"a/b@0{12} has no file mix\.json; choose"):
        cotemp.read_hub(hub, {"classes": ["mix"]})
