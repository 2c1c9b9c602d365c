"""Near-duplicates between splits: what a student might remember instead of working it out.

Texts are compared as sets of shingles, runs of five words as `tracekd.words` has them, by Jaccard
similarity: shared shingles over all of both. Comparing all pairs would take hours on MS MARCO, so
candidates come from MinHash (Broder 1997, doi:10.1109/SEQUEN.1997.666900): two texts agree in the
least hash of their shingles with a probability that is their similarity. Candidates agree in one
of six pairs of least hashes, which misses 0.2 % of texts at a similarity of 0.8 and 0.01 % at 0.9;
their similarity is then counted exactly. The time is linear in the words of all texts.
"""

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from tracekd.datasets.questions import Questions
from tracekd.words import Hashes, utf8, word_hashes

SIMILAR = 0.8
_TITLE = "near-duplicates"
#: How many pairs the report lists.
LISTED = 20
_SHINGLE = 5
_BANDS, _ROWS = 6, 2
#: Of long texts a share of the shingles, those that begin with the same words in every text, is
#: enough to find candidates.
_ENOUGH_SHINGLES = 64
#: Bytes of a word, the space behind it included.
_WORD = 6
#: Texts that are hashed at a time: their words stay in the processor's cache.
_TEXTS = 150
#: Pairs that are compared at a time: bounds the memory.
_CHUNK = 5_000

_Places = NDArray[np.int64]
_Pair = tuple[int, int, float]


def near_duplicates(
    test: pl.DataFrame | Questions, train: pl.DataFrame | Questions
) -> dict[str, Any]:
    """Return how many test questions have a near-duplicate in train.

    Args:
        test: in the schema `tracekd.records.QUESTIONS`.
        train: likewise; its exact copies of test questions have left.

    Returns:
        `same_question`: test questions of which train has one with the same words and a similar
        context; `same_context`: those of which train has one with a similar context, whatever it
        asks; of each the count and the first [test id, train id, similarity].
    """
    tables = (Questions.of(test), Questions.of(train))
    step = _sampling_step(tables[0])
    least, questions = [], []
    for table in tables:
        parts = [(_NO_HASHES, _NO_HASHES[:, 0]), *table.map(partial(_sketch, step), _TITLE)]
        least.append(np.concatenate([part[0] for part in parts]))
        questions.append(np.concatenate([part[1] for part in parts]))
    report: dict[str, Any] = {"shingle_words": _SHINGLE, "similarity": SIMILAR}
    for name, asked in (("same_question", questions), ("same_context", None)):
        found: list[_Pair] = list(_similar(tables, _candidates(least, asked)))
        first = found[:LISTED]
        ours = _ids(tables[0], (mine for mine, _, _ in first))
        theirs = _ids(tables[1], (other for _, other, _ in first))
        listed = [[ours[mine], theirs[other], how] for mine, other, how in first]
        report[name] = {"test_questions": len(found), "first": listed}
    return report


def _ids(table: Questions, rows: Iterable[int]) -> dict[int, str]:
    wanted = sorted(set(rows))
    return dict(zip(wanted, table.select(wanted).table()["id"], strict=True))


def _sketch(step: int, part: pl.DataFrame) -> tuple[Hashes, Hashes]:
    """Return the least hashes of each context, and a hash of each question's words."""
    texts = utf8(_contexts(part))
    least = [_least_hashes(piece, step) for piece in _pieces(texts)]
    return np.concatenate(least), _whole_hashes(utf8(part["question"]))


def _pieces(texts: Sequence[bytes]) -> Iterator[Sequence[bytes]]:
    for start in range(0, len(texts), _TEXTS):
        yield texts[start : start + _TEXTS]


def _contexts(table: pl.DataFrame) -> pl.Series:
    return table["context"].list.join(" ")


def _candidates(least: list[Hashes], questions: list[Hashes] | None) -> list[tuple[int, int]]:
    """Return pairs of our and their rows that agree in a band, and in the question if given."""
    found: dict[tuple[int, int], None] = {}
    for band in range(_BANDS):
        keys = [_band_keys(table, band) for table in least]
        if questions is not None:
            keys = [key ^ asked for key, asked in zip(keys, questions, strict=True)]
        # The first of several texts with one key stands for all of them: else n texts that are all
        # alike would make n * n pairs.
        known, first = np.unique(keys[1], return_index=True)
        if not len(known):
            return []
        places = np.searchsorted(known, keys[0]).clip(max=len(known) - 1)
        rows = np.flatnonzero(known[places] == keys[0])
        pairs = zip(rows.tolist(), first[places[rows]].tolist(), strict=True)
        found.update(dict.fromkeys(pairs))
    return sorted(found)


def _similar(tables: tuple[Questions, Questions], pairs: list[tuple[int, int]]) -> Iterator[_Pair]:
    """Give the first pair of each of our rows whose texts are similar, with how similar."""
    done = -1
    for start in range(0, len(pairs), _CHUNK):
        part = pairs[start : start + _CHUNK]
        ours, theirs = (
            _sets(table, [pair[side] for pair in part]) for side, table in enumerate(tables)
        )
        for mine, other in part:
            how = _similarity(ours[mine], theirs[other])
            if mine != done and how >= SIMILAR:
                done = mine
                yield mine, other, round(how, 3)


def _sets(table: Questions, rows: Iterable[int]) -> dict[int, Hashes]:
    wanted = sorted(set(rows))
    hashes, starts = _words(utf8(_contexts(table.select(wanted).table())))
    runs = _runs(hashes, starts, np.arange(len(hashes)))
    return dict(zip(wanted, map(np.unique, np.split(runs, starts[1:])), strict=True))


def _similarity(one: Hashes, other: Hashes) -> float:
    """Return the Jaccard similarity of two sets of sorted shingles."""
    shared = len(np.intersect1d(one, other, assume_unique=True))
    return shared / (len(one) + len(other) - shared)


def _sampling_step(test: Questions) -> int:
    """Return a power of two: one of so many shingles of a context of mean length is enough."""
    mean = sum(test.map(_bytes, _TITLE)) // max(1, len(test)) // _WORD
    return 1 << max(0, (mean // _ENOUGH_SHINGLES).bit_length() - 1)


def _bytes(part: pl.DataFrame) -> int:
    return int(_contexts(part).str.len_bytes().sum())


def _least_hashes(texts: Sequence[bytes], step: int) -> Hashes:
    """Return one least hash per permutation (columns) of each text (rows)."""
    hashes, starts = _words(texts)
    keep = (hashes & np.uint64(step - 1)) == 0
    keep[starts] = True  # a text keeps one at least
    kept = np.flatnonzero(keep)
    return _least(_runs(hashes, starts, kept), np.searchsorted(kept, starts))


def _least(runs: Hashes, starts: _Places) -> Hashes:
    columns = []
    for number in range(_BANDS * _ROWS):
        mixed = runs * _odd(f"permutation {number}")
        mixed ^= mixed >> np.uint64(32)
        columns.append(np.minimum.reduceat(mixed, starts))
    return np.stack(columns, axis=1)


def _band_keys(least: Hashes, band: int) -> Hashes:
    first, second = least[:, band * _ROWS], least[:, band * _ROWS + 1]
    keys: Hashes = first * _odd("first of a band") ^ (second + np.uint64(band))
    return keys


def _runs(hashes: Hashes, starts: _Places, places: _Places) -> Hashes:
    """Return a hash of the run that starts at each of the places.

    Runs are cut at the end of their text, so that there are as many as words.

    Args:
        hashes: of the words of all texts.
        starts: where each text starts.
        places: of words, ascending.
    """
    ends = np.append(starts[1:], len(hashes))
    left = ends[np.searchsorted(starts, places, side="right") - 1] - places
    runs: Hashes = hashes[places] * _odd("place 0")
    for place in range(1, _SHINGLE):
        word = hashes.take(places + place, mode="clip")
        runs += word * (left > place) * _odd(f"place {place}")
    # Sums of products are uneven in their low bits.
    return runs ^ (runs >> np.uint64(29))


def _whole_hashes(texts: Sequence[bytes]) -> Hashes:
    """Return a hash of all words of each text, in their order."""
    hashes, starts = _words(texts)
    lengths = np.diff(starts, append=len(hashes))
    places = (np.arange(len(hashes)) - np.repeat(starts, lengths)).astype(np.uint64)
    mixed = (hashes + places) * _odd("word of a question")
    mixed ^= mixed >> np.uint64(32)
    whole: Hashes = np.add.reduceat(mixed * _odd("again"), starts)
    return whole


def _words(texts: Sequence[bytes]) -> tuple[Hashes, _Places]:
    """Return the hash of each word, and where each text starts.

    A text without words counts as one empty word.
    """
    hashes, lengths = word_hashes(texts)
    starts = np.cumsum(lengths) - lengths
    without = np.flatnonzero(lengths == 0)
    if not len(without):
        return hashes, starts
    starts += np.searchsorted(without, np.arange(len(starts)))
    return np.insert(hashes, starts[without] - np.arange(len(without)), _EMPTY), starts


def _odd(name: str) -> np.uint64:
    return np.uint64(_digest(name) | 1)


def _digest(text: str) -> int:
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big")


_EMPTY = np.uint64(_digest(""))
_NO_HASHES = np.empty((0, _BANDS * _ROWS), dtype=np.uint64)
