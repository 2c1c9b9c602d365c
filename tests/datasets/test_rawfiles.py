import gzip
import json

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracekd.datasets import json_columns, rawfiles
from tracekd.errors import TracekdError

RECORDS = [{"q": "x", "t": 1}, {"q": '"1": {\n', "t": 2}, {"q": "z\u00e9", "t": None}]


def written(folder, content, name="raw.json"):
    path = folder / name
    path.write_bytes(content)
    return path


def columns(records):
    return {key: {str(n): row[key] for n, row in enumerate(records)} for key in records[0]}


def records(path):
    return [record for _, record in rawfiles.json_records(path)]


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("form", ["lines", "array", "columns", "indented columns"])
def test_every_form_gives_the_same_records(tmp_path, form, packed):
    text = {
        "lines": "\r\n\n".join(map(json.dumps, RECORDS)),
        "array": "\n " + json.dumps(RECORDS, ensure_ascii=False),
        "columns": json.dumps(columns(RECORDS), ensure_ascii=False),
        "indented columns": json.dumps(columns(RECORDS), indent=2) + "\n",
    }[form].encode()
    content = gzip.compress(text) if packed else b"\xef\xbb\xbf" + text
    path = written(tmp_path, content)  # what is in it matters, not its name
    assert records(path) == RECORDS
    places = {"lines": "3", "array": "record 2"}.get(form, "record 1")
    assert [place for place, _ in rawfiles.json_records(path)][1] == f"{path.name}:{places}"


ROW = st.fixed_dictionaries(
    {
        "q": st.text('"\\:{},0 1\n', max_size=12),
        "p": st.lists(st.dictionaries(st.sampled_from("abc"), st.text("0\"'", max_size=3))),
        "n": st.none() | st.integers(0, 20) | st.sampled_from(["0", "1", '"1":']),
    }
)


@given(
    rows=st.lists(ROW, min_size=1, max_size=12),
    piece=st.integers(4, 60),
    indent=st.sampled_from([None, 1]),
)
def test_columns_are_read_right_wherever_the_file_is_cut_into_pieces(
    tmp_path_factory, rows, piece, indent
):
    path = tmp_path_factory.mktemp("columns") / "raw.json"
    path.write_text(json.dumps(columns(rows), indent=indent))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(json_columns, "_PIECE", 40 + piece)
        patch.setattr(json_columns, "_NAME", 40)
        assert records(path) == rows


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b'{"a": 1}\n{"a": "cut in the mid', "raw.json:2: not JSON"),
        (b'[{"a": 1},\n{"a": 2', "raw.json:2: not JSON"),
        (b'{"a": 1}\n{"a": "\xe9"}\n', "raw.json:2: 'utf-8' codec can't decode byte 0xe9"),
        (b"\xff\xfe{\x00", "raw.json:1: 'utf-8' codec can't decode byte 0xff"),
        (b'{"q": {"0": "\xe9"}}', "raw.json: 'utf-8' codec can't decode byte 0xe9"),
        (b'{"q": {"0": ' + b"[" * 100_000, "raw.json: maximum recursion depth"),
        (b'{"a": 1}\n{"a": 1, "b": 2, "a": 3}', "raw.json:2: duplicate key 'a' in an object"),
        (b'{"a": [{"\\ud800": 1, "\\ud800": 1}]}', r"raw.json:1: duplicate key .*ud800' in"),
        (b'{"a": NaN}', "raw.json:1: NaN is not a JSON value"),
        (b'{"a": 1}\n' + b"[" * 100_000, "raw.json:2: maximum recursion depth"),
        (b'{"a": ' + b"1" * 5000 + b"}", "raw.json:1: Exceeds the limit"),
        (b'{"a": 1}\r{"a": 2}', r"raw.json:1: not JSON \(column 10: Extra data\)"),
        *(
            (b'{"q": {"0": "x", "7": "y"}, ' + rest, "(same keys in the same order|not JSON)")
            for rest in (b'"t": {"0": 1}}', b'"t": {"7": 1, "0": 2}}', b'"t": {"0": 1, "7": 2')
        ),
        (b'{"q": {"0": "x"}, "q": {"0": "y"}}', "(same keys in the same order|not JSON)"),
    ],
    ids=lambda value: repr(value[:24]),
)
def test_damage_of_a_json_file_is_an_error_with_its_place(tmp_path, content, message):
    with pytest.raises(TracekdError, match=message) as error:
        records(written(tmp_path, content))
    assert str(error.value).encode()


def test_a_cut_gzip_file_is_an_error(tmp_path):
    packed = gzip.compress(b'{"a": 1}\n' * 1000)
    for raw in (packed[: len(packed) // 2], packed[:-8] + b"\0" * 8):
        with pytest.raises(TracekdError, match="not a complete gzip file"):
            records(written(tmp_path, raw, "raw.json.gz"))


def test_parquet_rows_have_their_number_and_damage_is_an_error(tmp_path):
    path = tmp_path / "a.parquet"
    pl.DataFrame({"a": [1, 2, 3]}).write_parquet(path)
    expected = [(f"a.parquet:row {n}", {"a": n}) for n in (1, 2, 3)]
    assert list(rawfiles.parquet_records(path)) == expected
    path.write_bytes(b"PAR1")
    with pytest.raises(TracekdError, match=r"a\.parquet: not a parquet file after row 0"):
        list(rawfiles.parquet_records(path))


def test_text_lines_are_utf8_with_any_line_end_and_damage_is_an_error(tmp_path):
    path = written(tmp_path, b"\xef\xbb\xbf1 A.\r\n2 B.\n3 C.\r", "raw.txt")
    assert rawfiles.text_lines(path) == ["1 A.", "2 B.", "3 C."]
    for content, message in (
        (b"1 a\n2 b", r"raw\.txt:2: the last line has no line end"),
        (b"1 a\n2 \xfc\n", r"raw\.txt: 'utf-8' codec can't decode byte 0xfc in position 6"),
    ):
        with pytest.raises(TracekdError, match=message):
            rawfiles.text_lines(written(tmp_path, content, "raw.txt"))


def test_a_link_to_nothing_is_an_error_and_not_a_file_less(tmp_path):
    (tmp_path / "a.txt").symlink_to(tmp_path / "gone")
    with pytest.raises(FileNotFoundError):
        [rawfiles.text_lines(path) for path in rawfiles.files(tmp_path, "*.txt")]
