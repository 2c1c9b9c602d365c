"""Predictions of a student, batch by batch; a rerun continues what a killed run left."""

import time
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from tracekd.config import InferParams, ModelSpec
from tracekd.files import combined_hash, hash_files
from tracekd.generation.backends import Backend, Student, backend_module, choose_backend, stop_ids
from tracekd.generation.batches import in_batches, length_batches
from tracekd.generation.drafts import CONTEXTS
from tracekd.generation.sampling import Sampler
from tracekd.models.devices import Device, choose_device
from tracekd.models.encoding import ChatEncoder
from tracekd.models.loading import load_base, load_encoder, load_student, model_folder
from tracekd.models.sources import locate
from tracekd.progress import digest, progress_folder
from tracekd.randomness import digest as seed_of

#: Training examples to take guesses from; more do not save more time.
EXAMPLES = 1000
#: What a prediction depends on, of a row.
_ASKED = ("id", "system", "prompt", "filler_for")

Row = Mapping[str, Any]


def predict(
    spec: ModelSpec,
    params: InferParams,
    rows: Sequence[Row],
    student: Path | None,
    examples: Sequence[Row] = (),
    shots: Sequence[Row] = (),
) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """Return rows of `records.PREDICTIONS` for rows of `records.SFT`, and facts for the run card.

    `student` is the folder of an adapter; without one, the base model answers as it is. `examples`
    are some rows that the student was trained on: a backend may guess from them what comes next.
    `shots` are rows that precede every question.
    """
    device = choose_device()
    most = len(rows) * params.samples * params.max_new_tokens
    name = choose_backend(params.backend, device, most)
    module = backend_module(name)
    key = {
        **student_key(spec, student, device, getattr(module, "PACKAGES", ())),
        "infer": params.model_dump() | {"backend": name},
        "questions": digest([[row.get(name) for name in _ASKED] for row in rows]),
        "examples": digest([row["completion"] for row in examples]),
        "shots": digest(shots),
    }
    encoder = load_encoder(spec, shots)
    given = Student(
        load=partial(load_base, spec) if student is None else partial(load_student, spec, student),
        device=device,
        encoder=encoder,
        stops=stop_ids(locate(spec), encoder),
        max_length=spec.max_length,
        examples=[example_ids(encoder, row) for row in examples],
        sampler=Sampler(params.temperature, params.top_p),
        folder=model_folder(spec, student),
    )
    size = params.batch_size * getattr(module, "BATCHES", 1)
    with progress_folder("infer", key) as folder:
        backend = module.make(given)
        try:
            started = time.perf_counter()
            sized = params.model_copy(update={"batch_size": size})
            predictions = generate(backend, given, rows, sized, folder / "answers.jsonl")
            seconds = time.perf_counter() - started
        finally:
            backend.close()
    tokens = sum(row["completion_tokens"] for row in predictions)
    return predictions, {
        "made_from": key | {"machine": device.describe()},
        "finish_reasons": dict(sorted(Counter(p["finish_reason"] for p in predictions).items())),
        "completion_tokens": tokens,
        "generation_seconds": round(seconds, 2),
        "tokens_per_second": round(tokens / seconds, 1),
        "peak_memory_bytes": device.peak_memory_bytes(),
    }


def student_key(
    spec: ModelSpec, student: Path | None, device: Device, packages: Sequence[str] = ()
) -> dict[str, Any]:
    """Return what a student's output depends on, besides the questions and settings."""
    student_hash = None
    if student is not None:
        files = filter(Path.is_file, student.rglob("*"))
        student_hash = combined_hash(hash_files(student, files))
    return {**device.job_key(spec, packages), "student": student_hash}


def generate(
    backend: Backend,
    student: Student,
    rows: Sequence[Row],
    params: InferParams,
    partial: Path,
) -> list[dict[str, Any]]:
    """Return `params.samples` rows of `records.PREDICTIONS` per row of `records.SFT`, in order.

    A sample is a function of `params.seed`, the question's id and the sample's number.
    A prompt that leaves no room within the model's length is not run ("prompt_too_long"); an answer
    ends at a stop token ("stop") or at the limit of new tokens or of the model ("length").
    """
    encoder = student.encoder
    prompts = [encoder.given_ids(row) for row in rows]
    encoder.check_room((len(prompt) + 1 for prompt in prompts), student.max_length)
    room = [min(params.max_new_tokens, student.max_length - len(prompt)) for prompt in prompts]
    wanted = [(row, sample) for row in range(len(rows)) for sample in range(params.samples)]
    fitting = [number for number, (row, _) in enumerate(wanted) if room[row] > 0]

    def answer(batch: list[int]) -> list[list[int]]:
        chosen = [wanted[number] for number in batch]
        return backend.generate(
            [prompts[row] for row, _ in chosen],
            [room[row] for row, _ in chosen],
            # 63 bits, which every library takes.
            [
                seed_of(params.seed, "sample", rows[row]["id"], sample) >> 1
                for row, sample in chosen
            ],
        )

    by_length = length_batches([len(prompts[wanted[n][0]]) for n in fitting], params.batch_size)
    batches = [[fitting[place] for place in batch] for batch in by_length]
    answers = in_batches(batches, answer, partial, "generation")
    predictions = []
    for number, (row, sample) in enumerate(wanted):
        ids, reason = answers.get(number, []), "prompt_too_long"
        if ids:
            reason = "stop" if ids[-1] in student.stops else "length"
        new = ids[:-1] if reason == "stop" else ids
        predictions.append(
            {
                "id": rows[row]["id"],
                "sample": sample,
                "text": encoder.decode(new),
                "finish_reason": reason,
                "prompt_tokens": len(prompts[row]),
                "completion_tokens": len(new),
            }
        )
    return predictions


def example_ids(encoder: ChatEncoder, row: Row) -> list[int]:
    """Return a training completion as tokens, after the end of its prompt."""
    encoded = encoder.encode(row)
    return [*encoded.prompt_ids[-max(CONTEXTS) :], *encoded.completion_ids]
