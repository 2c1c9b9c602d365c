"""The loss: cross entropy of the completion's tokens, apart for trace and answer."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tracekd.errors import TracekdError
from tracekd.models.encoding import Encoded
from tracekd.training.collation import IGNORED, collate, length_batches

if TYPE_CHECKING:
    import torch


@dataclass
class LossTotals:
    """Sums of token losses (nats) and the counts of tokens behind them."""

    trace_sum: float = 0.0
    trace_tokens: int = 0
    answer_sum: float = 0.0
    answer_tokens: int = 0

    def add(self, losses: "torch.Tensor", in_answer: "torch.Tensor") -> None:
        """Add the losses of one batch, both of shape [supervised tokens]."""
        answer_tokens = int(in_answer.sum())
        answer_sum = float(losses[in_answer].sum())
        self.answer_sum += answer_sum
        self.answer_tokens += answer_tokens
        self.trace_sum += float(losses.sum()) - answer_sum
        self.trace_tokens += losses.numel() - answer_tokens

    def __iadd__(self, other: "LossTotals") -> "LossTotals":
        """Add what was summed up elsewhere."""
        self.trace_sum += other.trace_sum
        self.trace_tokens += other.trace_tokens
        self.answer_sum += other.answer_sum
        self.answer_tokens += other.answer_tokens
        return self

    def means(self) -> dict[str, float]:
        """Return mean loss per token: `loss`, and of each part that has tokens."""
        tokens = self.trace_tokens + self.answer_tokens
        means = {"loss": (self.trace_sum + self.answer_sum) / tokens}
        if self.trace_tokens:
            means["loss_trace"] = self.trace_sum / self.trace_tokens
        if self.answer_tokens:
            means["loss_answer"] = self.answer_sum / self.answer_tokens
        return means


def supervised_losses(
    model: Any, batch: "dict[str, torch.Tensor]"
) -> "tuple[torch.Tensor, torch.Tensor]":
    """Return each supervised token's loss in fp32 and whether it belongs to the answer.

    The output head runs only at positions before a supervised token of some row: with a
    vocabulary of 50,000 to 150,000 it would otherwise be most of the work and of the memory.

    Args:
        model: a causal language model of transformers, wrapped by PEFT or not.
        batch: as `collate` returns it, on the model's device.
    """
    from torch.nn.functional import cross_entropy

    from tracekd.kernels.head import head_losses, open_head

    shares_starts = getattr(getattr(model, "module", model), "shares_starts", False)
    outputs_of = _outputs_sharing_starts if shares_starts else _outputs_of_rows
    outputs, supervised = outputs_of(model, batch)
    targets = batch["labels"][:, 1:][supervised]
    head = open_head(model)
    if head is None:
        losses = cross_entropy(outputs.float(), targets, reduction="none")
    else:
        losses = head_losses(outputs, head.weight, targets)
    return losses, batch["in_answer"][:, 1:][supervised]


def _outputs_of_rows(
    model: Any, batch: "dict[str, torch.Tensor]"
) -> "tuple[torch.Tensor, torch.Tensor]":
    """Return the model's outputs before each supervised token, and which those are [B, T - 1]."""
    supervised = batch["labels"][:, 1:] != IGNORED
    columns = supervised.any(dim=0).nonzero().squeeze(1)
    output = model(input_ids=batch["input_ids"], logits_to_keep=columns, use_cache=False)
    return output.logits[supervised[:, columns]], supervised


def _outputs_sharing_starts(
    model: Any, batch: "dict[str, torch.Tensor]"
) -> "tuple[torch.Tensor, torch.Tensor]":
    """Return what `_outputs_of_rows` does, and compute once what all rows begin with."""
    import torch

    from tracekd.kernels.starts import SharedStart

    ids, labels = batch["input_ids"], batch["labels"]
    start = SharedStart.of(ids, labels)
    supervised = labels[:, 1:] != IGNORED
    before = torch.cat([supervised, supervised.new_zeros(len(ids), 1)], dim=1)
    positions = torch.arange(ids.shape[1], device=ids.device).expand_as(ids)
    output = model(
        input_ids=start.pack(ids),
        position_ids=start.pack(positions),
        # Attention follows from `shared_start`. Given some mask, transformers makes none.
        attention_mask=ids.new_ones(1, 1, 1, 1),
        shared_start=start,
        logits_to_keep=start.pack(before)[0].nonzero().squeeze(1),
        use_cache=False,
    )
    return output.logits[0], supervised


def mean_losses(
    model: Any, examples: Sequence[Encoded], batch_size: int, pad_id: int
) -> LossTotals:
    """Return the losses of `examples` without training on them; the model's mode is restored.

    Raises:
        TracekdError: naming the ids of a batch whose loss is not finite.
    """
    import torch

    training, totals = model.training, LossTotals()
    device = next(model.parameters()).device
    model.eval()
    with torch.no_grad():
        for rows in length_batches([len(example) for example in examples], batch_size):
            batch = collate([examples[row] for row in rows], rows, pad_id)
            batch = {key: value.to(device) for key, value in batch.items()}
            losses, in_answer = supervised_losses(model, batch)
            check_finite(losses, [examples[row].id for row in rows], "validation")
            totals.add(losses, in_answer)
    model.train(training)
    return totals


def check_finite(values: "torch.Tensor", ids: Sequence[str], where: str) -> None:
    """Stop a run whose numbers are no numbers any more.

    Raises:
        TracekdError: naming the place and the ids in the batch.
    """
    total = values.detach().sum()
    if not total.isfinite():
        raise TracekdError(
            f"{where}: the loss is {float(total)}; the batch holds {', '.join(ids)}; "
            "lower train.learning_rate or train.max_grad_norm (params.yaml), or look at those rows"
        )
