"""The questions and predictions of several experiments, as a page holds them.

All questions are in one list, though experiments may ask different ones, and every text (a fact, an
output, a trace) is there once, whoever shares it. A column of verdicts is a string with a sign per
question: "1" right or true, "0" wrong or false, "-" undefined, " " not asked.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from tracekd.probing.verdicts import judge_probes
from tracekd.report.contents import Contents, dataset_of
from tracekd.text import normalise, one_line
from tracekd.traces.form import escape
from tracekd.traces.grammar import Grammar
from tracekd.traces.regimes import regime

#: Where an output quotes a text, in characters, how long it is, and the index of the fact that it
#: is, -1 if it is none of the context.
Mark = tuple[int, int, int]
_Rows = Mapping[int, Mapping[str, Any]]

_SIGNS = {True: "1", False: "0", None: "-"}
#: Name on the page -> column of the table of scores.
_VERDICTS = {
    "answer": "answer_correct",
    "trace": "trace_correct",
    "class": "class_correct",
    "leaked": "leaked",
    "stated": "answer_in_trace",
    "cut": "cut",
}
_OTHERS = {"said": "answer", "named": "class_predicted", "tokens": "completion_tokens"}
#: What makes two questions the same.
_ASKED = ("id", "question", "question_class", "answers", "context", "gold_facts")


class _Strings(dict[str, int]):
    """Texts and their places; a new text gets the next one."""

    def __missing__(self, text: str) -> int:
        self[text] = len(self)
        return self[text]


def collect(contents: Sequence[Contents]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return what lists and filters need, and what is shown of one question.

    Both are columns with an entry per question; in the second, texts are places in `strings`, and
    each question has an entry per experiment.
    """
    questions, asked = _questions(contents)
    rows = [
        dict(zip(places, _outputs(one), strict=True))
        for one, places in zip(contents, asked, strict=True)
    ]
    index = {
        "id": _unique(row["id"] for row in questions),
        "question": [row["question"] for row in questions],
        "class": [row["question_class"] for row in questions],
        "gold": [row["answers"] for row in questions],
        "experiments": [_columns(found, len(questions)) for found in rows],
    }
    strings = _Strings()
    # All outputs for one question together: they share most of their words, and compress.
    texts = {
        "questions": [
            {
                "context": [strings[fact] for fact in row["context"]],
                "gold": row["gold_facts"],
                "leaks": row["leaks"],
                "outputs": [
                    _output(found[place], strings) if place in found else None for found in rows
                ],
            }
            for place, row in enumerate(questions)
        ]
    }
    return index, {**texts, "strings": list(strings)}


def _questions(contents: Sequence[Contents]) -> tuple[list[dict[str, Any]], list[list[int]]]:
    """Return all different questions, and the places of those of each experiment."""
    places: dict[str, int] = {}
    questions: list[dict[str, Any]] = []
    asked: list[list[int]] = []
    for number, one in enumerate(contents):
        if number and one.questions.equals(contents[number - 1].questions):
            asked.append(asked[-1])
            continue
        asked.append([])
        for row in one.questions.iter_rows(named=True):
            place = places.setdefault(repr([row[name] for name in _ASKED]), len(questions))
            if place == len(questions):
                questions.append(row)
            asked[-1].append(place)
    return questions, asked


def _unique(ids: Iterator[str]) -> list[str]:
    """Return ids for links; a question that shares its id with another one gets a number."""
    seen: Counter[str] = Counter()
    found = []
    for key in ids:
        found.append(f"{key}~{seen[key] + 1}" if seen[key] else key)
        seen[key] += 1
    return found


def _outputs(one: Contents) -> Iterator[dict[str, Any]]:
    """Yield score, output, marks and probes for each question of an experiment, in its order."""
    grammar = Grammar(
        dataset_of(one.params).class_sentence, free_text=regime(one.params["trace_mode"]).free_text
    )
    scores, predicted = (
        {row["id"]: row for row in table.iter_rows(named=True)}
        for table in (one.scores, one.predictions)
    )
    probes = _probes(one)
    for question in one.questions.iter_rows(named=True):
        key = question["id"]
        text = predicted[key]["text"]
        yield {
            **scores[key],
            "cut": scores[key]["finish_reason"] == "length",
            "text": text,
            "marks": list(marks(text, grammar, question["context"])),
            "probes": probes.get(key, ()),
        }


def marks(text: str, grammar: Grammar, context: Sequence[str]) -> Iterator[Mark]:
    """Yield what an output quotes, in its order: the facts of its trace.

    Of a trace in free text, facts of the context that are in it word for word. A fact that is
    written in other words than it was read in (in an escaped list, say) has no length.
    """
    trace = grammar.read(text).trace
    if trace.text is not None:
        found = ((text.find(fact), len(fact), index) for index, fact in enumerate(context))
        yield from sorted(mark for mark in found if mark[0] >= 0)
        return
    lines = [one_line(fact) for fact in context]
    end = 0
    for fact in trace.facts or ():
        bare = normalise(fact)
        same = (index for index, line in enumerate(lines) if line == one_line(fact))
        alike = (index for index, line in enumerate(lines) if normalise(line) == bare)
        wording = escape(fact)
        start = text.find(wording, end)
        mark = (start, len(wording)) if start >= 0 else (end, 0)
        end = sum(mark)
        yield (*mark, next(same, next(alike, -1)))


def _probes(one: Contents) -> dict[str, list[dict[str, Any]]]:
    """Return the probes of each question, with the verdict on each answer."""
    if one.probes.is_empty():
        return {}
    judged = judge_probes(one.probes, one.predictions, one.questions, dataset_of(one.params))
    found: dict[str, list[dict[str, Any]]] = {}
    for row in one.probes.with_columns(judged.select("correct", "applied")).iter_rows(named=True):
        found.setdefault(row["id"], []).append(row)
    return found


def _columns(found: _Rows, size: int) -> dict[str, Any]:
    """Return the columns of one experiment, with an entry for each of all questions."""
    rows = [found.get(place) for place in range(size)]
    verdicts = {
        name: "".join(" " if row is None else _SIGNS[row[column]] for row in rows)
        for name, column in _VERDICTS.items()
    }
    others = {
        name: [None if row is None else row[column] for row in rows]
        for name, column in _OTHERS.items()
    }
    return {**verdicts, **others}


def _output(row: Mapping[str, Any], strings: _Strings) -> dict[str, Any]:
    shown = {
        "text": strings[row["text"]],
        "marks": row["marks"],
        "form": row["parse_status"],
        "finish": row["finish_reason"],
    }
    if row["probes"]:
        shown["probes"] = [_probe(probe, strings) for probe in row["probes"]]
    return shown


def _probe(probe: Mapping[str, Any], strings: _Strings) -> dict[str, Any]:
    shown = {"probe": probe["probe"], "note": probe["note"]}
    if probe["applied"]:
        shown["trace"] = strings[probe["trace"]]
        shown["text"] = strings[probe["text"]]
        shown["right"] = probe["correct"]
        shown["logprob"] = probe["gold_logprob"]
    return shown
