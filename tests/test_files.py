import errno
import hashlib
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from tracekd.files import atomic_directory, atomic_file, combined_hash, sha256_file, write_json


def test_a_file_appears_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "table.txt"
    with atomic_file(path) as temporary:
        temporary.write_text("first")
        assert not path.exists()
    assert path.read_text() == "first"
    with pytest.raises(RuntimeError), atomic_file(path) as temporary:
        temporary.write_text("half")
        raise RuntimeError
    assert path.read_text() == "first"
    assert [entry.name for entry in path.parent.iterdir()] == ["table.txt"]


def test_a_folder_appears_whole_or_not_at_all(tmp_path: Path) -> None:
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


@pytest.mark.parametrize("make", [atomic_file, atomic_directory])
def test_what_a_killed_process_left_goes_and_what_a_living_one_holds_stays(
    make: Callable[[Path], AbstractContextManager[Path]], tmp_path: Path
) -> None:
    path = tmp_path / "out"
    (tmp_path / ".out.killed.tmp").mkdir()
    (tmp_path / ".out.killed.tmp" / "half").touch()
    (tmp_path / ".out.too.tmp").touch()
    (tmp_path / ".out.link.tmp").symlink_to(tmp_path / ".outer.tmp")
    (tmp_path / ".outer.tmp").mkdir()
    with make(path) as held:
        with make(path) as other:
            assert sorted(tmp_path.iterdir()) == sorted([held, other, tmp_path / ".outer.tmp"])
        assert held.exists()
    assert sorted(tmp_path.iterdir()) == [tmp_path / ".outer.tmp", path]


def test_a_refusal_to_write_names_what_was_to_be_written(tmp_path: Path) -> None:
    told = "File out of specification: No space left on device (os error 28)"
    with pytest.raises(OSError, match="No space left") as caught, atomic_file(tmp_path / "x"):
        raise ValueError(told)
    assert (caught.value.errno, caught.value.filename) == (errno.ENOSPC, str(tmp_path / "x"))
    with (
        pytest.raises(OSError, match="No space left") as caught,
        atomic_directory(tmp_path / "x") as folder,
        atomic_file(folder / "y"),
    ):
        raise ValueError(told)
    assert (caught.value.errno, caught.value.filename) == (errno.ENOSPC, str(tmp_path / "x/y"))
    assert list(tmp_path.iterdir()) == []


def test_an_error_of_reading_is_not_blamed_on_what_is_written(tmp_path: Path) -> None:
    with pytest.raises(PermissionError, match="source") as caught, atomic_file(tmp_path / "x"):
        raise PermissionError("Permission denied (os error 13): source")
    assert caught.value.filename is None


def test_files_written_are_readable_by_others(tmp_path: Path) -> None:
    write_json(tmp_path / "x.json", {"a": 1})
    (tmp_path / "plain").touch()
    assert (tmp_path / "x.json").stat().st_mode == (tmp_path / "plain").stat().st_mode


def test_json_refuses_numbers_that_json_has_not(tmp_path: Path) -> None:
    write_json(tmp_path / "x.json", {"ä": [1, None]})
    assert (tmp_path / "x.json").read_text() == '{\n  "ä": [\n    1,\n    null\n  ]\n}\n'
    with pytest.raises(ValueError, match="JSON compliant"):
        write_json(tmp_path / "y.json", float("nan"))
    assert not (tmp_path / "y.json").exists()


def test_the_hash_of_a_set_of_files_depends_on_names_and_bytes_alone(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"1" * 3_000_000)
    assert sha256_file(tmp_path / "a") == hashlib.sha256(b"1" * 3_000_000).hexdigest()
    assert combined_hash({"a": "x", "b": "y"}) == combined_hash({"b": "y", "a": "x"})
    assert combined_hash({"a": "x"}) != combined_hash({"b": "x"})
