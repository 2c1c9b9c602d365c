"""The training loop: the same steps in the same order, whether or not it was interrupted."""

import contextlib
import itertools
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from tracekd.config import TrainParams
from tracekd.models.devices import Device
from tracekd.models.encoding import Encoded
from tracekd.progress import StopRequest, progress_bar
from tracekd.randomness import digest
from tracekd.training import checkpoints
from tracekd.training.collation import epoch_order, passes
from tracekd.training.losses import loss_sums, mean_losses, require_finite, token_counts
from tracekd.training.memory import PassPlan, free_bytes, prepare_passes
from tracekd.training.trackers import start_trackers, tracker_options


@dataclass(frozen=True)
class TrainingResult:
    """What a training run did.

    Attributes:
        steps: optimizer steps taken.
        seconds: spent on them, validation left out.
        validations: mean losses before training and at each evaluation, in order.
        last: mean losses of the last step.
    """

    steps: int
    seconds: float
    validations: list[dict[str, float]]
    last: dict[str, float]


def fit(
    model: Any,
    training: Sequence[Encoded],
    validation: Sequence[Encoded],
    params: TrainParams,
    seed: int,
    device: Device,
    log: Path,
    progress: Path,
) -> TrainingResult:
    """Train the adapter of `model` in place and write the live log into the folder `log`.

    The loss of a step is the mean over all supervised tokens of its batch. Two runs with the same
    arguments on the same machine end with the same weights, and so does one that resumes from the
    checkpoints that a killed one left in `progress`.

    Raises:
        TracekdError: if a loss or gradient is not finite, naming the step and the batch's ids; if
            a GPU's memory is too small, naming the setting to change.
    """
    from accelerate import Accelerator
    from peft.helpers import disable_input_dtype_casting
    from transformers import get_cosine_schedule_with_warmup

    kind = device.device.type
    lengths = [len(example) for example in training]
    longest = sorted(range(len(training)), key=lambda row: -lengths[row])[: params.batch_size]
    lengths_of_longest = [lengths[row] for row in longest]
    plan = prepare_passes(model, device, params, lengths_of_longest, free_bytes(device))
    steps = math.ceil(math.ceil(len(training) / params.batch_size) * params.epochs)
    validate_at = {round(n * steps / params.evaluations) for n in range(1, params.evaluations + 1)}

    accelerator = Accelerator(cpu=kind == "cpu", **tracker_options(params.report_to))
    trained = [weight for weight in model.parameters() if weight.requires_grad]
    optimizer = torch.optim.AdamW(
        trained,
        lr=params.learning_rate,
        weight_decay=params.weight_decay,
        fused=kind in {"cpu", "cuda"},
    )
    schedule = get_cosine_schedule_with_warmup(optimizer, math.ceil(params.warmup * steps), steps)
    model = accelerator.prepare_model(model).train()
    state: dict[str, Any] = {"step": 0, "seconds": 0.0, "validations": [], "last": {}}
    if resumed := checkpoints.restore(progress, model, optimizer, log):
        schedule.load_state_dict(resumed.pop("schedule"))
        state = resumed
    settings = params.model_dump() | {"seed": seed}
    start_trackers(accelerator, params.report_to, settings, log, resumed=bool(resumed))

    def backward(rows: Sequence[int]) -> torch.Tensor:
        """Add the gradients of a batch; return its sums of losses."""
        tokens = sum(token_counts([training[row] for row in rows]))
        total = torch.zeros(2, device=device.device)
        for part in passes(rows, lengths, plan.tokens):
            sums = loss_sums(model, [training[row] for row in part], device, plan.packed)
            accelerator.backward(sums.sum() / tokens)
            total += sums.detach()
        return total

    def validated() -> dict[str, float]:
        losses = validation_losses(model, validation, device, plan)
        state["validations"].append(losses)
        return {f"validation/{name}": value for name, value in losses.items()}

    saved_at, interval = time.monotonic(), checkpoints.checkpoint_seconds()
    with (
        plan.explains_memory(),
        disable_input_dtype_casting(model),  # autocast does that; PEFT would convert to fp32 first
        StopRequest() as stop,
        progress_bar(steps, "training", "step", state["step"]) as bar,
    ):
        # A trial of the largest pass: too little memory shows at once, and layers are compiled for
        # the same shape in every run.
        backward(passes(longest, lengths, plan.tokens)[0])
        optimizer.zero_grad()
        if not resumed:
            accelerator.log(validated(), step=0)
        epochs = (epoch_order(lengths, params.batch_size, seed, n) for n in itertools.count())
        batches = itertools.chain.from_iterable(epochs)
        remaining = itertools.islice(batches, state["step"], steps)
        for step, rows in enumerate(remaining, state["step"] + 1):
            started = time.perf_counter()
            torch.manual_seed(digest(seed, "dropout", step))
            batch = [training[row] for row in rows]
            sums = backward(rows)
            norm = accelerator.clip_grad_norm_(trained, params.max_grad_norm)
            trace, answer, length = torch.stack([*sums, norm]).tolist()
            require_finite(trace + answer, "loss", f"step {step}", batch)
            require_finite(length, "gradient", f"step {step}", batch)
            (rate,) = schedule.get_last_lr()
            optimizer.step()
            schedule.step()
            optimizer.zero_grad()
            losses = mean_losses([trace, answer], token_counts(batch))
            seconds = state["seconds"] + time.perf_counter() - started
            state |= {"step": step, "seconds": seconds, "last": losses}
            measured = {f"train/{name}": value for name, value in losses.items()}
            measured |= {"train/learning_rate": rate}
            if step in validate_at:
                measured |= validated()
            accelerator.log(measured, step=step)
            bar.set_postfix(loss=f"{losses['loss']:.3f}", refresh=False)
            bar.update()
            due = time.monotonic() - saved_at >= interval
            if step < steps and (due or stop.signal):
                kept = state | {"schedule": schedule.state_dict()}
                checkpoints.save(progress, step, model, optimizer, kept, log)
                saved_at = time.monotonic()
                stop.check(f"{step} of {steps} steps")
    with contextlib.suppress(FileNotFoundError):  # a mark that another run has just deleted
        accelerator.end_training()
    return TrainingResult(steps, state["seconds"], state["validations"], state["last"])


def validation_losses(
    model: Any, examples: Sequence[Encoded], device: Device, plan: PassPlan
) -> dict[str, float]:
    """Return the mean losses of `examples` without training on them, nor compiling for them.

    Raises:
        TracekdError: naming the ids of a batch whose loss is not finite.
    """
    total = [0.0, 0.0]
    model.eval()
    with torch.no_grad(), torch.compiler.set_stance("force_eager"):
        lengths = [len(example) for example in examples]
        for part in passes(range(len(examples)), lengths, plan.tokens):
            batch = [examples[row] for row in part]
            sums = loss_sums(model, batch, device, plan.packed).tolist()
            require_finite(sum(sums), "loss", "validation", batch)
            total = [one + other for one, other in zip(total, sums, strict=True)]
    model.train()
    return mean_losses(total, token_counts(examples))
