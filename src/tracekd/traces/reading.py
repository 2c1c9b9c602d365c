"""What a model wrote -> steps and answer: one text, or a column an order of magnitude faster.

A text is *plain* if it has the strict form without any escape: then its parts stand between fixed
separators, and polars finds them. All others, the odd ones, are read one by one: `read_column` is a
shortcut, and what the grammar means is said in `grammar.py` and `lenient.py` alone.
"""

from typing import Any

import polars as pl

from tracekd.columns import lists
from tracekd.traces.grammar import FACTS_HEADER, NO_FACTS, Reading, class_in, read_strictly
from tracekd.traces.lenient import read_leniently

#: What a `Reading` holds: of its trace class_name and facts, its answer_text as answer, its
#: answers as items.
READINGS: dict[str, Any] = {
    "form": pl.String,
    "class_name": pl.String,
    "facts": pl.List(pl.String),
    "answer": pl.String,
    "items": pl.List(pl.String),
}

# Words with one space between them, without what is escaped or could open a tag.
_WORD = r"[^\s\x1c-\x1f\\<]+"
_ITEM_WORD = r"[^\s\x1c-\x1f\\<;]+"
_LINE = f"{_WORD}(?: {_WORD})*"
_ITEM = f"{_ITEM_WORD}(?: {_ITEM_WORD})*"
_BULLET = "\n- "


def read(text: str, class_sentence: str) -> Reading:
    """Read trace and answer from whatever a model wrote; never raises.

    Args:
        text: without special tokens.
        class_sentence: one line with the slot `{class}`, from the data set's entry.
    """
    return read_strictly(text, class_sentence) or read_leniently(text, class_sentence)


def read_column(texts: pl.Series, class_sentence: str) -> pl.DataFrame:
    """Return `read` of each text: columns `READINGS`, rows in the order of `texts`.

    Args:
        texts: strings, no nulls.
        class_sentence: as for `read`.
    """
    table = texts.alias("text").to_frame().with_row_index("row")
    plain = texts.str.contains(_plain(class_sentence))
    easy, odd = table.filter(plain), table.filter(~plain)
    found = [
        _parts(easy, class_sentence),
        pl.concat([odd.select("row"), _read_each(odd["text"], class_sentence)], how="horizontal"),
    ]
    return pl.concat(found).sort("row").drop("row")


def _plain(class_sentence: str) -> str:
    """Return the pattern of plain texts."""
    prefix, suffix = class_sentence.split("{class}")
    if not prefix.strip(" .") or any(
        class_in(line, class_sentence) is not None for line in (FACTS_HEADER, NO_FACTS)
    ):
        return "[^\\s\\S]"  # the sentence could be taken for another line: no text is plain
    sentence = f"{pl.escape_regex(prefix)}{_LINE}{pl.escape_regex(suffix)}"
    facts = f"{pl.escape_regex(FACTS_HEADER)}(?:{_BULLET}{_LINE})+|{pl.escape_regex(NO_FACTS)}"
    steps = f"{sentence}(?:\n(?:{facts}))?|{facts}"
    answers = f"{_ITEM}(?:; {_ITEM})*"
    return rf"\A(?:<think>\n(?:{steps})\n</think>\n)?<answer>{answers}</answer>\z"


def _parts(plain: pl.DataFrame, class_sentence: str) -> pl.DataFrame:
    """Return the columns row and `READINGS` of plain texts, columns row and text."""
    prefix, suffix = class_sentence.split("{class}")
    halves = plain.select("row", pl.col("text").str.splitn("<answer>", 2)).unnest("text")
    halves.columns = ["row", "thought", "answer"]
    cut = halves.select(
        "row",
        pl.col("answer").str.strip_suffix("</answer>"),
        block=pl.col("thought").str.strip_prefix("<think>\n").str.strip_suffix("\n</think>\n"),
    )
    block = pl.col("block")
    first = block.str.splitn("\n", 2).struct[0]
    quoted = block.str.splitn(FACTS_HEADER + _BULLET, 2).struct[1].str.split(_BULLET)
    none_quoted = (block == NO_FACTS) | block.str.ends_with(f"\n{NO_FACTS}")
    return cut.select(
        "row",
        form=pl.lit("strict"),
        class_name=pl.when(first.str.starts_with(prefix) & first.str.ends_with(suffix)).then(
            first.str.strip_prefix(prefix).str.strip_suffix(suffix)
        ),
        facts=pl.when(none_quoted).then(pl.lit([], dtype=READINGS["facts"])).otherwise(quoted),
        answer="answer",
        items=pl.col("answer").str.split("; "),
    )


def _read_each(texts: pl.Series, class_sentence: str) -> pl.DataFrame:
    found = [read(text, class_sentence) for text in texts]
    columns = {
        "form": [reading.form for reading in found],
        "class_name": [reading.trace.class_name for reading in found],
        "facts": lists("facts", [reading.trace.facts for reading in found], READINGS["facts"]),
        "answer": [reading.answer_text for reading in found],
        "items": lists("items", [reading.answers for reading in found], READINGS["items"]),
    }
    return pl.DataFrame(columns, schema=READINGS)
