"""transformers' Trainer with this project's loss and order of examples."""

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch.utils.data import Sampler
from transformers import PrinterCallback, Trainer

from tracekd.collation import epoch_order, split_batch
from tracekd.kernels.optimizer import FlatAdamW
from tracekd.losses import LossTotals, check_finite, supervised_losses

#: Tokens, padding included, in one forward and backward pass. On a CPU more do not go faster:
#: SmolLM2 takes about 3 GB for these. GPUs want more at once.
_TOKENS_PER_PASS = {"cpu": 2048}
_TOKENS_PER_PASS_ELSEWHERE = 16384


class EpochOrder(Sampler[int]):
    """`collation.epoch_order` as the sampler of a data loader."""

    def __init__(self, lengths: Sequence[int], batch_size: int, seed: int) -> None:
        """Start at epoch 0; the Trainer announces the others by `set_epoch`."""
        self._lengths, self._batch_size, self._seed, self._epoch = lengths, batch_size, seed, 0

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch whose order the next iteration follows."""
        self._epoch = epoch

    def __iter__(self) -> Iterator[int]:
        """Iterate over row numbers."""
        return iter(epoch_order(self._lengths, self._batch_size, self._seed, self._epoch))

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self._lengths)


class CompletionTrainer(Trainer):  # type: ignore[misc]  # transformers is untyped here
    """Trains on completions only; the loss is the mean over all their tokens in a step.

    Attributes:
        totals: token losses since the log last took them.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        """Take the arguments of `Trainer`; `train_dataset` is a list of (row, Encoded)."""
        super().__init__(*args, **kwargs)
        # Makes the Trainer count the supervised tokens of all batches of a step for compute_loss.
        self.model_accepts_loss_kwargs = True
        self.remove_callback(PrinterCallback)
        self.totals = LossTotals()
        self.step_ids: list[str] = []

    def create_optimizer(self, model: Any = None) -> torch.optim.Optimizer:  # noqa: ARG002
        """Make the optimizer; weights decay in all of an adapter, which has matrices only."""
        args = self.args
        self.optimizer: torch.optim.Optimizer = FlatAdamW(
            (weight for weight in self.model.parameters() if weight.requires_grad),
            lr=args.learning_rate,
            betas=(args.adam_beta1, args.adam_beta2),
            eps=args.adam_epsilon,
            weight_decay=args.weight_decay,
        )
        return self.optimizer

    def _get_train_sampler(self, train_dataset: Any = None) -> EpochOrder:
        examples = train_dataset if train_dataset is not None else self.train_dataset
        lengths = [len(example) for _, example in examples]
        return EpochOrder(lengths, self.args.per_device_train_batch_size, self.args.seed)

    def training_step(
        self,
        model: Any,
        inputs: dict[str, torch.Tensor],
        num_items_in_batch: torch.Tensor | int | None = None,
    ) -> torch.Tensor:
        """Run forward and backward on a batch, in parts if it is too large for one pass.

        Other processes may have fewer parts or more: only the last one exchanges gradients.
        """
        limit = _TOKENS_PER_PASS.get(self.args.device.type, _TOKENS_PER_PASS_ELSEWHERE)
        *parts, last = split_batch(inputs, limit)
        step = super().training_step
        losses = []
        for part in parts:
            with self.accelerator.no_sync(model):
                losses.append(step(model, part, num_items_in_batch))
        losses.append(step(model, last, num_items_in_batch))
        return torch.stack(losses).sum()

    def compute_loss(
        self,
        model: Any,
        inputs: dict[str, torch.Tensor],
        return_outputs: bool = False,  # noqa: ARG002  (the signature is the Trainer's)
        num_items_in_batch: torch.Tensor | int | None = None,
    ) -> torch.Tensor:
        """Return this batch's share of the step's mean token loss.

        Raises:
            TracekdError: if it is not finite, naming the step and the ids.
        """
        losses, in_answer = supervised_losses(model, inputs)
        ids = [self.train_dataset[row][1].id for row in inputs["rows"].tolist()]
        check_finite(losses, ids, f"step {self.state.global_step + 1}")
        self.totals.add(losses.detach(), in_answer)
        self.step_ids += ids
        share = losses.sum() / (
            losses.numel() if num_items_in_batch is None else num_items_in_batch
        )
        # Gradients are averaged over processes, but the tokens are counted over all of them.
        scaled: torch.Tensor = share * self.accelerator.num_processes
        return scaled

    def take_totals(self) -> LossTotals:
        """Return and reset the token losses since the last call."""
        taken, self.totals = self.totals, LossTotals()
        self.step_ids = []
        return taken
