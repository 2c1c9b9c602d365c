import gzip
import json
from pathlib import Path

import pytest

from tracekd.datasets import rawfiles
from tracekd.datasets.rawtext import text_lines
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


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b'{"a": 1}\n{"a": 1, "b": 2, "a": 3}', "raw.json:2: the key 'a' stands twice"),
        (b'{"a": [{"\\ud800": 1, "\\ud800": 1}]}', r"raw.json:1: the key .*ud800' stands twice"),
        (b'{"a": NaN}', "raw.json:1: NaN is not a JSON value"),
        (b'{"a": -Infinity}', "raw.json:1: -Infinity is not a JSON value"),
        (b'{"a": 1}\n' + b"[" * 100_000, "raw.json:2: JSON nested too deeply"),
        (b'{"a": ' + b"1" * 5000 + b"}", "raw.json:1: a number with thousands of digits"),
        (b'{"a": 1}\r{"a": 2}', r"raw.json:1: not JSON \(column 10: Extra data\)"),
        (b"\xff\xfe{\x00", "raw.json:1: byte 0xff is not UTF-8"),
    ],
    ids=lambda value: repr(value[:24]),
)
def test_what_python_takes_for_json_but_the_standard_does_not_is_an_error(
    tmp_path: Path, content: bytes, told: str
) -> None:
    with pytest.raises(TracekdError, match=told) as error:
        list(rawfiles.json_records(written(tmp_path, content)))
    assert str(error.value).encode()


@pytest.mark.parametrize("content", [b'[{"a": 1}]', b'{"a": 1}\n'])
def test_a_byte_order_mark_is_skipped(tmp_path: Path, content: bytes) -> None:
    path = written(tmp_path, b"\xef\xbb\xbf" + content)
    assert [record for _, record in rawfiles.json_records(path)] == [{"a": 1}]
    text = written(tmp_path, b"\xef\xbb\xbf1 A.\n", "raw.txt")
    assert text_lines(text) == ["1 A."]


def test_a_line_of_ten_megabytes_is_one_record(tmp_path: Path) -> None:
    long = "x\U0001f600" * 2_000_000
    path = written(tmp_path, json.dumps({"a": long}, ensure_ascii=False).encode() + b'\n{"a": ""}')
    assert [record["a"] for _, record in rawfiles.json_records(path)] == [long, ""]


def test_a_column_key_is_shown_on_one_line_and_whole_unicode(tmp_path: Path) -> None:
    content = b'{"q": {"\\ud800\\n": "x"}, "t": {"\\ud800\\n": 1}}'
    [(place, _)] = rawfiles.json_records(written(tmp_path, content))
    assert place == r"raw.json:record \ud800\n"


def test_a_carriage_return_inside_a_line_is_an_error(tmp_path: Path) -> None:
    path = written(tmp_path, b"1 A.\r\n2 B.\r3 C.\n", "raw.txt")
    with pytest.raises(TracekdError, match=r"raw\.txt:2: a carriage return inside the line"):
        text_lines(path)


def test_a_gzip_file_that_unpacks_without_end_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rawfiles, "_ALWAYS_UNPACKED", 1_000_000)
    path = written(tmp_path, gzip.compress(b'["' + b" " * 20_000_000), "raw.json.gz")
    with pytest.raises(TracekdError, match="unpacks to more than 200 times its size"):
        list(rawfiles.json_records(path))


def test_a_bar_follows_the_bytes_on_disk_to_their_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(rawfiles, "_LARGE_PACKED", 1)
    monkeypatch.setattr(rawfiles, "_MEGABYTE", 1000)
    lines = b"".join(b'{"a": %d}\n' % (number**5) for number in range(3000))
    path = written(tmp_path, gzip.compress(lines), "raw.json.gz")
    assert len(list(rawfiles.json_records(path))) == 3000
    size = round(path.stat().st_size / 1000)
    assert f"{size}/{size}" in capsys.readouterr().err


def test_damage_inside_a_gzip_file_is_an_error(tmp_path: Path) -> None:
    whole = bytearray(gzip.compress(b'{"a": 1}\n' * 1000))
    whole[20] ^= 0x55
    with pytest.raises(TracekdError, match="not a whole gzip file"):
        list(rawfiles.json_records(written(tmp_path, bytes(whole), "raw.json.gz")))


def test_a_cut_gzip_file_is_an_error(tmp_path: Path) -> None:
    whole = gzip.compress(b'{"a": 1}\n' * 1000)
    with pytest.raises(TracekdError, match="not a whole gzip file"):
        list(rawfiles.json_records(written(tmp_path, whole[:-20], "raw.json.gz")))


def test_text_without_a_last_line_end_counts_as_cut(tmp_path: Path) -> None:
    with pytest.raises(TracekdError, match=r"raw\.txt:2: the last line has no line end"):
        text_lines(written(tmp_path, b"1 a\n2 b", "raw.txt"))


def test_text_that_is_not_utf8_names_line_and_byte(tmp_path: Path) -> None:
    with pytest.raises(TracekdError, match=r"raw\.txt:2: byte 0xfc is not UTF-8"):
        text_lines(written(tmp_path, b"1 a\n2 \xfc\n", "raw.txt"))


def test_an_object_over_several_lines_is_one_object(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    columns = {"query": {"0": "a", "1": "b"}, "answers": {"0": [], "1": []}}
    path.write_text(json.dumps(columns, indent=1))
    assert [record for _, record in rawfiles.json_records(path)] == [
        {"query": "a", "answers": []},
        {"query": "b", "answers": []},
    ]


def test_a_packed_file_that_is_not_named_so_is_an_error_that_says_so(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_bytes(gzip.compress(b"{}"))
    with pytest.raises(TracekdError, match=r"a.json:1: packed by gzip"):
        list(rawfiles.json_records(path))
