"""One record of MS MARCO QA as a question.

Format (https://microsoft.github.io/msmarco/): records with `query_id`, `query`, `query_type`
(lower case in v1.1, upper case in v2.1), `answers` and `passages`, a list of objects or, on the
hub, one object of parallel lists. `wellFormedAnswers` is not read: it is [] or the string "[]" in
most records. An unanswerable query has no answers in v1.1, "No Answer Present." in v2.1.
"""

from collections import Counter
from typing import Any

from tracekd.datasets import UNANSWERABLE, fields
from tracekd.datasets.fields import RejectedError

QUERY_TYPES = frozenset({"description", "numeric", "entity", "location", "person"})
FIELDS = ("query_id", "query", "passages", "query_type", "answers")


def question(split: str, source: str, raw: Any, notes: Counter[str]) -> dict[str, Any]:
    """Return a record as a row of `records.QUESTIONS`.

    Args:
        split: `train` or `test`, a part of the id.
        source: where the record stands.
        raw: the record as read.
        notes: counts what was mended.

    Raises:
        RejectedError: naming the field that is not as the format says.
    """
    record = fields.require(raw, FIELDS)
    row = {
        "question": fields.text(record["query"], "query"),
        "context": _passages(record["passages"]),
        "answers": _answers(record["answers"], notes),
        "question_class": _query_type(record["query_type"]),
        "subtype": None,
        "gold_facts": None,
        "source": source,
    }
    return {"id": f"marco/{split}/{_query_id(record['query_id'])}", **row}


def _passages(passages: Any) -> list[str]:
    if isinstance(passages, dict):
        texts = passages.get("passage_text")
    elif isinstance(passages, list):
        texts = [item.get("passage_text") if isinstance(item, dict) else None for item in passages]
    else:
        raise RejectedError("passages is neither a list nor an object of lists")
    return fields.context(texts, "passage_text")


def _answers(value: Any, notes: Counter[str]) -> list[str]:
    answers = fields.texts([] if value == "[]" else value, "answers")
    given = [answer.strip() for answer in answers if not fields.is_blank(answer)]
    if len(given) < len(answers):
        notes["a record's blank answers were left out"] += 1
    # Some judges found no answer, others did: the question has one.
    found = [answer for answer in given if answer != UNANSWERABLE]
    if not found:
        return [UNANSWERABLE]
    if len(found) < len(given):
        notes[f"{UNANSWERABLE!r} beside other answers was left out"] += 1
    unique = list(dict.fromkeys(found))
    if len(unique) < len(found):
        notes["an answer that stood twice in a record was kept once"] += 1
    return unique


def _query_type(value: Any) -> str:
    query_type = fields.text(value, "query_type").lower()
    if query_type not in QUERY_TYPES:
        raise RejectedError(f"query_type is none of {', '.join(sorted(QUERY_TYPES))}")
    return query_type


def _query_id(value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise RejectedError("query_id is not a whole number")
    return value
