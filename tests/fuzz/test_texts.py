"""The grammar and the settings under thousands of damaged texts."""

import random
import time
from pathlib import Path

import polars as pl
import pytest
from mutations import TEXTS, mutated
from texts import (
    COMPLETIONS,
    ROOT,
    SENTENCE,
    SETTINGS,
    check_reading,
    check_settings,
    settings_file,
)

from tracekd.config import load_params
from tracekd.errors import TracekdError
from tracekd.traces.grammar import FACTS_HEADER, NO_FACTS
from tracekd.traces.reading import read, read_column

#: Pieces from which texts are put together: the grammar's own, and what breaks readers.
PIECES = (
    "<think>", "</think>", "<answer>", "</answer>", "<THINK>", "\n", "\n- ", "\n* ", "1. ", "; ",
    "\\;", "\\<", "...", FACTS_HEADER, NO_FACTS, "The category of the question is: ", "counting",
    ".", "['a', \"b\"]", "', '", "Mary's", "I need to", *TEXTS,
)  # fmt: skip
COUNTS = [pytest.param(3000, id="quick"), pytest.param(100_000, marks=pytest.mark.slow)]


def text_of_case(number: int) -> str:
    draw = random.Random(number)  # noqa: S311
    if number % 2:
        return "".join(draw.choice(PIECES) for _ in range(draw.randint(0, 12)))
    return mutated(draw.choice(COMPLETIONS).encode(), number).decode("utf-8", "replace")


@pytest.mark.parametrize("count", COUNTS)
def test_the_grammar_reads_any_text_and_calls_strict_only_what_it_would_write(count: int) -> None:
    forms = dict.fromkeys(("strict", "lenient", "failed"), 0)
    for number in range(count):
        text = text_of_case(number)
        try:
            forms[check_reading(text)] += 1
        except Exception as error:
            raise AssertionError(f"case {number}: {text[:400]!r}") from error
    assert min(forms.values()) > count / 100


@pytest.mark.parametrize(
    "sentence", [SENTENCE, "{class}", "- {class}", "... {class}", "I need to use the {class}:"]
)
def test_a_column_of_texts_is_read_as_each_text_is(sentence: str) -> None:
    texts = [text_of_case(number).replace(SENTENCE[:-8], sentence[:-8]) for number in range(2000)]
    rows = [
        (
            found.form,
            found.trace.class_name,
            None if found.trace.facts is None else list(found.trace.facts),
            found.answer_text,
            list(found.answers),
        )
        for found in (read(text, sentence) for text in texts)
    ]
    assert read_column(pl.Series(texts, dtype=pl.String), sentence).rows() == rows


@pytest.mark.parametrize("blank", ["\t", "\u2003", "\x85", "\x1c", " \u3000 "])
def test_an_answer_of_white_space_alone_is_none(blank: str) -> None:
    assert read(f"<answer>{blank}</answer>", SENTENCE).form == "failed"


def test_letters_that_grow_in_lower_case_do_not_shift_the_class() -> None:
    text = (
        "<think>\u0130\u0130 the category of the question is: counting.</think><answer>2</answer>"
    )
    assert read(text, SENTENCE).trace.class_name == "counting"


@pytest.mark.parametrize(
    "text",
    [
        "x" * 10_000_000,
        f"<think>{FACTS_HEADER}\n[" + " " * 1_000_000 + "x",
        f"<think>{FACTS_HEADER}\n[" + "'a', " * 200_000,
        "<think>\n" + "\n</think>\n<answer>" * 100_000,
        "<answer>" + "\\" * 1_000_001,
        "<answer>" + "; " * 300_000 + "</answer>",
        "<think>" * 300_000,
        "The category of the question is: " * 50_000,
        "\n- " * 500_000,
    ],
    ids=lambda text: repr(text[:20]),
)
def test_the_grammar_is_quick_on_megabytes(text: str) -> None:
    started = time.process_time()
    read(text, SENTENCE)
    assert time.process_time() - started < 5


@pytest.mark.parametrize("name", SETTINGS)
@pytest.mark.parametrize(
    "count", [pytest.param(120, id="quick"), pytest.param(100_000, marks=pytest.mark.slow)]
)
def test_damaged_settings_are_an_error_or_mean_what_they_say(
    tmp_path: Path, name: str, count: int
) -> None:
    raw = settings_file(name)
    for number in range(count):
        damaged = mutated(raw, number)
        try:
            check_settings(name, damaged, tmp_path)
        except Exception as error:
            raise AssertionError(f"case {number} of {name}") from error


@pytest.mark.parametrize(
    ("damage", "told"),
    [
        ("seed: true", r"seed: .*must be a number, not true or false"),
        ("seed: 0\nseed: 1", "the key 'seed' stands twice"),
        ("1: 2", "the key 1 is not text"),
        ("? ", "the key None is not text"),
        ("seed: .nan", "seed: "),
        ("seed: " + "9" * 5000, "not valid YAML"),
        ("seed: 2001-99-99", "not valid YAML"),
        ("seed: " + "[" * 2000, "not valid YAML: nested too deeply"),
        ('model: "\\ud800"', "model: .*half a surrogate pair"),
        ("seed: !!python/object/apply:os.getcwd []", "not valid YAML"),
        (
            "seed: &a [x, x, x, x, x, x, x, x, x]\nx: &b [*a, *a, *a, *a, *a, *a, *a, *a]\n"
            "y: &c [*b, *b, *b, *b, *b, *b, *b, *b]\nz: &d [*c, *c, *c, *c, *c, *c, *c, *c]\n"
            "corruption: [*d, *d, *d, *d, *d, *d, *d, *d, *d]",
            "unknown key",
        ),
    ],
    ids=lambda text: text[:20],
)
def test_what_yaml_lets_pass_is_told(tmp_path: Path, damage: str, told: str) -> None:
    path = tmp_path / "params.yaml"
    kept = [
        line
        for line in (ROOT / "params.yaml").read_text().splitlines()
        if line.partition(":")[0] not in {part.partition(":")[0] for part in damage.splitlines()}
    ]
    path.write_text("\n".join([*kept, damage, ""]))
    with pytest.raises(TracekdError, match=told) as error:
        load_params(path)
    assert len(str(error.value)) < 3000
