"""The steps of one trace against the gold of its own question.

class_predicted   the class that the trace names; null if it has no such step
class_correct     it is the gold class, ignoring case and punctuation; a hyphen is a space
facts_predicted   P, the facts of the context that the trace quotes: their indexes, in its order;
                  null if it has no such step
facts_unmatched   U, how many different texts it quotes that are no fact, each a wrong one
facts_lenient     how many different texts equal a fact only if case and punctuation are ignored
facts_precision   |P and G| / (|P| + U), with G the gold facts
facts_recall      |P and G| / |G|
facts_f1          harmonic mean of the two
facts_exact       P = G and U = 0: all gold facts and no other text, in any order
trace_correct     every step that the regime teaches is right (class_correct, facts_exact), in a
                  text that could be read: without an answer, the trace may be unfinished too

Facts with the same text count as one, the first of them; each run of white space counts as one
space. If no fact is gold and none is quoted, precision, recall and F1 are 1; otherwise, if P and G
share nothing, 0. A trace without the facts step quotes nothing and is never right, not even where
no fact is gold.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from tracekd.text import normalise, one_line
from tracekd.traces.form import Reading
from tracekd.traces.regimes import Step


def score_trace(
    reading: Reading, question: Mapping[str, Any], steps: Collection[Step]
) -> dict[str, Any]:
    """Return the columns above of the `steps` that a regime teaches.

    `question` is a row of `records.DECOMPOSED`.
    """
    verdict: dict[str, Any] = {}
    right: list[bool] = []
    if "class" in steps:
        verdict |= score_class(reading.trace.class_name, question["question_class"])
        right.append(verdict["class_correct"])
    if "facts" in steps:
        verdict |= score_facts(reading.trace.facts, question["gold_facts"], question["context"])
        right.append(verdict["facts_exact"])
    if right:
        verdict["trace_correct"] = all(right) and reading.form != "failed"
    return verdict


def score_class(named: str | None, gold: str) -> dict[str, Any]:
    """Return the columns `class_*`; `named` is None if the trace has no such step."""
    correct = named is not None and class_words(named) == class_words(gold)
    return {"class_predicted": named, "class_correct": correct}


def class_words(name: str) -> str:
    """Return what two spellings of a class share: no case, no punctuation, a space for a hyphen."""
    return normalise(name.replace("-", " "))


def score_facts(
    quoted: Sequence[str] | None, gold_facts: Sequence[int], context: Sequence[str]
) -> dict[str, Any]:
    """Return the columns `facts_*`; `quoted` is None if the trace has no such step."""
    lines = [one_line(fact) for fact in context]
    texts = list(dict.fromkeys(map(one_line, quoted or ())))
    exact = {text: lines.index(text) for text in texts if text in lines}
    others = [text for text in texts if text not in exact]
    bare = [normalise(line) for line in lines] if others else []
    lenient = {text: bare.index(normalise(text)) for text in others if normalise(text) in bare}
    found = {**exact, **lenient}
    predicted = list(dict.fromkeys(found[text] for text in texts if text in found))
    unmatched = len(texts) - len(found)
    gold = {lines.index(lines[index]) for index in gold_facts}
    shared = len(gold.intersection(predicted))
    precision = recall = f1 = 0.0
    if shared:
        precision, recall = shared / (len(predicted) + unmatched), shared / len(gold)
        f1 = 2 * precision * recall / (precision + recall)
    elif quoted is not None and not texts and not gold:
        precision = recall = f1 = 1.0
    return {
        "facts_predicted": None if quoted is None else predicted,
        "facts_precision": precision,
        "facts_recall": recall,
        "facts_f1": f1,
        "facts_exact": quoted is not None and set(predicted) == gold and not unmatched,
        "facts_lenient": len(lenient),
        "facts_unmatched": unmatched,
    }
