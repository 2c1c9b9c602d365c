"""Greedy answers of a student, batch by batch."""

import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tracekd.bars import LongRunWarning, progress_bar
from tracekd.config import InferParams, ModelSpec
from tracekd.files import sha256_file
from tracekd.generation.backends import (
    Backend,
    Student,
    backend_class,
    choose_backend,
    make_backend,
    stop_ids,
    student_device,
)
from tracekd.models.devices import choose_device
from tracekd.models.encoding import ChatEncoder
from tracekd.models.loading import load_encoder, load_student, weights_of
from tracekd.models.sources import locate
from tracekd.progress import Journal, StopRequest, digest, fingerprint, progress_folder
from tracekd.training.collation import length_batches

#: Training examples whose completions help to guess what comes; more do not save more time.
TAUGHT = 1000


@dataclass(frozen=True)
class Generation:
    """What the student said to one prompt; a row of `records.PREDICTIONS` without its id."""

    text: str
    finish_reason: str
    prompt_tokens: int
    completion_tokens: int


@dataclass(frozen=True)
class Answers:
    """What a student said to all questions.

    Attributes:
        predictions: rows of `records.PREDICTIONS`.
        facts: for a run card: what they were made from, how often each finish reason occurred,
            tokens, seconds of generation, tokens per second, peak memory.
        progress: folder for what is computed from them next.
    """

    predictions: list[dict[str, Any]]
    facts: dict[str, Any]
    progress: Path


def generate(
    backend: Backend,
    encoder: ChatEncoder,
    rows: Sequence[Mapping[str, Any]],
    params: InferParams,
    max_length: int,
    stops: frozenset[int],
    journal: Journal,
    machine: str = "this one",
) -> list[Generation]:
    """Return one generation per row of `records.SFT`, in the order of the rows.

    A prompt that leaves no room within `max_length` tokens is not run ("prompt_too_long"); an
    answer ends at a stop token ("stop") or at `max_new_tokens` or `max_length` ("length").

    Args:
        backend: continues the prompts.
        encoder: makes prompts and reads answers, as in training.
        rows: `system` and `prompt` of each are read.
        params: batch size and the limit of new tokens.
        max_length: longest prompt and answer together.
        stops: as `stop_ids` returns them.
        journal: of an earlier run with the same arguments, which goes on with it.
        machine: what the warning before a long run calls it.
    """
    prompts = [encoder.prompt_ids(row["system"], row["prompt"]) for row in rows]
    answers: dict[int, Generation] = {
        row: Generation("", "prompt_too_long", len(prompt), 0)
        for row, prompt in enumerate(prompts)
        if len(prompt) >= max_length
    }
    fitting = [row for row in range(len(rows)) if row not in answers]
    size = params.batch_size * backend.batches
    batches = length_batches([len(prompts[row]) for row in fitting], size)
    warning = LongRunWarning("generation", len(batches) - journal.left, machine)
    with (
        progress_bar(len(fitting), "generation", "answer") as bar,
        StopRequest().leaving(lambda: f"{len(journal.values)} of {len(batches)} batches") as stop,
    ):
        for batch in batches:
            chosen = [fitting[position] for position in batch]
            generated = journal.recall()
            if generated is None:
                limits = [min(params.max_new_tokens, max_length - len(prompts[r])) for r in chosen]
                generated = backend.generate([prompts[row] for row in chosen], limits)
                journal.append(generated)
                stop.check()
                if message := warning.step():
                    bar.write(message)
            for row, ids in zip(chosen, generated, strict=True):
                answers[row] = _read(ids, len(prompts[row]), encoder, stops)
            bar.update(len(chosen))
    return [answers[row] for row in range(len(rows))]


@contextmanager
def answer_rows(
    name: str,
    spec: ModelSpec,
    params: InferParams,
    rows: Sequence[Mapping[str, Any]],
    adapter: Path,
    taught: Sequence[str] = (),
) -> Iterator[Answers]:
    """Let a fine-tuned student answer `rows`, and keep the answers until the block has succeeded.

    Until then another run with the same arguments is refused, and one after a kill takes the
    answers that are there.

    Args:
        name: the model's key in models.yaml; `spec` is its entry.
        spec: see `name`.
        params: batch size and the limit of new tokens.
        rows: rows of `records.SFT`.
        adapter: folder of the trained adapter.
        taught: completions that it was trained on, or some of them: from these a backend may
            guess what comes next, which saves time and changes nothing.
    """
    device = choose_device()
    chosen = choose_backend(params.backend, device)
    key = {
        "model": fingerprint(spec, locate(spec), backend_class(chosen).packages),
        "adapter": sha256_file(weights_of(adapter)),
        "infer": params.model_dump() | {"backend": chosen, "taught": digest(list(taught))},
        "questions": digest([[row["id"], row["system"], row["prompt"]] for row in rows]),
        "machine": device.describe(),
    }
    with progress_folder("infer", key) as folder:
        # The student is gone when this returns: the block may load another.
        answers, facts = _load_and_generate(
            name, spec, params.model_copy(update={"backend": chosen}), rows, adapter, taught, folder
        )
        predictions = [
            {"id": row["id"], **asdict(answer)} for row, answer in zip(rows, answers, strict=True)
        ]
        yield Answers(predictions, {"made_from": key} | facts, folder)


def _load_and_generate(
    name: str,
    spec: ModelSpec,
    params: InferParams,
    rows: Sequence[Mapping[str, Any]],
    adapter: Path,
    taught: Sequence[str],
    progress: Path,
) -> tuple[list[Generation], dict[str, Any]]:
    device = choose_device()
    encoder = load_encoder(name, spec)
    model = load_student(name, spec, adapter, student_device(params.backend, device))
    stops = stop_ids(model, encoder)
    examples = [[*encoder.plain_ids(text), encoder.end_of_turn] for text in taught]
    student = Student(model, encoder, stops, device, spec.max_length, examples)
    backend = make_backend(params.backend, student)
    started = time.perf_counter()
    machine = str(device.describe()["device_name"])
    with Journal(progress / "answers.jsonl") as journal:
        answers = generate(backend, encoder, rows, params, spec.max_length, stops, journal, machine)
    seconds = time.perf_counter() - started
    tokens = sum(answer.completion_tokens for answer in answers)
    return answers, {
        "finish_reasons": dict(sorted(Counter(a.finish_reason for a in answers).items())),
        "completion_tokens": tokens,
        "generation_seconds": round(seconds, 2),
        "tokens_per_second": round(tokens / seconds, 1),
        "peak_memory_bytes": device.peak_memory_bytes() + backend.crew_memory(),
    }


def _read(
    ids: list[int], prompt_tokens: int, encoder: ChatEncoder, stops: frozenset[int]
) -> Generation:
    stopped = bool(ids) and ids[-1] in stops
    said = ids[:-1] if stopped else ids
    reason = "stop" if stopped else "length"
    return Generation(encoder.decode(said), reason, prompt_tokens, len(said))
