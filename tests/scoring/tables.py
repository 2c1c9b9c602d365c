"""Small tables of questions and predictions."""

import polars as pl

from tracekd import records
from tracekd.config import DatasetSpec

BABI = DatasetSpec(name="babi", reader="babi")


def question(key, **changes):
    row = {
        "id": key,
        "question": "Where is Mary?",
        "context": ["Mary went home.", "John left.", "Mary slept."],
        "answers": ["home"],
        "question_class": "where",
        "subtype": None,
        "gold_facts": [0],
        "source": "file:1",
        "answer_in_facts": True,
    }
    return {**row, **changes}


def prediction(key, text, **changes):
    counts = {"finish_reason": "stop", "prompt_tokens": 9, "completion_tokens": 20}
    return {"id": key, "sample": 0, "text": text, **counts, **changes}


def questions(*rows):
    return pl.DataFrame(list(rows), schema=records.DECOMPOSED, orient="row")


def predictions(*rows):
    return pl.DataFrame(list(rows), schema=records.PREDICTIONS, orient="row")


def completion(class_name, facts, answer):
    quoted = "".join(f"\n- {fact}" for fact in facts)
    return (
        f"<think>\nThe category of the question is: {class_name}.\n"
        f"I need to use the following facts to answer the question:{quoted}\n</think>\n"
        f"<answer>{answer}</answer>"
    )
