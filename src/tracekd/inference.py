"""Greedy answers of a student, batch by batch."""

import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from tracekd.checkpoints import Journal, digest, fingerprint, progress_folder
from tracekd.collation import length_batches
from tracekd.config import InferParams, ModelSpec
from tracekd.devices import Device, choose_device
from tracekd.encoding import ChatEncoder
from tracekd.errors import TracekdError, nearest
from tracekd.files import sha256_file
from tracekd.model_sources import locate
from tracekd.models import load_encoder, load_student
from tracekd.progress import LongRunWarning, progress_bar

if TYPE_CHECKING:
    from transformers import PreTrainedModel


class Backend(Protocol):
    """What continues prompts. Greedy: the most likely token at every step."""

    def generate(self, prompts: Sequence[Sequence[int]], limits: Sequence[int]) -> list[list[int]]:
        """Return the new tokens of each prompt, up to and with a stop token.

        Args:
            prompts: not empty, none of them empty.
            limits: how many new tokens each may have, at least one.
        """
        ...


@dataclass(frozen=True)
class Generation:
    """What the student said to one prompt; a row of `records.PREDICTIONS` without its id."""

    text: str
    finish_reason: str
    prompt_tokens: int
    completion_tokens: int


def make_backend(
    name: str, model: "PreTrainedModel", encoder: ChatEncoder, device: Device
) -> Backend:
    """Return a backend by its registered name, for a model on its device.

    Raises:
        TracekdError: if the name is not in `BACKENDS`.
    """
    if name not in BACKENDS:
        raise TracekdError(f"unknown backend {name!r}; {nearest(name, BACKENDS)}")
    backend: Backend = BACKENDS[name](model, stop_ids(model, encoder), device)
    return backend


def stop_ids(model: "PreTrainedModel", encoder: ChatEncoder) -> frozenset[int]:
    """Return the tokens that end an answer: the template's end of turn and the model's own EOS."""
    own = model.generation_config.eos_token_id if model.generation_config is not None else None
    others = own if isinstance(own, list) else [own]
    ids = {encoder.end_of_turn, encoder.tokenizer.eos_token_id, *others}
    return frozenset(token for token in ids if token is not None)


def generate(
    backend: Backend,
    encoder: ChatEncoder,
    rows: Sequence[Mapping[str, Any]],
    params: InferParams,
    max_length: int,
    stops: frozenset[int],
    machine: str = "this one",
    journal: Journal | None = None,
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
        machine: what the warning before a long run calls it.
        journal: of an earlier run with the same arguments, which goes on with it.
    """
    prompts = [encoder.prompt_ids(row["system"], row["prompt"]) for row in rows]
    answers: dict[int, Generation] = {
        row: Generation("", "prompt_too_long", len(prompt), 0)
        for row, prompt in enumerate(prompts)
        if len(prompt) >= max_length
    }
    fitting = [row for row in range(len(rows)) if row not in answers]
    batches = length_batches([len(prompts[row]) for row in fitting], params.batch_size)
    known = list(journal.values) if journal is not None else []
    warning = LongRunWarning("generation", len(batches) - len(known), machine)
    with progress_bar(len(fitting), "generation", "answer") as bar:
        for number, batch in enumerate(batches):
            chosen = [fitting[position] for position in batch]
            if number < len(known):
                generated = known[number]
            else:
                limits = [min(params.max_new_tokens, max_length - len(prompts[r])) for r in chosen]
                generated = backend.generate([prompts[row] for row in chosen], limits)
                if journal is not None:
                    journal.append(generated)
            for row, ids in zip(chosen, generated, strict=True):
                answers[row] = _read(ids, len(prompts[row]), encoder, stops)
            bar.update(len(chosen))
            if number >= len(known) and (message := warning.step()):
                bar.write(message)
    return [answers[row] for row in range(len(rows))]


def answer_rows(
    name: str,
    spec: ModelSpec,
    params: InferParams,
    rows: Sequence[Mapping[str, Any]],
    adapter: Path,
) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """Let a fine-tuned student answer `rows`; return rows of `records.PREDICTIONS` and facts.

    The facts, for a run card: how often each finish reason occurred, tokens, seconds of
    generation, tokens per second, peak memory, the machine.

    Args:
        name: the model's key in models.yaml; `spec` is its entry.
        spec: see `name`.
        params: batch size and the limit of new tokens.
        rows: rows of `records.SFT`.
        adapter: folder of the trained adapter.
    """
    device = choose_device()
    encoder = load_encoder(name, spec)
    model = load_student(name, spec, adapter, device)
    stops = stop_ids(model, encoder)
    backend = make_backend("transformers", model, encoder, device)
    started = time.perf_counter()
    machine = str(device.describe()["device_name"])
    key = {
        "model": fingerprint(spec, locate(name, spec)),
        "adapter": sha256_file(adapter / "adapter_model.safetensors"),
        "infer": params.model_dump(),
        "questions": digest([[row["id"], row["system"], row["prompt"]] for row in rows]),
        "machine": device.describe(),
    }
    with progress_folder("infer", key) as folder, Journal(folder / "answers.jsonl") as journal:
        answers = generate(backend, encoder, rows, params, spec.max_length, stops, machine, journal)
    seconds = time.perf_counter() - started
    tokens = sum(answer.completion_tokens for answer in answers)
    predictions = [
        {"id": row["id"], **asdict(answer)} for row, answer in zip(rows, answers, strict=True)
    ]
    facts = {
        "made_from": key,
        "finish_reasons": dict(sorted(Counter(a.finish_reason for a in answers).items())),
        "completion_tokens": tokens,
        "generation_seconds": round(seconds, 2),
        "tokens_per_second": round(tokens / seconds, 1),
        "peak_memory_bytes": device.peak_memory_bytes(),
    }
    return predictions, facts


def _read(
    ids: list[int], prompt_tokens: int, encoder: ChatEncoder, stops: frozenset[int]
) -> Generation:
    stopped = bool(ids) and ids[-1] in stops
    said = ids[:-1] if stopped else ids
    reason = "stop" if stopped else "length"
    return Generation(encoder.decode(said), reason, prompt_tokens, len(said))


class TransformersBackend:
    """A model of transformers in this process, with a key-value cache.

    An own loop rather than `model.generate`: rows that have ended leave the batch, and the output
    head is not copied.
    """

    def __init__(self, model: "PreTrainedModel", stops: frozenset[int], device: Device) -> None:
        """Generate with `model`, which is on `device`, until a token of `stops`."""
        self._model, self._stops, self._device = model, stops, device.device

    def generate(self, prompts: Sequence[Sequence[int]], limits: Sequence[int]) -> list[list[int]]:
        """Return the new tokens of each prompt; see `Backend`."""
        import torch

        with torch.inference_mode():
            return self._generate(prompts, limits)

    def _generate(self, prompts: Sequence[Sequence[int]], limits: Sequence[int]) -> list[list[int]]:
        import torch
        from transformers import DynamicCache

        ids, mask = self._left_padded(prompts)
        positions = (mask.cumsum(dim=1) - 1).clamp(min=0)
        cache = DynamicCache(config=self._model.config)
        said: list[list[int]] = [[] for _ in prompts]
        active = list(range(len(prompts)))
        while True:
            # A mask of ones only is left out: attention without a mask is faster.
            output = self._model(
                input_ids=ids,
                attention_mask=None if bool(mask.all()) else mask,
                position_ids=positions,
                past_key_values=cache,
                use_cache=True,
                # By index, not by count: a slice is not contiguous, and torch would then copy the
                # output head once per row.
                logits_to_keep=torch.tensor([ids.shape[1] - 1], device=self._device),
            )
            tokens = output.logits[:, -1].argmax(dim=-1)
            for row, token in zip(active, tokens.tolist(), strict=True):
                said[row].append(token)
            going = [
                place
                for place, row in enumerate(active)
                if said[row][-1] not in self._stops and len(said[row]) < limits[row]
            ]
            if not going:
                return said
            positions = positions[:, -1:] + 1
            if len(going) < len(active):
                kept = torch.tensor(going, device=self._device)
                cache.batch_select_indices(kept)
                tokens, positions, mask = tokens[kept], positions[kept], mask[kept]
                active = [active[place] for place in going]
            ids = tokens[:, None]
            mask = torch.cat([mask, mask.new_ones(len(active), 1)], dim=1)

    def _left_padded(self, prompts: Sequence[Sequence[int]]) -> "tuple[Any, Any]":
        """Return ids and mask [prompts, longest]: a prompt ends where its answer begins."""
        import torch

        longest = max(map(len, prompts))
        ids = torch.zeros(len(prompts), longest, dtype=torch.long)
        mask = torch.zeros_like(ids)
        for row, prompt in enumerate(prompts):
            ids[row, longest - len(prompt) :] = torch.tensor(prompt)
            mask[row, longest - len(prompt) :] = 1
        return ids.to(self._device), mask.to(self._device)


#: Ways to continue prompts. Another one is a class with the constructor of the first.
BACKENDS = {"transformers": TransformersBackend}
