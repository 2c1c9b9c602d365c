import json
from pathlib import Path
from typing import Any

import pytest

from tracekd.datasets import blocks, rawfiles
from tracekd.errors import TracekdError

#: Keys, braces and quotes in texts must not be taken for those of the file.
RECORDS: list[dict[str, Any]] = [
    {
        "query": text,
        "query_id": number,
        "passages": {"is_selected": [0], "passage_text": [f'{{"{number + 1}": {{"0": "1"}}}}']},
        "answers": [str(number + 1), "0"],
    }
    for number, text in enumerate(['"1": {', "}, ", '\\"2\\":', "é\n", "\u2028", "7", "}}", "{{"])
]
COLUMNS = {name: {str(n): r[name] for n, r in enumerate(RECORDS)} for name in RECORDS[0]}


def cut(path: Path, size: int) -> list[tuple[str, Any]]:
    return [record for block in blocks.cut(path, size) for record in blocks.records(block)]


@pytest.mark.parametrize("size", [1, 150, 10_000])
@pytest.mark.parametrize(
    "text",
    [
        json.dumps(COLUMNS),
        json.dumps(COLUMNS, separators=(",", ":"), ensure_ascii=False) + "\n",
        "\ufeff " + json.dumps(COLUMNS, separators=(" , ", " : ")) + " ",
        "".join(json.dumps(record) + "\n" for record in RECORDS),
        "\n" + "\r\n".join(json.dumps(record, ensure_ascii=False) for record in RECORDS),
    ],
)
def test_blocks_hold_the_records_of_the_whole_file(tmp_path: Path, text: str, size: int) -> None:
    path = tmp_path / "a.json"
    path.write_bytes(text.encode())
    assert cut(path, size) == list(rawfiles.json_records(path))
    assert len(list(blocks.cut(path, 1))) >= len(RECORDS)


@pytest.mark.parametrize(
    "text",
    [
        json.dumps(RECORDS),
        json.dumps(COLUMNS)[:-1],
        json.dumps(COLUMNS)[:-20],
        json.dumps(COLUMNS) + json.dumps(COLUMNS),
        json.dumps({**COLUMNS, "query": dict(reversed(COLUMNS["query"].items()))}),
        json.dumps({**COLUMNS, "query": {**COLUMNS["query"], "more": "x"}}),
        json.dumps({**COLUMNS, "version": 2}),
        json.dumps({"query": COLUMNS["query"]}),
        json.dumps(COLUMNS).replace('"4":', '"3":'),
        "",
    ],
)
def test_a_file_of_another_form_is_refused_and_not_misread(tmp_path: Path, text: str) -> None:
    path = tmp_path / "a.json"
    path.write_text(text)
    for size in (1, 150):
        with pytest.raises(blocks.UnevenError):
            cut(path, size)


def test_damage_of_a_line_is_told_with_its_number(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    lines = [json.dumps(record) for record in RECORDS]
    lines[5] = lines[5][:-3]
    path.write_text("\n".join(lines) + "\n")
    with pytest.raises(TracekdError, match=r"a\.jsonl:6: not JSON"):
        cut(path, 100)
