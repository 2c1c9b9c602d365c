import hashlib
import re
import resource
from pathlib import Path

import polars as pl
import pytest

from tracekd import records
from tracekd.errors import TracekdError
from tracekd.files import (
    atomic_directory,
    atomic_file,
    combined_hash,
    expanded,
    hash_files,
    read_json,
    require_pinned,
    sha256_file,
    write_json,
)


def test_a_file_appears_whole_or_not_at_all(tmp_path):
    path = tmp_path / "deep" / "table.txt"
    with atomic_file(path) as temporary:
        temporary.write_text("first")
        assert not path.exists()
    with pytest.raises(RuntimeError), atomic_file(path) as temporary:
        temporary.write_text("half")
        raise RuntimeError
    assert path.read_text() == "first"
    assert [entry.name for entry in path.parent.iterdir()] == ["table.txt"]


def test_a_folder_appears_whole_or_not_at_all(tmp_path):
    path = tmp_path / "out"
    with atomic_directory(path) as temporary:
        (temporary / "a").write_text("1")
        assert not path.exists()
    with pytest.raises(RuntimeError), atomic_directory(path) as temporary:
        (temporary / "b").write_text("2")
        raise RuntimeError
    assert [entry.name for entry in path.iterdir()] == ["a"]
    with atomic_directory(path) as temporary:
        (temporary / "c").write_text("3")
    assert [entry.name for entry in path.iterdir()] == ["c"]
    assert [entry.name for entry in tmp_path.iterdir()] == ["out"]


def test_a_full_disk_is_said_of_the_file_that_did_not_fit(tmp_path):
    table = pl.DataFrame({"id": [f"{n:032x}" for n in range(1 << 14)], "x": ["y"] * (1 << 14)})
    schema = records.Schema({"id": pl.String, "x": pl.String})
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (4096, before[1]))
        for path, write in {
            tmp_path / "a.json": lambda path: write_json(path, table["id"].to_list()),
            tmp_path / "a.parquet": lambda path: records.write(table, path, schema),
        }.items():
            with pytest.raises(OSError, match=re.escape(str(path))):
                write(path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_in_place_of_a_file_is_refused(tmp_path):
    for path in (tmp_path, Path()):
        with pytest.raises(TracekdError, match="is a folder; name a file"):
            write_json(path, {})


@pytest.mark.parametrize("content", [b"", b"{", b'{"a": "\xff"}', b"[" * 100_000])
def test_a_damaged_json_file_is_named(tmp_path, content):
    (tmp_path / "x.json").write_bytes(content)
    with pytest.raises(TracekdError, match=r"x\.json: not JSON"):
        read_json(tmp_path / "x.json")
    (tmp_path / "x.json").write_bytes(b'\xef\xbb\xbf{"a": 1}')
    assert read_json(tmp_path / "x.json") == {"a": 1}


def test_a_home_folder_that_is_not_there_is_an_error():
    with pytest.raises(TracekdError, match=r"^~nobody_at_all/x: "):
        expanded("~nobody_at_all/x")


def test_a_file_name_that_is_not_utf_8_is_hashed_by_its_bytes():
    assert combined_hash({"\udcff": "x"}) != combined_hash({"\udcfe": "x"})


def test_json_is_readable_by_others_and_refuses_what_json_lacks(tmp_path):
    write_json(tmp_path / "x.json", {"ä": [1, None]})
    assert (tmp_path / "x.json").read_text() == '{\n  "ä": [\n    1,\n    null\n  ]\n}\n'
    (tmp_path / "plain").touch()
    assert (tmp_path / "x.json").stat().st_mode == (tmp_path / "plain").stat().st_mode
    with pytest.raises(ValueError, match="JSON compliant"):
        write_json(tmp_path / "y.json", float("nan"))
    assert not (tmp_path / "y.json").exists()


def test_the_hash_of_a_set_of_files_depends_only_on_names_and_bytes(tmp_path):
    (tmp_path / "a").write_bytes(b"1" * 3_000_000)
    value = hashlib.sha256(b"1" * 3_000_000).hexdigest()
    assert sha256_file(tmp_path / "a") == value
    assert hash_files(tmp_path, [tmp_path / "a"]) == {"a": value}
    assert combined_hash({"a": "x", "b": "y"}) == combined_hash({"b": "y", "a": "x"})
    assert combined_hash({"a": "x"}) != combined_hash({"b": "x"})
    expected = hashlib.sha256(f"{value}  a\n".encode()).hexdigest()
    assert combined_hash({"a": value}) == expected, "hashes pinned by earlier versions stay valid"


def test_content_that_is_not_the_pinned_one_is_an_error_with_both_hashes():
    path, command = Path("data/raw"), "python stages/prepare.py --pin babi"
    require_pinned(path, "aa", "aa", "datasets.yaml: babi", command)
    with pytest.raises(TracekdError, match=f"^data/raw: .*pinned sha256 bb, found aa; .*{command}"):
        require_pinned(path, "aa", "bb", "datasets.yaml: babi", command)
    with pytest.raises(TracekdError, match=f"babi: path is set but sha256 is null.*{command}"):
        require_pinned(path, "aa", None, "datasets.yaml: babi", command)
