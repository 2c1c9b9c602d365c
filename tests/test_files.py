import hashlib
from pathlib import Path

import pytest

from tracekd.errors import TracekdError
from tracekd.files import (
    atomic_directory,
    atomic_file,
    combined_hash,
    hash_files,
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
