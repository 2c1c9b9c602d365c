"""Thousands of damaged raw files, and lines of ten megabytes."""

from pathlib import Path

import pytest
from formats import FORMATS, check
from mutations import mutated

LONG = ["x" * 10_000_000, "word " * 2_000_000 + "end."]
#: Of each format a text that may be any other.
INNER_TEXTS = (b"Mary moved to the bathroom.", b"Ann L\\u00f6f works for Yale", b"Results.")


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize(
    "count", [pytest.param(500, id="quick"), pytest.param(100_000, marks=pytest.mark.slow)]
)
def test_no_damage_makes_a_crash_a_hang_or_a_wrong_question(
    tmp_path: Path, name: str, count: int
) -> None:
    outcomes = [0, 0]
    for number in range(count):
        raw = mutated(FORMATS[name].raw, number)
        try:
            outcomes[check(FORMATS[name], raw, tmp_path)] += 1
        except Exception as error:
            raise AssertionError(f"case {number} of {name}: {raw[:300]!r}") from error
    assert min(outcomes) > count / 50, "the cases are not all of one kind"


@pytest.mark.parametrize("long", LONG, ids=["one word", "many words"])
@pytest.mark.parametrize("name", FORMATS)
def test_lines_of_ten_megabytes_are_read_or_refused_in_a_few_words(
    tmp_path: Path, name: str, long: str
) -> None:
    form = FORMATS[name]
    text = next(text for text in INNER_TEXTS if text in form.raw)
    raw = form.raw.replace(text, long.encode(), 1)
    assert check(form, raw, tmp_path)
    assert not check(form, raw[: len(raw) // 2], tmp_path)
    assert not check(form, raw.replace(b"a", b"\xff", 1), tmp_path)
