"""The loss: cross entropy of the completion's tokens, trace and answer separately."""

import functools
import math
from collections.abc import Sequence
from typing import Any

import torch
from torch.nn.functional import cross_entropy
from torch.utils.checkpoint import checkpoint

from tracekd.errors import TracekdError
from tracekd.models.devices import Device
from tracekd.models.encoding import Encoded
from tracekd.training.collation import IGNORED, collate, packed_rows

#: Tokens whose logits exist in fp32 at a time.
CHUNK = 1024


def token_counts(examples: Sequence[Encoded]) -> tuple[int, int]:
    """Return the supervised tokens of all traces and of all answers."""
    trace = sum(example.answer_index for example in examples)
    return trace, sum(len(example.completion_ids) for example in examples) - trace


def loss_sums(
    model: Any, examples: Sequence[Encoded], device: Device, packed: bool = False
) -> torch.Tensor:
    """Return the sums of token losses (nats, fp32) of all traces and of all answers, shape [2]."""
    logits, targets, answers = supervised_logits(model, examples, device, packed)
    losses = token_losses(logits, targets)
    return torch.stack([(losses * (1 - answers)).sum(), (losses * answers).sum()])


def supervised_logits(
    model: Any, examples: Sequence[Encoded], device: Device, packed: bool = False
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return logits [N, vocabulary], targets [N], and 1.0 for those of answers, else 0.0, [N].

    The output head runs only at positions before a supervised token of some row: with a
    vocabulary of 50,000 to 150,000 it would otherwise be most of the work and of the memory.
    Indexes are made on the CPU, so that a GPU is never waited for.
    """
    batch = collate(examples, packed)
    following = batch["labels"][:, 1:]
    supervised = following != IGNORED
    columns = supervised.any(dim=0).nonzero().squeeze(1)
    inputs = {"input_ids": batch["input_ids"], "logits_to_keep": columns}
    inputs |= packed_rows(examples) if packed else {}
    given = {name: _moved(value, device) for name, value in inputs.items()}
    with torch.autocast(device.device.type, device.dtype, enabled=device.dtype == torch.bfloat16):
        logits = model(**given, use_cache=False).logits.flatten(0, 1)
    if not packed:
        places = supervised[:, columns].flatten().nonzero().squeeze(1)
        logits = logits[_moved(places, device)]
    targets, in_answer = following[supervised], batch["in_answer"][:, 1:][supervised]
    return logits, _moved(targets, device), _moved(in_answer.float(), device)


def token_losses(logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """Return the cross entropy [N] in nats of logits [N, vocabulary], computed in fp32.

    Of more than `CHUNK` tokens, so many at a time, and once more in the backward pass: the copies
    in fp32 take several times the memory of logits in bf16.
    """
    if len(targets) <= CHUNK:
        return _cross_entropy(logits, targets)
    again = functools.partial(
        checkpoint, _cross_entropy, use_reentrant=False, preserve_rng_state=False
    )
    parts = zip(torch.split(logits, CHUNK), torch.split(targets, CHUNK), strict=True)
    return torch.cat([again(*part) for part in parts])


def mean_losses(sums: Sequence[float], counts: Sequence[int]) -> dict[str, float]:
    """Return the mean loss per token: `loss`, and of trace and answer if they have tokens."""
    means = {"loss": sum(sums) / sum(counts)}
    for name, total, tokens in zip(("loss_trace", "loss_answer"), sums, counts, strict=True):
        if tokens:
            means[name] = total / tokens
    return means


def require_finite(value: float, what: str, where: str, examples: Sequence[Encoded]) -> None:
    """Raise if the loss or the gradient, `what`, is NaN or infinite."""
    if not math.isfinite(value):
        raise TracekdError(
            f"{where}: the {what} is {value}; the batch contains "
            f"{', '.join(example.id for example in examples)}; lower train.learning_rate or "
            "train.max_grad_norm (params.yaml), or check those rows"
        )


def _cross_entropy(logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    return cross_entropy(logits.float(), targets, reduction="none")


def _moved(value: Any, device: Device) -> Any:
    """Return a tensor on the device, without waiting for it; anything else as it is."""
    if not isinstance(value, torch.Tensor):
        return value
    pinned = value.pin_memory() if device.device.type == "cuda" else value
    return pinned.to(device.device, non_blocking=True)
