"""The official metric of CoTempQA: which of the possible answers does the text name?

Follows `evaluate_model` of zhaochen0110/Cotempqa (config.py, 5c37384) and its copy in
sbhambr1/Trace_Check_QA (scripts/old_scripts/cotempqa_config.py, 25f464b), from which the published
numbers come. The possible answers are parsed out of the facts, the gold answers join them. Longest
first, each one that occurs in the text counts as predicted and is taken out of the text; but the
first that also occurs in the question is only taken out. If none is found, the whole text is the
prediction. The release names its subject/object flag the wrong way round: subjects are the
candidates unless the triple element is S2_R1_O1. That is kept, since the published numbers have it.
Beside it, `corrected` is the verdict with the sides the right way round, and `names_more` whether
the text then names all of gold and something else.

A list as Python writes it needs no parsing: brackets and quotes are never part of a candidate, and
they vanish when a whole text is normalised.

One thing is decided here and not in the release: candidates of equal length are tried in
alphabetical order, where the release's order changes from run to run with Python's hash seed.
"""

import re
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any

from tracekd.datasets.dated_facts import parse_fact
from tracekd.scoring.answers import AnswerMetric, Attempt, Verdict, overlap
from tracekd.text import normalise

#: Asks for another subject; every other triple element asks for an object.
_ASKS_FOR_SUBJECT = "S2_R1_O1"

# Cue in the fact -> its relation, in the order in which the release tries them.
_RELATIONS = {
    " the position of ": "holds the position of",
    " a member of ": "is a member of the",
    " the chair of ": "is the chair of",
    " the head of ": "is the head of",
    " owned by ": "is owned by",
    "attend": "attended",
    "work": "works for",
    "play": "plays for",
}
_ENDINGS = (r" from .+? to .+?\.", r" in .+?\.", r" from .+?", r"\.")
_TEMPLATES = {
    cue: tuple(re.compile(rf"(.+?) {relation} (.+?){ending}") for ending in _ENDINGS)
    for cue, relation in _RELATIONS.items()
}
_PRESENT_TENSE = (
    (" was ", " is "),
    (" held ", " holds "),
    (" worked ", " works "),
    (" played ", " plays "),
)


def judge(attempt: Attempt) -> Verdict:
    """Return set exact match as verdict, F1, precision, recall, and the mean of EM and F1.

    Raises:
        ValueError: if the question has no subtype (CoTempQA's `triple_element`).
    """
    if attempt.subtype is None:
        raise ValueError("the cotemp metric needs the question's triple element as its subtype")
    asked = 0 if _ASKS_FOR_SUBJECT in attempt.subtype else 1
    gold = _normalised({answer.lower() for answer in attempt.answers})
    predicted, corrected = (_predicted(attempt, side) for side in (1 - asked, asked))
    precision, recall, f1 = overlap(predicted, gold)
    correct = predicted == gold
    more = set(gold) < set(corrected)
    parts = {
        "f1": f1,
        "precision": precision,
        "recall": recall,
        "average": (correct + f1) / 2,
        "corrected": float(bool(attempt.text) and corrected == gold),
        "names_more": float(more),
    }
    return Verdict(correct=correct, parts=parts)


def _predicted(attempt: Attempt, side: int) -> list[str]:
    """Return what the text names of the gold answers and of one side of the facts."""
    parsed = filter(None, map(_subject_and_object, attempt.context))
    candidates = {answer.lower() for answer in attempt.answers}.union(ends[side] for ends in parsed)
    return _normalised(_named(attempt.text.lower(), attempt.question.lower(), candidates))


def candidates(question: Mapping[str, Any]) -> set[str]:
    """Return the ends of all facts with the relation that is asked for, such as all positions."""
    facts = [parse_fact(text) for text in question["context"]]
    side = 0 if _ASKS_FOR_SUBJECT in (question["subtype"] or "") else 2
    asked = {fact.relation for fact in facts if fact[side] in question["answers"]}
    return {str(fact[side]) for fact in facts if fact.relation in asked and fact.relation}


def released_answer(text: str) -> str:
    """Return the part of a generation that the release takes for the answer, in lower case.

    Besides cutting, the release deletes "assistant" (a role marker that its prompts leave in the
    output) and "think" wherever they occur: "assistant professor" becomes " professor". Only for
    generations that are compared with the published numbers.
    """
    text = text.lower()
    if "<answer>" in text:
        text = text.split("<answer>")[1].split("</answer>")[0]
    elif "answer the question based on" in text:
        text = text.split("answer the question based on")[0]
    elif " answer " in text:
        text = text.split(" answer ")[1]
    elif "answer:" in text:
        text = text.split("answer:")[1]
    return text.replace("assistant", "").replace("think", "")


def _named(text: str, question: str, candidates: Iterable[str]) -> set[str]:
    named: set[str] = set()
    skipped = False
    for candidate in sorted(candidates, key=lambda name: (-len(name), name)):
        if candidate not in text:
            continue
        text = text.replace(candidate, "")
        if candidate in question and not skipped:
            skipped = True
        else:
            named.add(candidate)
    return named or {text}


def _normalised(names: Iterable[str]) -> list[str]:
    return sorted(normalise(name) for name in names)


@lru_cache(maxsize=1 << 16)
def _subject_and_object(fact: str) -> tuple[str, str] | None:
    """Return both ends of a fact's relation in lower case; None if no template fits."""
    for cue, templates in _TEMPLATES.items():
        if cue not in fact:
            continue
        for past, present in _PRESENT_TENSE:
            fact = fact.replace(past, present)
        for template in templates:
            if match := template.match(fact):
                return match[1].lower(), match[2].lower()
    return None


METRIC = AnswerMetric(
    parts=("f1", "precision", "recall", "average", "corrected", "names_more"),
    judge=judge,
    main=("average", "f1"),
    corrected=("corrected", "names_more"),
    candidates=candidates,
)
