"""The official metrics of MS MARCO QA, ROUGE-L and BLEU-1; the verdict is containment.

Source: Evaluation/ms_marco_eval.py, rouge/rouge.py and bleu/bleu.py of
microsoft/MSMARCO-Question-Answering (87f84b4). The official script tokenises with spaCy; here a
token is a run of word characters or one other sign, which differs for contractions and
abbreviations. As there, questions without an answer enter neither figure, and "No Answer Present."
is an empty answer to the others.
"""

import re
from collections import Counter
from collections.abc import Sequence
from math import exp

import polars as pl

from tracekd.datasets import UNANSWERABLE
from tracekd.scoring.answers import AnswerMetric, Attempt, Verdict
from tracekd.text import contains_words, normalise

PARTS = ("rouge_l", "bleu_1_matches", "bleu_1_tokens", "bleu_1_reference_tokens")

_BETA = 1.2
_DECIMAL_POINT = re.compile(r"(\d)\.(\d)")
_TOKEN = re.compile(r"\w+|[^\w\s]")


def judge(attempt: Attempt) -> Verdict:
    """Return whether the text contains a gold answer as whole words, with the official parts.

    `answers` are alternatives. Parts: ROUGE-L, and the counts from which BLEU-1 is computed,
    because BLEU is defined for a corpus and is not a mean over questions; None if unanswerable.
    """
    text = _normalised(attempt.text)
    correct = any(contains_words(text, _normalised(answer)) for answer in attempt.answers)
    if UNANSWERABLE in attempt.answers:
        return Verdict(correct, dict.fromkeys(PARTS))
    tokens = [] if attempt.text == UNANSWERABLE else _tokens(attempt.text)
    references = [_tokens(answer) for answer in attempt.answers]
    parts = rouge_l(tokens, references), *_bleu_1(tokens, references)
    return Verdict(correct, dict(zip(PARTS, parts, strict=True)))


def figures(scores: pl.DataFrame) -> dict[str, float | None]:
    """Return mean ROUGE-L and corpus BLEU-1 of the answerable rows; None if there are none."""
    answerable = scores.select(PARTS).drop_nulls()
    rouge, *counts = answerable.select(pl.col(PARTS[0]).mean(), pl.col(PARTS[1:]).sum()).row(0)
    return {"rouge_l": rouge, "bleu_1": None if rouge is None else _corpus_bleu_1(*counts)}


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


def _normalised(text: str) -> str:
    """Return `normalise` with decimal points as signs that it keeps: 1.5 is not 15."""
    return normalise(_DECIMAL_POINT.sub("\\1\u00b7\\2", text))


def _tokens(text: str) -> list[str]:
    return _TOKEN.findall(text.lower())


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


METRIC = AnswerMetric(parts=PARTS, judge=judge, figures=figures, main=("rouge_l", "bleu_1"))
