"""The loss: cross entropy of the completion's tokens, trace and answer separately."""

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch.nn.functional import cross_entropy

from tracekd.errors import TracekdError
from tracekd.models.devices import Device
from tracekd.models.encoding import Encoded
from tracekd.training.collation import IGNORED, collate


def token_counts(examples: Sequence[Encoded]) -> tuple[int, int]:
    """Return the supervised tokens of all traces and of all answers."""
    trace = sum(example.answer_index for example in examples)
    return trace, sum(len(example.completion_ids) for example in examples) - trace


def loss_sums(model: Any, examples: Sequence[Encoded], device: Device) -> torch.Tensor:
    """Return the sums of token losses (nats, fp32) of all traces and of all answers, shape [2].

    The output head runs only at positions before a supervised token of some row: with a
    vocabulary of 50,000 to 150,000 it would otherwise be most of the work and of the memory.
    Indexes are made on the CPU, so that a GPU is never waited for.
    """
    batch = collate(examples)
    following = batch["labels"][:, 1:]
    supervised = following != IGNORED
    columns = supervised.any(dim=0).nonzero().squeeze(1)
    places = supervised[:, columns].flatten().nonzero().squeeze(1)
    targets, in_answer = following[supervised], batch["in_answer"][:, 1:][supervised]
    to = device.device
    with torch.autocast(to.type, device.dtype, enabled=device.dtype == torch.bfloat16):
        logits = model(
            input_ids=batch["input_ids"].to(to), logits_to_keep=columns.to(to), use_cache=False
        ).logits
    kept = logits.flatten(0, 1)[places.to(to)].float()
    losses = cross_entropy(kept, targets.to(to), reduction="none")
    answers = in_answer.to(to, torch.float32)
    return torch.stack([(losses * (1 - answers)).sum(), (losses * answers).sum()])


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
