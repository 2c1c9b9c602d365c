"""Asks a teacher about questions: which requests follow which replies, how many at a time."""

import asyncio
import math
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tracekd.config import TeacherSpec, TraceKind
from tracekd.errors import TracekdError
from tracekd.progress import progress_bar
from tracekd.teacher.prompts import TeacherRequest, request
from tracekd.teacher.replies import OK, Reply, Written, final_answer, written
from tracekd.teacher.table import Draft
from tracekd.traces.grammar import Grammar

Ask = Callable[[TeacherRequest], Awaitable[Reply]]
#: Asked about a trace, once it is there.
_AFTERWARDS: tuple[TraceKind, ...] = ("summary", "explanation")
_MISSING = Reply("")


@dataclass(frozen=True)
class Chain:
    """Requests about one question (a row of `records.DECOMPOSED`), each needing earlier replies.

    `slots` are those of prompts that the question does not fill.
    """

    question: Mapping[str, Any]
    kinds: tuple[TraceKind, ...]
    sample: int
    spec: TeacherSpec
    grammar: Grammar
    slots: Mapping[str, str]

    async def run(self, ask: Ask) -> list[Draft]:
        """Return what was written; without a trace nothing is asked about it."""
        drafts: list[Draft] = []
        slots, answer = dict(self.slots), ""
        for kind in self.kinds:
            reply = await ask(request(kind, self.spec, self.question, self.sample, slots))
            found = written(kind, reply, self.grammar)
            if drafts:
                found = Written(found.status, found.text, answer)
            drafts.append(Draft(self.question, kind, self.sample, found, reply))
            if kind == "trace":
                if found.status != OK:
                    break
                answer = found.answer
                slots |= {"{trace}": found.text, "{answer}": final_answer(answer)}
        return drafts


def chains(
    spec: TeacherSpec,
    questions: Sequence[Mapping[str, Any]],
    samples: int,
    grammar: Grammar,
    slots: Mapping[str, str],
) -> list[Chain]:
    """Return what to ask about the questions, in order; no more than `budget.requests` allows."""
    extra = [kind for kind in _AFTERWARDS if kind in spec.prompts]
    groups: list[tuple[TraceKind, ...]] = []
    if "trace" in spec.prompts:
        groups.append(("trace", *extra))
    if "steps" in spec.prompts:
        groups.append(("steps",))
    if spec.budget.requests is not None:
        questions = questions[: spec.budget.requests // (samples * sum(map(len, groups)))]
    return [
        Chain(question, kinds, sample, spec, grammar, slots)
        for question in questions
        for sample in range(samples)
        for kinds in groups
    ]


async def in_parallel(
    plan: Sequence[Chain], ask: Ask, concurrency: int, most_tokens: float = math.inf
) -> list[Draft]:
    """Return what all chains wrote, in the order of the plan; `concurrency` run at a time.

    If they use up `most_tokens`, only what the first ones wrote, which come to as many together.

    Raises:
        TracekdError: the first error of `ask`, once all requests in flight have ended.
    """
    done: list[list[Draft]] = [[] for _ in plan]
    waiting = iter(enumerate(plan))
    failures: list[TracekdError] = []
    spent = 0
    with progress_bar(sum(len(chain.kinds) for chain in plan), "teacher", "reply") as bar:

        async def work() -> None:
            nonlocal spent
            for number, chain in waiting:
                try:
                    done[number] = await chain.run(ask)
                except TracekdError as error:
                    failures.append(error)
                bar.update(len(chain.kinds))
                spent += _tokens(done[number])
                if failures or spent >= most_tokens:
                    return

        await asyncio.gather(*(work() for _ in range(min(concurrency, len(plan)))))
    if failures:
        raise failures[0]
    drafts: list[Draft] = []
    spent = 0
    for of_chain in done:
        if spent >= most_tokens:
            break
        spent += _tokens(of_chain)
        drafts += of_chain
    return drafts


async def written_so_far(
    plan: Sequence[Chain], get: Callable[[TeacherRequest], Reply | None]
) -> tuple[list[Draft], list[TeacherRequest]]:
    """Return what all chains wrote, given kept replies, and the requests for which `get` has none.

    Of these there is a draft too, without text, and its reply is `_MISSING`.
    """
    missing: list[TeacherRequest] = []

    async def ask(asked: TeacherRequest) -> Reply:
        if (reply := get(asked)) is None:
            missing.append(asked)
        return reply or _MISSING

    return [draft for chain in plan for draft in await chain.run(ask)], missing


def estimate(plan: Sequence[Chain], get: Callable[[TeacherRequest], Reply | None]) -> str:
    """Return in a sentence what the plan would still ask for; `get` returns kept replies."""
    drafts, missing = asyncio.run(written_so_far(plan, get))
    kept = [draft.reply.completion_tokens for draft in drafts if draft.reply is not _MISSING]
    # A reply to the first request of a chain is followed by requests that are not made yet.
    following = {chain.kinds[0]: len(chain.kinds) - 1 for chain in plan}
    unmade = [following.get(draft.kind, 0) for draft in drafts if draft.reply is _MISSING]
    requests = len(missing) + sum(unmade)
    characters = sum(len(message["content"]) for asked in missing for message in asked.messages)
    replies = "no reply is kept from which to estimate theirs"
    if kept:
        mean = sum(kept) / len(kept)
        replies = f"replies about {round(requests * mean):,} ({mean:,.0f} each, as those kept)"
    return (
        f"at most {requests:,} requests ({len(kept):,} replies are kept); tokens: prompts that can "
        f"be sent at once about {characters // 4:,}, {replies}"
    )


def _tokens(drafts: Sequence[Draft]) -> int:
    return sum(draft.reply.tokens for draft in drafts)
