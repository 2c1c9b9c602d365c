"""The official metrics of MS MARCO QA: ROUGE-L and BLEU-1; and containment as the verdict.

Source: Evaluation/ms_marco_eval.py, rouge/rouge.py and bleu/bleu.py of
microsoft/MSMARCO-Question-Answering (87f84b4). The official script tokenises with spaCy; here a
token is a run of word characters or one other sign, which differs for contractions and
abbreviations. As there, questions without an answer enter neither figure, and "No Answer Present."
is an empty answer to the others.
"""

import re
from collections import Counter
from collections.abc import Sequence

import polars as pl

from tracekd.datasets import UNANSWERABLE
from tracekd.scoring.attempt import Attempt, Verdict, contains_words, normalise
from tracekd.scoring.columns import state

PARTS = ("rouge_l", "bleu_1_matches", "bleu_1_tokens", "bleu_1_reference_tokens")

_BETA = 1.2
_DECIMAL, _POINTED = r"(\d)\.(\d)", "${1}\u00b7${2}"
_TOKEN = re.compile(r"\w+|[^\w\s]")
# To polars four separators of ASCII are no white space. Other signs that it may take otherwise are
# beyond the Latin letters, quotes and dashes, or superscripts, fractions and the one letter that
# becomes two signs in lower case.
_COUNTED = r"\w+|[^\w\s\x1c-\x1f]"
_ODD = r"[^\x00-\x{24F}\x{2010}-\x{2027}]|[\xB2\xB3\xB9\xBC-\xBE\x{130}]"


def judge(attempt: Attempt) -> Verdict:
    """Return whether a gold answer stands in the text as whole words, with the official parts.

    `answers` are alternatives. Parts: ROUGE-L, and the counts of which BLEU-1 is made, because
    BLEU is defined for a corpus and not as a mean over questions; None if unanswerable.
    """
    said = normalise(_keep_points(attempt.text))
    gold = (normalise(_keep_points(answer)) for answer in attempt.answers)
    correct = any(contains_words(said, answer) for answer in gold)
    if UNANSWERABLE in attempt.answers:
        return Verdict(correct, dict.fromkeys(PARTS))
    parts = _parts(_candidate(attempt.text), attempt.answers)
    return Verdict(correct, dict(zip(PARTS, parts, strict=True)))


def judge_all(said: pl.DataFrame) -> pl.DataFrame:
    """Return `judge` of each row of a table, columns correct and `PARTS`.

    Args:
        said: answers as in `records.QUESTIONS`, answer as in `tracekd.traces.reading.READINGS`.
    """
    texts = said.select(text=pl.col("answer").fill_null(""), gold="answers").with_row_index("row")
    pointed = texts.select(
        text=pl.concat_list(pl.col("text").str.replace_all(_DECIMAL, _POINTED)),
        gold=pl.col("gold").list.eval(pl.element().str.replace_all(_DECIMAL, _POINTED)),
    )
    correct = state(pointed["text"], pointed["gold"], "any")
    answerable = texts.filter(~pl.col("gold").list.contains(UNANSWERABLE)).with_columns(
        text=pl.when(pl.col("text") != UNANSWERABLE).then("text").otherwise(pl.lit(""))
    )
    tokens = _count_tokens(answerable["text"]).cast(pl.Float64)
    # To the letter, as right answers often are.
    exact = (answerable["gold"].list.contains(answerable["text"])) & (tokens > 0)
    same = answerable.select("row", pl.lit(1.0).alias(PARTS[0]), *map(tokens.alias, PARTS[1:]))
    others = answerable.filter(~exact)
    counted = [_parts(*row) for row in others.select("text", "gold").iter_rows()]
    parts = pl.DataFrame(counted, schema=dict.fromkeys(PARTS, pl.Float64), orient="row")
    placed = pl.concat([same.filter(exact), others.select("row").hstack(parts)])
    table = texts.select("row", correct=correct)
    return table.join(placed, on="row", how="left", maintain_order="left").drop("row")


def figures(scores: pl.DataFrame, parts: Sequence[str]) -> dict[str, float | None]:
    """Return mean ROUGE-L and corpus BLEU-1 of the answerable rows; None if there are none."""
    answerable = scores.select(parts).drop_nulls()
    if answerable.is_empty():
        return {"rouge_l": None, "bleu_1": None}
    rouge, matches, tokens, reference_tokens = answerable.select(
        pl.col(PARTS[0]).mean(), pl.col(list(PARTS[1:])).sum()
    ).row(0)
    return {"rouge_l": rouge, "bleu_1": _corpus_bleu_1(matches, tokens, reference_tokens)}


def rouge_l(tokens: Sequence[str], references: Sequence[Sequence[str]]) -> float:
    """Return ROUGE-L with beta = 1.2 from the best precision and the best recall.

    The two may come from different references; rouge-score takes the best F1 with beta = 1.
    """
    if not tokens:
        return 0.0
    shared = [common_subsequence(tokens, reference) for reference in references]
    precision = max(shared) / len(tokens)
    recall = max(
        length / max(1, len(reference))
        for length, reference in zip(shared, references, strict=True)
    )
    if not precision or not recall:
        return 0.0
    return (1 + _BETA**2) * precision * recall / (recall + _BETA**2 * precision)


def common_subsequence(first: Sequence[str], second: Sequence[str]) -> int:
    """Return the length of the longest common subsequence.

    Bit-parallel: bit i of `row` is 0 where the table's column i grows (Hyyrö 2004, "Bit-parallel
    LCS-length computation revisited").
    """
    places: dict[str, int] = {}
    for index, token in enumerate(first):
        places[token] = places.get(token, 0) | 1 << index
    everything = (1 << len(first)) - 1
    row = everything
    for token in second:
        matched = row & places.get(token, 0)
        row = (row + matched | row - matched) & everything
    return len(first) - row.bit_count()


def _keep_points(text: str) -> str:
    """Return `text` with decimal points as signs that `normalise` keeps: 1.5 is not 15."""
    return re.sub(_DECIMAL, "\\1\u00b7\\2", text)


def _candidate(text: str) -> str:
    """Return the answer as the official script has it, to which a refusal is an empty one."""
    return "" if text == UNANSWERABLE else text


def _parts(text: str, answers: Sequence[str]) -> tuple[float, float, float, float]:
    """Return `PARTS` of an answer to an answerable question."""
    tokens = _tokens(text)
    references = [_tokens(answer) for answer in answers]
    if not tokens:
        return 0.0, 0.0, 0.0, float(min(map(len, references)))
    if tokens in references:  # all that follows comes to this
        length = float(len(tokens))
        return 1.0, length, length, length
    return rouge_l(tokens, references), *_bleu_1(tokens, references)


def _tokens(text: str) -> list[str]:
    return _TOKEN.findall(text.lower())


def _count_tokens(texts: pl.Series) -> pl.Series:
    """Return how many tokens each text has."""
    counts = texts.str.count_matches(_COUNTED)
    others = texts.str.contains(_ODD).arg_true()
    return counts.scatter(others, [len(_tokens(text)) for text in texts[others]])


def _bleu_1(tokens: list[str], references: list[list[str]]) -> tuple[float, float, float]:
    """Return clipped matches, length, and the closest reference's length (the shorter of two)."""
    best = Counter(references[0])
    for reference in references[1:]:
        best |= Counter(reference)
    closest = min((abs(len(ref) - len(tokens)), len(ref)) for ref in references)[1]
    matches = sum(min(said, best[token]) for token, said in Counter(tokens).items())
    return float(matches), float(len(tokens)), float(closest)


def _corpus_bleu_1(matches: float, tokens: float, reference_tokens: float) -> float:
    from sacrebleu.metrics.bleu import BLEU

    if not tokens:
        return 0.0
    score = BLEU.compute_bleu(
        correct=[int(matches)],
        total=[int(tokens)],
        sys_len=int(tokens),
        ref_len=int(reference_tokens),
        smooth_method="none",
        max_ngram_order=1,
    )
    return float(score.score) / 100
