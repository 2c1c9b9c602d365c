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
from tracekd.models.devices import Device, free_memory
from tracekd.models.encoding import Encoded
from tracekd.progress import StopRequest, progress_bar
from tracekd.randomness import digest
from tracekd.training import checkpoints
from tracekd.training.collation import epoch_order
from tracekd.training.losses import loss_sums, mean_losses, require_finite, token_counts
from tracekd.training.memory import PassPlan, prepare_passes
from tracekd.training.processes import Ranks
from tracekd.training.shards import gathered, is_sharded, reshard
from tracekd.training.trackers import start_trackers, tracker_options


@dataclass(frozen=True)
class TrainingResult:
    """What a training run did.

    Attributes:
        steps, seconds: optimizer steps taken, and the time they took without validation.
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
    """Train `model` in place, alone or with other processes, and write the log into folder `log`.

    The loss of a step is the mean over all supervised tokens of its batch. Two runs with the same
    arguments on the same machine end with the same weights, and so does one that resumes from the
    checkpoints that a killed one left in `progress`. Several processes take the same steps as one;
    they end with the same weights up to rounding and the dropout that is drawn.

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
    ranks, free = Ranks.current(), free_memory(device.device)
    if free is not None:
        free = -ranks.most(-free)  # all processes follow one plan
    plan = prepare_passes(model, device, params, [lengths[row] for row in longest], free)
    reshard(model)
    steps = math.ceil(math.ceil(len(training) / params.batch_size) * params.epochs)
    validate_at = {round(n * steps / params.evaluations) for n in range(1, params.evaluations + 1)}

    accelerator = Accelerator(cpu=kind == "cpu", **tracker_options(params.report_to))
    trained = [weight for weight in model.parameters() if weight.requires_grad]
    sharded = is_sharded(trained)
    optimizer = torch.optim.AdamW(
        trained,
        lr=params.learning_rate,
        weight_decay=params.weight_decay,
        fused=kind in {"cpu", "cuda"},
    )
    schedule = get_cosine_schedule_with_warmup(optimizer, math.ceil(params.warmup * steps), steps)
    model.train()
    state: dict[str, Any] = {"step": 0, "seconds": 0.0, "validations": [], "last": {}}
    if resumed := checkpoints.restore(progress, model, optimizer, log):
        schedule.load_state_dict(resumed.pop("schedule"))
        state = resumed
    settings = params.model_dump() | {"seed": seed}
    start_trackers(accelerator, params.report_to, settings, log, resumed=bool(resumed))

    def backward(parts: Sequence[tuple[Sequence[int], int]], tokens: int) -> torch.Tensor:
        """Add the gradients of this process's passes; return their sums of losses."""
        total = torch.zeros(2, device=device.device)
        for part, weight in parts:
            batch = [training[row] for row in part]
            sums = loss_sums(model, batch, device, plan.packed) * weight
            accelerator.backward(sums.sum() / tokens)
            total += sums.detach()
        return total

    def validated() -> dict[str, float]:
        losses = validation_losses(model, validation, device, plan)
        state["validations"].append(losses)
        return {f"validation/{name}": value for name, value in losses.items()}

    saved_at, interval = time.monotonic(), checkpoints.checkpoint_seconds()
    other = (ranks.rank,) if ranks.rank else ()  # each process draws its own dropout
    with (
        plan.explains_memory(),
        disable_input_dtype_casting(model),  # autocast does that; PEFT would convert to fp32 first
        StopRequest() as stop,
        progress_bar(steps, "training", "step", state["step"]) as bar,
    ):
        # A trial of the largest pass: too little memory shows at once, and layers are compiled for
        # the same shape in every run.
        backward(ranks.passes(longest, lengths, plan.tokens, sharded)[:1], 1)
        optimizer.zero_grad()
        if not resumed:
            accelerator.log(validated(), step=0)
        epochs = (epoch_order(lengths, params.batch_size, seed, n) for n in itertools.count())
        batches = itertools.chain.from_iterable(epochs)
        remaining = itertools.islice(batches, state["step"], steps)
        for step, rows in enumerate(remaining, state["step"] + 1):
            started = time.perf_counter()
            torch.manual_seed(digest(seed, "dropout", step, *other))
            batch = [training[row] for row in rows]
            tokens = sum(token_counts(batch))
            own = ranks.passes(rows, lengths, plan.tokens, sharded)
            sums = ranks.total(backward(own, tokens))
            ranks.total_gradients(trained)
            norm = gathered(accelerator.clip_grad_norm_(trained, params.max_grad_norm))
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
            if step < steps and ranks.due(time.monotonic() - saved_at >= interval, stop):
                kept, begun = state | {"schedule": schedule.state_dict()}, time.monotonic()
                checkpoints.save(progress, step, model, optimizer, kept, log)
                saved_at = time.monotonic()
                # Large checkpoints are rarer: they take at most a tenth of the time.
                interval = interval and max(interval, 9 * (saved_at - begun))
                stop.check(f"{step} of {steps} steps")
    with contextlib.suppress(FileNotFoundError):  # a mark that another run has just deleted
        for tracker in accelerator.trackers:
            tracker.finish()
    return TrainingResult(steps, state["seconds"], state["validations"], state["last"])


def validation_losses(
    model: Any, examples: Sequence[Encoded], device: Device, plan: PassPlan
) -> dict[str, float]:
    """Return the mean losses of `examples` without training on them, nor compiling for them.

    Raises:
        TracekdError: naming the ids of a batch whose loss is not finite.
    """
    ranks, total = Ranks.current(), torch.zeros(2, dtype=torch.float64)
    lengths = [len(example) for example in examples]
    model.eval()
    with torch.no_grad(), torch.compiler.set_stance("force_eager"):
        sharded = is_sharded(model.parameters())
        for part, weight in ranks.passes(range(len(examples)), lengths, plan.tokens, sharded):
            batch = [examples[row] for row in part]
            sums = loss_sums(model, batch, device, plan.packed).cpu().double() * weight
            require_finite(float(sums.sum()), "loss", "validation", batch)
            total += sums
    reshard(model)
    model.train()
    return mean_losses(ranks.total(total).tolist(), token_counts(examples))
