"""The official metrics of MS MARCO QA, ROUGE-L and BLEU-1; the verdict is containment.

Containment is the authors' verdict and rewards long answers; exact match and token F1 (the best
over the alternatives, on normalised words) are beside it.

Source: Evaluation/ms_marco_eval.py, rouge/rouge.py and bleu/bleu.py of
microsoft/MSMARCO-Question-Answering (87f84b4). The official script tokenises with spaCy's English
rules, which `pip install -e '.[marco]'` installs. Without them a token is a run of word characters
or one other sign, which differs for contractions and abbreviations, and the two figures are called
`rouge_l_words` and `bleu_1_words`. As there, questions without an answer enter neither figure, and
"No Answer Present." is an empty answer to the others.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from functools import cache
from importlib.util import find_spec
from math import exp
from typing import cast

import polars as pl

from tracekd.datasets import UNANSWERABLE
from tracekd.scoring.answers import AnswerMetric, Attempt, Verdict, overlap
from tracekd.text import contains_words, normalise

#: The official figures, by names that say whether their tokens are official too.
ROUGE, BLEU = ("rouge_l", "bleu_1") if find_spec("spacy") else ("rouge_l_words", "bleu_1_words")
_OFFICIAL = (ROUGE, *(f"{BLEU}_{count}" for count in ("matches", "tokens", "reference_tokens")))
PARTS = ("exact", "f1", *_OFFICIAL)

_BETA = 1.2


def judge(attempt: Attempt) -> Verdict:
    """Return whether the text contains a gold answer as whole words, with the official parts.

    BLEU is defined for a corpus and is no mean over questions: its parts are the counts from which
    it is computed. The official parts are None if the question is unanswerable.
    """
    text, gold = normalise(attempt.text), [normalise(answer) for answer in attempt.answers]
    parts: dict[str, float | None] = {
        "exact": float(bool(text) and text in gold),
        "f1": max(overlap(text.split(), answer.split())[2] for answer in gold),
    }
    correct = any(contains_words(text, answer) for answer in gold)
    if UNANSWERABLE in attempt.answers:
        return Verdict(correct, parts | dict.fromkeys(_OFFICIAL))
    tokens = [] if attempt.text == UNANSWERABLE else _tokens(attempt.text)
    references = [_tokens(answer) for answer in attempt.answers]
    official = rouge_l(tokens, references), *_bleu_1(tokens, references)
    return Verdict(correct, parts | dict(zip(_OFFICIAL, official, strict=True)))


def figures(scores: pl.DataFrame) -> dict[str, float | None]:
    """Return means, and corpus BLEU-1 (with ROUGE-L, of the answerable rows; None if none is)."""
    answerable = scores.select(_OFFICIAL).drop_nulls()
    rouge, *counts = answerable.select(pl.col(ROUGE).mean(), pl.col(_OFFICIAL[1:]).sum()).row(0)
    return {
        "exact": scores["exact"].mean(),
        "f1": scores["f1"].mean(),
        ROUGE: rouge,
        BLEU: None if rouge is None else _corpus_bleu_1(*counts),
    }


def rouge_l(tokens: Sequence[str], references: Sequence[Sequence[str]]) -> float:
    """Return ROUGE-L with beta = 1.2 from the best precision and the best recall.

    The two may come from different references; rouge-score takes the best F1 with beta = 1.
    """
    shared = [common_subsequence(tokens, reference) for reference in references]
    if not any(shared):
        return 0.0
    precision = max(shared) / len(tokens)
    recall = max(
        length / len(reference)
        for length, reference in zip(shared, references, strict=True)
        if length
    )
    return (1 + _BETA**2) * precision * recall / (recall + _BETA**2 * precision)


def common_subsequence(first: Sequence[str], second: Sequence[str]) -> int:
    """Return the length of the longest common subsequence."""
    lengths = [0] * (len(first) + 1)
    for token in second:
        before = lengths.copy()
        for i, other in enumerate(first):
            same = token == other
            lengths[i + 1] = before[i] + 1 if same else max(lengths[i], before[i + 1])
    return lengths[-1]


def _tokens(text: str) -> list[str]:
    return [token for word in _tokenizer()(text) for token in str(word).lower().split()]


@cache
def _tokenizer() -> Callable[[str], Iterable[object]]:
    if ROUGE != "rouge_l":
        return re.compile(r"\w+|[^\w\s]").findall
    import spacy

    return cast(Callable[[str], Iterable[object]], spacy.blank("en").tokenizer)


def _bleu_1(tokens: list[str], references: list[list[str]]) -> tuple[float, float, float]:
    """Return clipped matches, length, and the closest reference's length (the shorter of two)."""
    best: Counter[str] = Counter()
    for reference in references:
        best |= Counter(reference)
    closest = min((abs(len(ref) - len(tokens)), len(ref)) for ref in references)[1]
    matches = (Counter(tokens) & best).total()
    return float(matches), float(len(tokens)), float(closest)


def _corpus_bleu_1(matches: float, tokens: float, reference_tokens: float) -> float:
    """Return precision times the brevity penalty."""
    return min(1.0, exp(1 - reference_tokens / tokens)) * matches / tokens if tokens else 0.0


METRIC = AnswerMetric(parts=PARTS, judge=judge, figures=figures, main=(ROUGE, BLEU), answers="any")
