import asyncio

from worlds import DATASET, spec, tables

from tracekd.teacher.asking import chains, written_so_far
from tracekd.teacher.prompts import TeacherRequest
from tracekd.teacher.replies import Reply
from tracekd.traces.grammar import Grammar


def test_requests_that_need_no_other_reply_are_made_together() -> None:
    entry = spec("http://localhost/v1", ("trace", "summary", "explanation", "steps"))
    questions = tables(2)["train"].to_dicts()
    plan = chains(entry, questions, 2, Grammar(DATASET.class_sentence), {})
    replies: dict[str, Reply] = {}
    batches: list[int] = []

    def get(request: TeacherRequest) -> Reply | None:
        return replies.get(request.key({}))

    while True:
        drafts, missing = asyncio.run(written_so_far(plan, get))
        if not missing:
            break
        batches.append(len(missing))
        reply = Reply("<answer>home</answer>", "Mary went home.")
        replies.update((request.key({}), reply) for request in missing)
    assert batches == [8, 8], "two questions, two samples: traces and steps, then the others"
    kinds = ("trace", "summary", "explanation", "steps")
    assert [(one.kind, one.sample) for one in drafts[:8]] == [
        (kind, sample) for sample in (0, 1) for kind in kinds
    ]
