"""What a free text says about its question: a teacher's trace, its summary, a student's own trace.

states_answer    it states the gold answer
keeps_answer     it names all that its own answer names (a summary may lose some)
contradicts      its conclusion is not its own answer: see `contradicts`; null if the answer names
                 none of the possible answers
facts_exact      share of the gold facts that it contains word for word
facts_lenient    share of the gold facts of which it contains most pairs of neighbouring words
distractors      number of the other facts that it contains in this lenient sense
class_named      it names the question's class
words            its length

Compared without case and punctuation. A possible answer is what the dataset's metric takes for one,
or else an answer to any question of the same class.
"""

import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from itertools import pairwise
from typing import Any

import polars as pl

from tracekd.config import DatasetSpec
from tracekd.scoring.answers import metric_of
from tracekd.scoring.traces import class_words
from tracekd.statistics.association import association, count
from tracekd.statistics.values import Undefined, settle
from tracekd.text import contains_words, normalise, states_answer
from tracekd.traces.lenient import thought_of
from tracekd.traces.taught import QUALITY

#: Share of a fact's pairs of words from which a text contains it, worded differently.
_MOST_PAIRS = 0.5
_SENTENCE_ENDS = re.compile(r"(?<=[.!?])\s+|\n+")
#: As `normalise` leaves them. A sentence with one of them is about what is not the answer.
_NEGATED = re.compile(
    r"\b(?:not|nor|neither|never|cannot|(?:is|are|was|were|do|does|did|ca|could)nt)\b"
)
_ONLY = re.compile(r"\b(?:only|sole|solely)\b")


class TextJudge:
    """Judges texts on the questions of a dataset."""

    def __init__(self, tables: Iterable[pl.DataFrame], spec: DatasetSpec) -> None:
        """Take all `records.DECOMPOSED` tables whose answers are possible ones."""
        self._which, self._candidates = spec.answers, metric_of(spec).candidates
        #: Class and first word -> answers: a class may have thousands, few of which a text names.
        self._answers: dict[tuple[str, str], set[str]] = defaultdict(set)
        for table in tables:
            for name, answers in table.select("question_class", "answers").iter_rows():
                for answer in filter(None, map(normalise, answers)):
                    self._answers[name, answer.partition(" ")[0]].add(answer)

    def judge(self, question: Mapping[str, Any], text: str, answer: str) -> dict[str, Any]:
        """Return the columns `QUALITY` of a text, given the answer that it comes with."""
        bare = normalise(text)
        facts = set(filter(None, map(normalise, question["context"])))
        gold = facts & {normalise(question["context"][index]) for index in question["gold_facts"]}
        pairs = _pairs(bare)
        quoted = {fact for fact in facts if contains_words(bare, fact)}
        covered = {fact for fact in facts if _covers(pairs, fact)}
        given = normalise(answer), normalise(question["question"]), bare
        names = self._names(question, set(" ".join(given).split()))
        own = _named(normalise(answer), names)
        return {
            "states_answer": states_answer([text], question["answers"], self._which),
            "keeps_answer": own <= _named(bare, own) if own else None,
            "contradicts": contradicts(text, own, question["question"], names) if own else None,
            "facts_exact": _share(quoted, gold),
            "facts_lenient": _share(covered, gold),
            "distractors": len(covered - gold),
            "class_named": contains_words(
                class_words(text), class_words(question["question_class"])
            ),
            "words": len(text.split()),
        }

    def _names(self, question: Mapping[str, Any], words: set[str]) -> set[str]:
        """Return the possible answers, without some that begin with none of the `words`."""
        found = set(map(normalise, question["answers"]))
        if self._candidates is not None:
            found.update(map(normalise, self._candidates(question)))
        else:
            name = question["question_class"]
            found.update(*(self._answers.get((name, word), ()) for word in words))
        return found - {""}


def contradicts(text: str, own: Collection[str], question: str, names: Collection[str]) -> bool:
    """Return whether the conclusion of a text is another answer than the one it comes with.

    `names` are all possible answers and `own` those that its answer names, both normalised. The
    conclusion is the last sentence that names a possible answer and is not negated; what the
    question mentions does not count. It contradicts if it names another, or says that only some of
    the own ones are the answer.
    """
    asked = _named(normalise(question), names) - set(own)
    for sentence in reversed(_SENTENCE_ENDS.split(text)):
        bare = normalise(sentence)
        found = _named(bare, names) - asked
        if found and not _NEGATED.search(bare):
            return bool(found - set(own)) or (found < set(own) and bool(_ONLY.search(bare)))
    return False


def quality_table(rows: pl.DataFrame) -> dict[str, float | int | None]:
    """Return the mean of each column `QUALITY` of some texts, and how many contradict."""
    means = rows.select(pl.col(list(QUALITY)).cast(pl.Float64).mean()).row(0, named=True)
    return {"texts": rows.height, **means, "contradictions": int(rows["contradicts"].sum() or 0)}


def report(
    questions: pl.DataFrame,
    predictions: pl.DataFrame,
    scores: pl.DataFrame,
    judge: TextJudge,
    *,
    untagged: bool = False,
) -> tuple[dict[str, Any], dict[str, str]]:
    """Return the quality of the traces that a student wrote, and why each null is undefined.

    `link` is the association of each verdict with the answer's. `scores` is the table of scores,
    in the order of `questions`; `untagged` is as for `Grammar`. Outputs without a trace do not
    count; where there is no other, there is no section.
    """
    texts = dict(predictions.select("id", "text").iter_rows())
    rows = []
    for question, score in zip(
        questions.iter_rows(named=True), scores.iter_rows(named=True), strict=True
    ):
        if trace := thought_of(texts[question["id"]], untagged=untagged):
            row = judge.judge(question, trace, score["answer"] or "")
            rows.append(row | {"answer_correct": score["answer_correct"]})
    if not rows:
        return {}, {}
    table = pl.DataFrame(rows, schema={**QUALITY, "answer_correct": pl.Boolean}, orient="row")
    links = {}
    for name, kind in QUALITY.items():
        known = table.drop_nulls(name)
        if kind == pl.Boolean and known.height:
            links[name] = association(count(known[name], known["answer_correct"]), name)
    missing = Undefined("no trace has such a verdict")
    means = {name: missing if v is None else v for name, v in quality_table(table).items()}
    return settle({"trace_quality": {**means, "link": links}})


def selection(scores: pl.DataFrame, traces: pl.DataFrame) -> dict[str, Any]:
    """Return what was selected by keeping a teacher's traces: test questions by class, accuracy.

    A student may be better where its teacher was: `accuracy_without_trace` is that on the questions
    that a test set of the teacher's successes would leave out. Without traces of test questions
    (`traces` is `traces.taught.TEACHER`), there is no section.
    """
    if scores.join(traces, on="id", how="semi").is_empty():
        return {}
    kept = traces.filter("kept")

    def figures(part: pl.DataFrame) -> dict[str, Any]:
        with_trace = part.join(kept, on="id", how="semi")
        without = part.join(kept, on="id", how="anti")
        return {
            "n": part.height,
            "with_kept_trace": with_trace.height,
            "accuracy_with_trace": with_trace["answer_correct"].mean(),
            "accuracy_without_trace": without["answer_correct"].mean(),
        }

    classes = sorted(scores.group_by("question_class"))
    by_class = {str(name): figures(part) for (name,), part in classes}
    return {"selection": {**figures(scores), "by_class": by_class}}


def _named(bare: str, names: Collection[str]) -> set[str]:
    """Return the names that a normalised text contains; a part of a longer one does not count."""
    found, rest = set(), f" {bare} "
    for name in sorted(names, key=lambda one: (-len(one), one)):
        if f" {name} " in rest:
            found.add(name)
            rest = rest.replace(f" {name} ", " | ")
    return found


def _pairs(bare: str) -> set[tuple[str, str]]:
    return set(pairwise(bare.split()))


def _covers(pairs: set[tuple[str, str]], fact: str) -> bool:
    wanted = _pairs(fact) or {(fact, fact)}
    return len(wanted & pairs) >= _MOST_PAIRS * len(wanted)


def _share(found: set[str], gold: set[str]) -> float | None:
    return len(found & gold) / len(gold) if gold else None
