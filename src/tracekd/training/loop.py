"""transformers' Trainer with this project's loss and order of examples."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from functools import cached_property
from typing import Any

import torch
from torch.utils.data import Sampler
from transformers import PrinterCallback, Trainer

from tracekd.crew import Crew, crew_size, share_out, shared_zeros
from tracekd.kernels.optimizer import FlatAdamW
from tracekd.models.encoding import Encoded
from tracekd.randomness import digest
from tracekd.training.collation import WIDTH, epoch_order, split_batch
from tracekd.training.losses import LossTotals, check_finite, mean_losses, supervised_losses

#: Tokens, padding included, in one forward and backward pass. On a CPU more do not go faster:
#: SmolLM2 takes about 3 GB for these. GPUs want more at once.
_TOKENS_PER_PASS = {"cpu": 2048}
_TOKENS_PER_PASS_ELSEWHERE = 16384
#: The same for validation, which keeps nothing for a backward pass.
_VALIDATION_TOKENS = 4096


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
        gradient_norm: length of the last step's gradient, before it was clipped.
    """

    def __init__(
        self, *args: Any, validation: Sequence[Encoded], pad_id: int, **kwargs: Any
    ) -> None:
        """Take what `Trainer` takes and what `validate` needs.

        Args:
            args: as for `Trainer`.
            validation: examples, not empty.
            pad_id: as for `collation.collate`.
            kwargs: as for `Trainer`; `train_dataset` is a list of (row, Encoded).
        """
        super().__init__(*args, **kwargs)
        self._validation, self._pad_id = validation, pad_id
        # Makes the Trainer count the supervised tokens of all batches of a step for compute_loss.
        self.model_accepts_loss_kwargs = True
        self.remove_callback(PrinterCallback)
        self.totals = LossTotals()
        self.gradient_norm = 0.0
        self.step_ids: list[str] = []
        alone = self.accelerator.num_processes == 1
        rows = self.args.per_device_train_batch_size
        cores = crew_size(self.args.device) if alone else 1
        # Cores that would have no row do more good as a second thread for those that have.
        self._shares = cores if cores <= rows else 1
        if self.args.device.type == "cpu":
            # Of several processes each would copy the weights out of the optimizer's memory.
            self.accelerator.device_placement = False

    def create_optimizer(self, model: Any = None) -> torch.optim.Optimizer:  # noqa: ARG002
        """Make the optimizer; weights decay in all of an adapter, which has matrices only."""
        args = self.args
        self._flat = FlatAdamW(
            (weight for weight in self.model.parameters() if weight.requires_grad),
            shared_zeros if self._shares > 1 else None,
            lr=args.learning_rate,
            betas=(args.adam_beta1, args.adam_beta2),
            eps=args.adam_epsilon,
            weight_decay=args.weight_decay,
        )
        self.optimizer: torch.optim.Optimizer = self._flat
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
        """Run forward and backward on a batch, its rows shared out to the processes of the crew.

        Raises:
            TracekdError: see `compute_loss`.
        """
        if not self._flat.collecting:
            self._flat.gradients.zero_()
            self._flat.collect()
        rows = inputs["rows"].tolist()
        self.step_ids += [self.train_dataset[row][1].id for row in rows]
        lengths = [len(self.train_dataset[row][1]) for row in rows]
        own, *others = share_out(lengths, self._shares)
        if not others:
            return self._in_parts(model, inputs, num_items_in_batch)
        items = None if num_items_in_batch is None else int(num_items_in_batch)
        about = ["train", self.state.global_step, items]

        def here() -> torch.Tensor:
            return self._in_parts(model, self._collated([rows[place] for place in own]), items)

        requests = [[*about, [rows[place] for place in share]] for share in others]
        loss, replies = self._crew.share(here, requests)
        for gradients, (share_loss, totals) in zip(self._gradients, replies, strict=False):
            self._flat.gradients.add_(gradients)
            self.totals += LossTotals(**totals)
            loss += share_loss
        return loss

    def floating_point_ops(self, inputs: dict[str, Any]) -> int:  # noqa: ARG002
        """Return 0: an estimate that nobody reads, for which the Trainer counts all weights."""
        return 0

    def _clip_grad_norm(self, model: Any) -> torch.Tensor:  # noqa: ARG002
        """Do what the Trainer does, over one tensor."""
        norm = self._flat.clip(self.args.max_grad_norm)
        self.gradient_norm = float(norm)
        return norm

    def crew_memory(self) -> int:
        """Return the bytes that the crew's workers have taken beside this process."""
        return sum(self._crew.memory) if "_crew" in self.__dict__ else 0

    def close(self) -> None:
        """End the crew, after success or failure."""
        if "_crew" in self.__dict__:
            self._crew.close()

    def validate(self) -> LossTotals:
        """Return the losses of the validation examples, shared out as a step's are.

        Raises:
            TracekdError: see `mean_losses`.
        """
        own, *others = share_out([len(example) for example in self._validation], self._shares)
        if not others:
            return self._validated(own)
        requests = [["validate", share] for share in others]
        totals, replies = self._crew.share(lambda: self._validated(own), requests)
        for reply in replies:
            totals += LossTotals(**reply)
        return totals

    def _validated(self, rows: Sequence[int]) -> LossTotals:
        examples = [self._validation[row] for row in rows]
        fitting = _VALIDATION_TOKENS // max(map(len, examples))
        return mean_losses(self.model, examples, max(1, fitting), self._pad_id)

    @cached_property
    def _crew(self) -> Crew:
        """The crew, forked when first needed; a worker does with rows what this process does."""
        workers, elements = self._shares - 1, self._flat.gradients.numel()
        self._gradients = [shared_zeros(elements) for _ in range(workers)]

        def train(worker: int, step: int, items: int | None, rows: list[int]) -> Any:
            self.state.global_step = step
            torch.manual_seed(digest(self.args.seed, "dropout", step, *rows))
            self._flat.collect(self._gradients[worker].zero_())
            loss = self._in_parts(self.model_wrapped, self._collated(rows), items)
            return float(loss), asdict(self.take_totals())

        def work(worker: int, request: Any) -> Any:
            kind, *about = request
            return train(worker, *about) if kind == "train" else asdict(self._validated(*about))

        return Crew(workers, work)

    def _collated(self, rows: list[int]) -> dict[str, torch.Tensor]:
        batch: dict[str, torch.Tensor] = self.data_collator([self.train_dataset[r] for r in rows])
        return batch

    def _in_parts(
        self,
        model: Any,
        inputs: dict[str, torch.Tensor],
        num_items_in_batch: torch.Tensor | int | None,
    ) -> torch.Tensor:
        """Run forward and backward on a batch, in parts if it is too large for one pass.

        Other processes may have fewer parts or more: only the last one exchanges gradients.
        """
        limit = _TOKENS_PER_PASS.get(self.args.device.type, _TOKENS_PER_PASS_ELSEWHERE)
        *parts, last = split_batch(inputs, limit, WIDTH)
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
