"""Synthetic MS MARCO v2.1 files and predictions, of any size, in bounded memory.

The layout is the published one: one object of columns, `{"query": {"0": ...}, ...}`, on one line;
ten passages of about 57 words a question, two fifths of the questions unanswerable. Words are
invented and their frequencies follow Zipf's law; as in 4,995 real passages of v2.1, 23 % hold
characters beyond ASCII, mostly typographic quotes: 0.17 % of all characters. So the work on them is
like the real one's.
"""

import itertools
import json
import shutil
from collections.abc import Iterator
from contextlib import ExitStack
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

_SEED = 20240726
_VOCABULARY = 100_000
_CHUNK = 1000
_PASSAGES = 10
_WORDS = (30, 84)
_QUERY_TYPES = ("DESCRIPTION", "NUMERIC", "ENTITY", "LOCATION", "PERSON")
_SHARES = (0.53, 0.24, 0.10, 0.08, 0.05)
_UNANSWERABLE = 0.4
#: Share of passages with characters beyond ASCII; and of these, share with Latin letters alone.
_BEYOND_ASCII, _ACCENTED = 0.23, 0.13
_COLUMNS = ("answers", "passages", "query", "query_id", "query_type", "wellFormedAnswers")

Record = dict[str, Any]


def records(count: int, split: str) -> Iterator[Record]:
    """Yield `count` records; those of two splits are not alike."""
    generator = np.random.default_rng([_SEED, *split.encode()])
    words = _vocabulary()
    for first in range(0, count, _CHUNK):
        size = min(_CHUNK, count - first)
        lengths = generator.integers(*_WORDS, size=size * _PASSAGES)
        # The inverse of Zipf's distribution with exponent 1: rank = V ** u.
        ranks = (_VOCABULARY ** generator.random(int(lengths.sum()))).astype(np.int64) - 1
        stops = generator.random(len(ranks)) < 0.07
        drawn = words[ranks + stops * _VOCABULARY].tolist()
        ends = [0, *np.cumsum(lengths).tolist()]
        types = generator.choice(_QUERY_TYPES, size=size, p=_SHARES).tolist()
        chances = generator.random((size, 3)).tolist()
        typeset = generator.random(size * _PASSAGES).tolist()
        for row in range(size):
            bounds = ends[row * _PASSAGES : (row + 1) * _PASSAGES + 1]
            parts = [drawn[start:end] for start, end in itertools.pairwise(bounds)]
            for place, part in enumerate(parts):
                _typeset(part, typeset[row * _PASSAGES + place])
            yield _record(1_000_000 + first + row, parts, types[row], chances[row])


def write_columns(count: int, path: Path) -> None:
    """Write `count` records as one object of columns; the split is the file's name."""
    with ExitStack() as stack:
        parts = {name: path.with_suffix(f".{name}") for name in _COLUMNS}
        files = {name: stack.enter_context(part.open("w")) for name, part in parts.items()}
        for number, record in enumerate(records(count, path.name)):
            comma = ", " if number else ""
            for name, out in files.items():
                out.write(f'{comma}"{number}": {json.dumps(record[name])}')
    with path.open("wb") as whole:
        for number, (name, part) in enumerate(parts.items()):
            whole.write(f'{", " if number else "{"}"{name}": {{'.encode())
            with part.open("rb") as column:
                shutil.copyfileobj(column, whole, 1 << 20)
            whole.write(b"}")
            part.unlink()
        whole.write(b"}")


def write_lines(count: int, path: Path) -> None:
    """Write `count` records in the native layout, one JSON object a line."""
    with path.open("w") as out:
        for record in records(count, path.name):
            out.write(json.dumps(record) + "\n")


def write_predictions(count: int, folder: Path, class_sentence: str) -> None:
    """Write decomposed questions, predictions of every kind, and no probes, for analyze."""
    import polars as pl

    from tracekd.records import DECOMPOSED, PREDICTIONS, PROBES
    from tracekd.tables import ROW_GROUP, write, write_parts

    schemas = {"decomposed": DECOMPOSED, "predictions": PREDICTIONS}
    pieces: dict[str, list[Path]] = {name: [] for name in schemas}
    numbered = enumerate(records(count, "predictions"))
    while chunk := list(itertools.islice(numbered, ROW_GROUP)):
        rows = [_asked_and_answered(*item, class_sentence) for item in chunk]
        for name, schema in schemas.items():
            piece = folder / f"{name}-{chunk[0][0]}.parquet"
            write(pl.DataFrame([row[name] for row in rows], schema=dict(schema)), piece, schema)
            pieces[name].append(piece)
    # As the stages write them: in row groups of their size.
    for name, schema in schemas.items():
        write_parts(map(pl.read_parquet, pieces[name]), folder / f"{name}.parquet", schema)
        for piece in pieces[name]:
            piece.unlink()
    write(pl.DataFrame(schema=dict(PROBES)), folder / "probes.parquet", PROBES)


def _asked_and_answered(
    number: int, record: Record, class_sentence: str
) -> dict[str, dict[str, Any]]:
    """Return a question and a prediction; of seven one is cut off and three are wrong."""
    from tracekd.datasets import UNANSWERABLE
    from tracekd.traces.grammar import Trace, render

    key = f"marco/test/{record['query_id']}"
    context = record["passages"]["passage_text"]
    gold = [UNANSWERABLE] if record["answers"][0].startswith("No Answer") else record["answers"]
    facts = [i for i, chosen in enumerate(record["passages"]["is_selected"]) if chosen]
    label, kind = record["query_type"].lower(), number % 7
    shown = (context[facts[0] if facts and kind != 1 else number % _PASSAGES],)
    trace = Trace(class_name="person" if kind == 2 else label, facts=shown)
    answer = " ".join(context[0].split()[:9]) if kind == 3 else gold[0]
    text = render(trace, (answer,), class_sentence).text
    return {
        "decomposed": {
            "id": key,
            "question": record["query"],
            "context": context,
            "answers": gold,
            "question_class": label,
            "subtype": None,
            "gold_facts": None,
            "source": f"synthetic:{number}",
            "gold_facts": facts,
            "answer_in_facts": bool(facts),
        },
        "predictions": {
            "id": key,
            "text": text[: len(text) // 2] if kind == 4 else text,
            "finish_reason": "length" if kind == 4 else "stop",
            "prompt_tokens": 1000,
            "completion_tokens": 120,
        },
    }


def _typeset(words: list[str], chance: float) -> None:
    """Put characters beyond ASCII into a share of the passages, three on average."""
    if chance >= _BEYOND_ASCII:
        return
    place = int(chance / _BEYOND_ASCII * len(words))
    if place < _ACCENTED * len(words):
        words[place] += "é"
    else:
        words[place] = f"\u201c{words[place]}\u201d"
        words[-1] = words[-1].removesuffix(".") + "\u2019s."


def _record(query_id: int, parts: list[list[str]], kind: str, chances: list[float]) -> Record:
    chosen = int(chances[0] * _PASSAGES)
    answered = chances[1] > _UNANSWERABLE
    source = parts[chosen]
    start = int(chances[2] * 15)
    answer = " ".join(source[start : start + 3 + int(chances[1] * 15)])
    asked = " ".join(source[5:8]).replace(".", "").lower()
    return {
        "answers": [f"It is {answer}"] if answered else ["No Answer Present."],
        "passages": {
            "is_selected": [int(answered and place == chosen) for place in range(_PASSAGES)],
            "passage_text": [" ".join(part) for part in parts],
            "url": [f"https://www.example.org/{query_id}/{place}" for place in range(_PASSAGES)],
        },
        "query": f"what is {asked}",
        "query_id": query_id,
        "query_type": kind,
        "wellFormedAnswers": "[]",
    }


@cache
def _vocabulary() -> Any:
    """Return words by rank, and behind them the same words at the end of a sentence."""
    generator = np.random.default_rng(_SEED)
    syllables = [head + tail for head in "bcdfghlmnprstvw" for tail in (*"aeiouy", "ai", "ea")]
    # Frequent words are short. Some are drawn twice, so more are drawn than are kept.
    sizes = 1 + np.log10(np.arange(1, 2 * _VOCABULARY + 1)) // 2.5
    sizes += generator.integers(0, 2, len(sizes))
    drawn = generator.integers(0, len(syllables), (len(sizes), 6)).tolist()
    words = dict.fromkeys(
        "".join([syllables[i] for i in row[:size]])
        for row, size in zip(drawn, sizes.astype(int).tolist(), strict=True)
    )
    kept = list(words)[:_VOCABULARY]
    return np.array(kept + [f"{word}." for word in kept], dtype=object)
