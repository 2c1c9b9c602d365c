"""A teacher from models.yaml, answered here: no server, the same generation as the student's."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tracekd.config import InferParams, TeacherSpec, load_model, parse_settings
from tracekd.teacher.asking import Chain, written_so_far
from tracekd.teacher.cache import ReplyCache
from tracekd.teacher.prompts import TeacherRequest
from tracekd.teacher.published import pinned_place
from tracekd.teacher.replies import Reply
from tracekd.teacher.table import Draft

#: Longest reply where the entry gives none.
_MAX_TOKENS = 1024


class LocalTeacher:
    """Answers requests in large batches."""

    def __init__(self, spec: TeacherSpec, models: Path) -> None:
        """Take an entry with a model of models.yaml; its adapter must be what the entry pins."""
        self._spec = spec
        self._model = load_model(models, str(spec.model), f"teachers.yaml: {spec.name}: model")
        self._folder = None if spec.path is None else pinned_place(spec)
        sampling = spec.sampling.model_dump(exclude={"max_tokens", "extra"}, exclude_none=True)
        most = spec.sampling.max_tokens or _MAX_TOKENS
        settings = {"batch_size": spec.batch_size, "max_new_tokens": most, **sampling}
        where = f"teachers.yaml: {spec.name}: sampling"
        self._params = parse_settings(InferParams, settings, where)

    def identity(self) -> dict[str, Any]:
        """Return what replies depend on besides messages and sample."""
        from tracekd.generation.run import student_key
        from tracekd.models.devices import choose_device

        sampling = self._spec.sampling.model_dump(exclude_none=True)
        return {**student_key(self._model, self._folder, choose_device()), "sampling": sampling}

    async def run(self, plan: Sequence[Chain], kept: ReplyCache) -> list[Draft]:
        """Return what all chains wrote; requests that need no other reply are answered together."""
        while True:
            drafts, missing = await written_so_far(plan, kept.get)
            if not missing:
                return drafts
            self._answer(missing, kept)

    def _answer(self, requests: Sequence[TeacherRequest], kept: ReplyCache) -> None:
        """Keep a reply to each request."""
        from tracekd.generation.run import predict

        rows = [
            {
                "id": request.key({}),  # what a draw depends on besides the seed
                "system": request.messages[0]["content"] if len(request.messages) > 1 else "",
                "prompt": request.messages[-1]["content"],
            }
            for request in requests
        ]
        predictions, _ = predict(self._model, self._params, rows, self._folder)
        for request, row in zip(requests, predictions, strict=True):
            too_long = row["finish_reason"] == "prompt_too_long"
            reply = Reply(
                row["text"],
                finish_reason=row["finish_reason"],
                model=self._model.name,
                prompt_tokens=row["prompt_tokens"],
                completion_tokens=row["completion_tokens"],
                refused="the prompt is too long for the model" if too_long else "",
            )
            kept.keep(request, reply)
