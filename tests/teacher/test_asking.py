import asyncio
from collections.abc import Sequence

from server import reasoned
from worlds import DATASET, spec, tables

from tracekd.teacher.asking import chains, in_rounds
from tracekd.teacher.prompts import TeacherRequest
from tracekd.teacher.replies import Reply
from tracekd.traces.grammar import Grammar


def test_requests_that_wait_are_answered_together() -> None:
    entry = spec("http://localhost/v1", ("trace", "summary", "steps"))
    questions = tables(2)["train"].to_dicts()
    plan = chains(entry, questions, 2, Grammar(DATASET.class_sentence), {})
    batches: list[int] = []

    def answer(requests: Sequence[TeacherRequest]) -> list[Reply]:
        batches.append(len(requests))
        return [
            Reply("<answer>home</answer>", reasoned({"messages": one.messages})["model"])
            for one in requests
        ]

    def get(request: TeacherRequest) -> Reply | None:
        return Reply("Short.") if request.messages[0]["content"] == "kept" else None

    drafts = asyncio.run(in_rounds(plan, get, answer))
    assert batches == [8, 4], "two questions, two samples: traces and steps, then the summaries"
    assert [(one.kind, one.sample) for one in drafts[:6]] == [
        *(("trace", 0), ("summary", 0), ("steps", 0)),
        *(("trace", 1), ("summary", 1), ("steps", 1)),
    ]
