"""The contestants of inference.py: a backend of ours, `generate`, and the authors' loop."""

import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from _compute import device_of, generation_operations, matmul_round, synchronize
from _pairing import Round
from tracekd.errors import TracekdError
from tracekd.generation.run import TAUGHT


class Job:
    """The questions and the student that all contestants share."""

    def __init__(
        self,
        data: Path,
        model: str,
        models: Path,
        adapter: Path | None,
        questions: int,
        batch_sizes: tuple[int, int],
        new_tokens: int,
        authors: int,
        precision: str,
    ) -> None:
        """Read settings and rows; the model is loaded when a device is at hand.

        `batch_sizes` are ours and that of `generate`.
        """
        from tracekd import config, records, tables

        self.name, self.spec = model, config.load_model(models, model)
        self.params = config.InferParams(batch_size=batch_sizes[0], max_new_tokens=new_tokens)
        self.peer_batch_size = batch_sizes[1]
        self.adapter, self.precision, self.authors = adapter, precision, authors
        table = tables.read(data / "test.parquet", records.SFT)
        if len(table) < questions:
            raise TracekdError(
                f"{data / 'test.parquet'}: {len(table)} questions; ask for fewer than {questions} "
                "--questions"
            )
        self._rows = table.head(questions).to_dicts()
        train = tables.read(data / "train.parquet", records.SFT)
        self._taught: list[str] = train.head(TAUGHT)["completion"].to_list()
        self.first_seconds: float | None = None

    def load(self, device: Any) -> None:
        """Load encoder and student onto the device: base weights with the adapter merged."""
        from tracekd.generation.backends import stop_ids
        from tracekd.models.loading import load_base, load_encoder, load_student

        self.device, self.encoder = device, load_encoder(self.name, self.spec)
        if self.adapter is not None:
            self.model = load_student(self.name, self.spec, self.adapter, device)
        else:
            self.model = load_base(self.name, self.spec, device)
        self.stops = stop_ids(self.model, self.encoder)

    def taught(self) -> list[list[int]]:
        """Return completions of the training examples as the infer stage hands them on."""
        return [[*self.encoder.plain_ids(text), self.encoder.end_of_turn] for text in self._taught]

    def student(self) -> Any:
        """Return what a backend is made from."""
        from tracekd.generation.backends import Student

        room, taught = self.spec.max_length, self.taught()
        return Student(self.model, self.encoder, self.stops, self.device, room, taught)

    def rows(self, number: int, most: int | None = None) -> list[dict[str, Any]]:
        """Return the questions of a round: all, or `most` evenly over all, of which one warms up.

        Warming up on all of them lets a backend compile for the shapes that follow.
        """
        if most is None:
            return self._rows
        chosen = self._rows[:: max(1, len(self._rows) // most)][:most]
        return chosen if number >= 0 else chosen[:1]


def player(name: str, job: Job, backend: str, *, tune_peer: bool) -> Callable[[int], Round]:
    """Return what plays the rounds of a contestant."""
    if name == "matrix product":
        device = device_of(job.precision, tuned=True)
        return lambda _: matmul_round(device)
    job.load(device_of(job.precision, tuned=tune_peer or name == "ours"))
    if name == "ours":
        from tracekd.generation.backends import make_backend

        made = make_backend(backend, job.student())
        return lambda number: _ours(job, made, number)
    if name == "generate":
        return lambda number: _generate(job, job.rows(number), job.peer_batch_size, cached=True)
    return lambda number: _generate(job, job.rows(number, job.authors), 1, cached=False)


class _Recorder:
    """A backend that remembers what another one said to each prompt."""

    def __init__(self, backend: Any) -> None:
        self._backend, self.batches = backend, backend.batches
        self.said: dict[tuple[int, ...], list[int]] = {}

    def generate(self, prompts: Sequence[Sequence[int]], limits: Sequence[int]) -> list[list[int]]:
        answers: list[list[int]] = self._backend.generate(prompts, limits)
        self.said.update(zip(map(tuple, prompts), answers, strict=True))
        return answers

    def crew_memory(self) -> int:
        memory: int = self._backend.crew_memory()
        return memory


def _ours(job: Job, backend: Any, number: int) -> Round:
    from tracekd.generation.run import generate
    from tracekd.progress import Journal

    rows, recorder, room = job.rows(number), _Recorder(backend), job.spec.max_length
    with tempfile.TemporaryDirectory() as folder, Journal(Path(folder, "answers")) as journal:
        started = time.perf_counter()
        generate(recorder, job.encoder, rows, job.params, room, job.stops, journal)
        synchronize(job.device)
        seconds = time.perf_counter() - started
    prompts = [job.encoder.prompt_ids(row["system"], row["prompt"]) for row in rows]
    said = [recorder.said[tuple(prompt)] for prompt in prompts]
    memory = {"crew_memory_bytes": backend.crew_memory()}
    return _round(job, rows, prompts, said, seconds) | memory


def _generate(job: Job, rows: list[dict[str, Any]], batch_size: int, *, cached: bool) -> Round:
    """Answer by `generate`, in batches of like length, padded on the left."""
    import torch

    from tracekd.training.collation import length_batches

    started = time.perf_counter()
    prompts = [job.encoder.prompt_ids(row["system"], row["prompt"]) for row in rows]
    answers: dict[int, list[int]] = {}
    for batch in length_batches([len(prompt) for prompt in prompts], batch_size):
        ids, mask = _padded([prompts[row] for row in batch], job.device.device)
        with torch.inference_mode():
            output = job.model.generate(
                input_ids=ids,
                attention_mask=mask,
                max_new_tokens=job.params.max_new_tokens,
                do_sample=False,
                temperature=None,
                top_p=None,
                top_k=None,
                use_cache=cached,
                eos_token_id=sorted(job.stops),
                pad_token_id=min(job.stops),
            )
        for row, new in zip(batch, output[:, ids.shape[1] :].tolist(), strict=True):
            answers[row] = _up_to_stop(new, job.stops)
            job.encoder.decode([token for token in answers[row] if token not in job.stops])
    synchronize(job.device)
    seconds = time.perf_counter() - started
    return _round(job, rows, prompts, [answers[row] for row in range(len(rows))], seconds)


def _padded(prompts: Sequence[Sequence[int]], device: Any) -> tuple[Any, Any]:
    import torch

    longest = max(map(len, prompts))
    ids = torch.zeros(len(prompts), longest, dtype=torch.long)
    mask = torch.zeros_like(ids)
    for row, prompt in enumerate(prompts):
        ids[row, longest - len(prompt) :] = torch.tensor(prompt)
        mask[row, longest - len(prompt) :] = 1
    return ids.to(device), mask.to(device)


def _up_to_stop(tokens: list[int], stops: frozenset[int]) -> list[int]:
    for place, token in enumerate(tokens):
        if token in stops:
            return tokens[: place + 1]
    return tokens


def _round(
    job: Job,
    rows: list[dict[str, Any]],
    prompts: list[list[int]],
    answers: list[list[int]],
    seconds: float,
) -> Round:
    job.first_seconds = job.first_seconds or seconds
    sizes = [(len(prompt), len(said)) for prompt, said in zip(prompts, answers, strict=True)]
    return {
        "seconds": seconds,
        "first_seconds": job.first_seconds,
        "questions": len(rows),
        "prompt_tokens": sum(prompt for prompt, _ in sizes),
        "new_tokens": sum(new for _, new in sizes),
        "operations": generation_operations(job.model, sizes),
        "said": {row["id"]: said for row, said in zip(rows, answers, strict=True)},
    }
