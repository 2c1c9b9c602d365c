"""A teacher from models.yaml, answered here: no server, the same generation as the student's."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

from tracekd.config import InferParams, ModelSpec, TeacherSpec
from tracekd.teacher.cache import ReplyCache
from tracekd.teacher.prompts import TeacherRequest
from tracekd.teacher.published import pinned_folder
from tracekd.teacher.replies import Reply

T = TypeVar("T")
Ask = Callable[[TeacherRequest], Awaitable[Reply]]
#: Longest reply where the entry gives none.
_MAX_TOKENS = 1024
TOO_LONG = "the prompt is too long for the model"


class LocalTeacher:
    """Answers requests in large batches."""

    def __init__(self, spec: TeacherSpec, model: ModelSpec, cache: ReplyCache) -> None:
        """Take an entry with a model; its adapter must be what the entry pins."""
        from tracekd.generation.run import student_key
        from tracekd.models.devices import choose_device

        self._spec, self._model, self._cache = spec, model, cache
        self._folder: Path | None = None if spec.path is None else pinned_folder(spec)
        self._params = InferParams(
            backend="auto",
            batch_size=spec.batch_size,
            max_new_tokens=spec.sampling.max_tokens or _MAX_TOKENS,
        )
        self._key = student_key(model, self._folder, choose_device())

    def teacher(self) -> dict[str, Any]:
        """Return what replies depend on besides messages and sample."""
        return {**self._key, "sampling": self._spec.sampling.model_dump(exclude_none=True)}

    def answer(self, requests: Sequence[TeacherRequest]) -> list[Reply]:
        """Return one reply per request, each kept."""
        from tracekd.generation.run import predict

        rows = [
            {
                "id": str(number),
                "system": request.messages[0]["content"] if len(request.messages) > 1 else "",
                "prompt": request.messages[-1]["content"],
            }
            for number, request in enumerate(requests)
        ]
        predictions, _ = predict(self._model, self._params, rows, self._folder)
        replies = []
        for request, row in zip(requests, predictions, strict=True):
            reply = Reply(
                row["text"],
                finish_reason=row["finish_reason"],
                model=self._model.name,
                prompt_tokens=row["prompt_tokens"],
                completion_tokens=row["completion_tokens"],
                refused=TOO_LONG if row["finish_reason"] == "prompt_too_long" else "",
            )
            self._cache.keep(request.key(self.teacher()), reply)
            replies.append(reply)
        return replies


async def in_rounds(
    chains: Sequence[Callable[[Ask], Awaitable[T]]],
    answer: Callable[[Sequence[TeacherRequest]], list[Reply]],
    get: Callable[[TeacherRequest], Reply | None],
) -> list[T]:
    """Return the result of each chain; all that wait for a reply are answered together.

    `get` returns a reply that is kept already, if any.
    """
    waiting: list[tuple[TeacherRequest, asyncio.Future[Reply]]] = []

    async def ask(request: TeacherRequest) -> Reply:
        if (kept := get(request)) is not None:
            return kept
        future: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()
        waiting.append((request, future))
        return await future

    async def run(chain: Callable[[Ask], Awaitable[T]]) -> T:
        return await chain(ask)

    tasks = [asyncio.create_task(run(chain)) for chain in chains]
    while not all(task.done() for task in tasks):
        await asyncio.sleep(0)  # every chain runs up to its next request
        batch, waiting[:] = list(waiting), []
        if batch:
            replies = answer([request for request, _ in batch])
            for (_, future), reply in zip(batch, replies, strict=True):
                future.set_result(reply)
    return [task.result() for task in tasks]
