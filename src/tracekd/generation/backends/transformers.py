"""A model of transformers in this process: packed rows, a preallocated cache, drafted tokens."""

from collections.abc import Sequence
from typing import Any, ClassVar

from tracekd.generation.backends import MakesBackend, Student
from tracekd.generation.drafts import DRAFT, Recollection

#: Fewer rows would not pay for a process's own passes over the weights.
_ROWS_EACH = 8


class TransformersBackend:
    """Greedy decoding in which every forward pass may yield several tokens of a row.

    The tokens are those of decoding one by one: in exact arithmetic always, in bf16 but for near
    ties, as between any two batch sizes.
    """

    #: How many batches of `infer.batch_size` prompts it wants at once.
    batches = 1
    on_cpu = False
    packages: ClassVar[tuple[str, ...]] = ()

    def __init__(self, student: Student, draft: int = DRAFT) -> None:
        """Generate with the student's model, which is on its device.

        Args:
            student: its model's attention function is replaced.
            draft: most tokens to guess at once; 0 for decoding one by one.
        """
        from tracekd.crew import Crew, crew_size
        from tracekd.generation.packed import PackedModel

        self._model, self._draft = PackedModel(student.model), draft
        self._stops = student.stops
        self._taught = Recollection()
        for answer in student.taught:
            self._taught.extend(answer, new=True)
        self._cores = crew_size(student.device.device)
        self._crew: Crew | None = None

    def generate(self, prompts: Sequence[Sequence[int]], limits: Sequence[int]) -> list[list[int]]:
        """Return the new tokens of each prompt, shared out to processes; see `Backend`."""
        from tracekd.crew import Crew, share_out

        def part(rows: list[int]) -> list[list[Any]]:
            return [[prompts[row] for row in rows], [limits[row] for row in rows]]

        shares = self._cores if len(prompts) >= _ROWS_EACH * self._cores else 1
        own, *others = share_out([len(prompt) for prompt in prompts], shares)
        if not others:
            return self._here(prompts, limits)
        if self._crew is None:
            self._crew = Crew(shares - 1, lambda _, request: self._here(*request))
        first, replies = self._crew.share(lambda: self._here(*part(own)), list(map(part, others)))
        said: list[list[int]] = [[] for _ in prompts]
        for share, answers in zip([own, *others], [first, *replies], strict=True):
            for row, answer in zip(share, answers, strict=True):
                said[row] = answer
        return said

    def crew_memory(self) -> int:
        """Return the bytes that other processes have taken beside this one."""
        return 0 if self._crew is None else sum(self._crew.memory)

    def _here(self, prompts: Sequence[Sequence[int]], limits: Sequence[int]) -> list[list[int]]:
        """Return what `generate` does, computed in this process."""
        import torch

        from tracekd.generation.decoding import decode, read_prompts

        longest = max(len(prompt) + limit for prompt, limit in zip(prompts, limits, strict=True))
        with torch.inference_mode():
            cache = self._model.cache(len(prompts), longest)
            said = [[token] for token in read_prompts(self._model, cache, prompts)]
            decode(
                self._model, cache, prompts, said, limits, self._stops, self._taught, self._draft
            )
        return said


BACKEND: MakesBackend = TransformersBackend
