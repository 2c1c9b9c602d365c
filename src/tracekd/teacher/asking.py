"""Asks a teacher about questions: which requests follow which replies, how many at a time."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
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


@dataclass(frozen=True)
class Chain:
    """Requests of which each needs the reply to the one before: a trace, then what is about it.

    Attributes:
        question: a row of `records.DECOMPOSED`.
        kinds: what is asked, in order.
        sample: number of the trace.
        slots: of prompts, besides those that the question fills.
    """

    question: Mapping[str, Any]
    kinds: tuple[TraceKind, ...]
    sample: int
    spec: TeacherSpec
    grammar: Grammar
    slots: Mapping[str, str]

    async def run(self, ask: Ask) -> list[Draft]:
        """Ask, and return what was written; without a trace nothing is asked about it."""
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
    plan: Sequence[Chain], ask: Ask, concurrency: int, most_tokens: int | None = None
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
    total = sum(len(chain.kinds) for chain in plan)
    with progress_bar(total, "teacher", "reply") as bar:

        async def work() -> None:
            nonlocal spent
            for number, chain in waiting:
                try:
                    done[number] = await chain.run(ask)
                except TracekdError as error:
                    failures.append(error)
                bar.update(len(chain.kinds))
                spent += _tokens(done[number])
                if failures or (most_tokens is not None and spent >= most_tokens):
                    return

        await asyncio.gather(*(work() for _ in range(min(concurrency, len(plan)))))
    if failures:
        raise failures[0]
    return list(_within(done, most_tokens))


async def in_rounds(
    plan: Sequence[Chain],
    get: Callable[[TeacherRequest], Reply | None],
    answer: Callable[[Sequence[TeacherRequest]], list[Reply]],
) -> list[Draft]:
    """Return what all chains wrote; all that wait for a reply are answered together.

    `get` returns a reply that is kept already, if any.
    """
    waiting: list[tuple[TeacherRequest, asyncio.Future[Reply]]] = []

    async def ask(asked: TeacherRequest) -> Reply:
        if (kept := get(asked)) is not None:
            return kept
        future: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()
        waiting.append((asked, future))
        return await future

    tasks = [asyncio.create_task(chain.run(ask)) for chain in plan]
    while not all(task.done() for task in tasks):
        await asyncio.sleep(0)  # every chain runs up to its next request
        batch, waiting[:] = list(waiting), []
        if batch:
            replies = answer([asked for asked, _ in batch])
            for (_, future), reply in zip(batch, replies, strict=True):
                future.set_result(reply)
    return [draft for task in tasks for draft in task.result()]


def estimate(plan: Sequence[Chain], get: Callable[[TeacherRequest], Reply | None]) -> str:
    """Return in a sentence what the plan would still ask for; `get` returns kept replies."""
    kept: list[int] = []
    requests = characters = 0

    async def ask(asked: TeacherRequest) -> Reply:
        nonlocal characters
        if (reply := get(asked)) is None:
            characters += sum(len(message["content"]) for message in asked.messages)
            raise _NotKeptError
        kept.append(reply.completion_tokens)
        return reply

    async def count() -> None:
        nonlocal requests
        for chain in plan:
            before = len(kept)
            try:
                await chain.run(ask)
            except _NotKeptError:
                requests += len(chain.kinds) - (len(kept) - before)

    asyncio.run(count())
    replies = "no reply is kept from which to estimate theirs"
    if kept:
        mean = sum(kept) / len(kept)
        replies = f"replies about {round(requests * mean):,} ({mean:,.0f} each, as those kept)"
    return (
        f"at most {requests:,} requests ({len(kept):,} replies are kept); tokens: prompts that can "
        f"be sent at once about {characters // 4:,}, {replies}"
    )


class _NotKeptError(Exception):
    """Ends a chain at its first request without a kept reply."""


def _within(done: Sequence[list[Draft]], most_tokens: int | None) -> Iterator[Draft]:
    spent = 0
    for drafts in done:
        if most_tokens is not None and spent >= most_tokens:
            return
        spent += _tokens(drafts)
        yield from drafts


def _tokens(drafts: Sequence[Draft]) -> int:
    return sum(draft.reply.tokens for draft in drafts)
