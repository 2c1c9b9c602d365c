import gzip
import json
from pathlib import Path

import pytest

from tracekd.datasets import rawfiles
from tracekd.errors import TracekdError


def written(folder: Path, content: bytes, name: str = "raw.json") -> Path:
    path = folder / name
    path.write_bytes(content)
    return path


def test_json_lines_are_read_with_lf_crlf_and_blank_lines(tmp_path: Path) -> None:
    path = written(tmp_path, b'{"a": 1}\r\n\n{"a": 2}')
    assert list(rawfiles.json_records(path)) == [("raw.json:1", {"a": 1}), ("raw.json:3", {"a": 2})]


def test_an_array_and_a_gzipped_object_of_columns_give_the_same_records(tmp_path: Path) -> None:
    array = written(tmp_path, b'\n [{"q": "x", "t": 1},\n {"q": "y"}]')
    columns = json.dumps({"q": {"0": "x", "7": "y"}, "t": {"0": 1}}).encode()
    zipped = written(tmp_path, gzip.compress(columns), "raw.json.gz")
    assert [record for _, record in rawfiles.json_records(array)] == [
        {"q": "x", "t": 1},
        {"q": "y"},
    ]
    assert list(rawfiles.json_records(zipped)) == [
        ("raw.json.gz:record 0", {"q": "x", "t": 1}),
        ("raw.json.gz:record 7", {"q": "y"}),
    ]


@pytest.mark.parametrize(
    ("content", "place"),
    [
        (b'{"a": 1}\n{"a": "cut in the mid', "raw.json:2: not JSON"),
        (b'[{"a": 1},\n{"a": 2', "raw.json:2: not JSON"),
        (b'{"a": 1}\n{"a": "\xe9"}\n', "raw.json:2: byte 0xe9 is not UTF-8"),
        (b'[\n\n{"a": "\xff"}]', "raw.json:3: byte 0xff is not UTF-8"),
    ],
)
def test_damage_of_a_json_file_is_an_error_with_its_place(
    tmp_path: Path, content: bytes, place: str
) -> None:
    with pytest.raises(TracekdError, match=place):
        list(rawfiles.json_records(written(tmp_path, content)))


def test_a_cut_gzip_file_is_an_error(tmp_path: Path) -> None:
    whole = gzip.compress(b'{"a": 1}\n' * 1000)
    with pytest.raises(TracekdError, match="not a whole gzip file"):
        list(rawfiles.json_records(written(tmp_path, whole[:-20], "raw.json.gz")))


def test_text_without_a_last_line_end_counts_as_cut(tmp_path: Path) -> None:
    with pytest.raises(TracekdError, match=r"raw\.txt:2: the last line has no line end"):
        rawfiles.text_lines(written(tmp_path, b"1 a\n2 b", "raw.txt"))


def test_text_that_is_not_utf8_names_line_and_byte(tmp_path: Path) -> None:
    with pytest.raises(TracekdError, match=r"raw\.txt:2: byte 0xfc is not UTF-8"):
        rawfiles.text_lines(written(tmp_path, b"1 a\n2 \xfc\n", "raw.txt"))
