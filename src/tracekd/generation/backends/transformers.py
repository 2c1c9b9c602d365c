"""A model of transformers in this process: packed decoding, or `generate` if that does not fit."""

from collections.abc import Sequence

from tracekd.generation.backends import Student


class TransformersBackend:
    """The student in this process, on any device."""

    def __init__(self, student: Student) -> None:
        """Load the student and find out how it can generate."""
        from tracekd.generation.decoding import Decoder
        from tracekd.generation.packed import pack

        self._model, self._stops = student.load(student.device), student.stops
        packed = pack(self._model)
        self._decoder = Decoder(packed, self._stops, student.examples) if packed else None

    def generate(self, prompts: Sequence[Sequence[int]], limits: Sequence[int]) -> list[list[int]]:
        """Return the new tokens of each prompt; see `Backend`."""
        from tracekd.generation import plain

        if self._decoder is not None:
            return self._decoder.generate(prompts, limits)
        return plain.generate(self._model, prompts, limits, self._stops)


make = TransformersBackend
