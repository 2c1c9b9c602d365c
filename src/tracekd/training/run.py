"""The fine-tuning run: encoded examples in, a LoRA adapter and its log out."""

import math
import os
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tracekd.config import ModelSpec, TrainParams
from tracekd.errors import TracekdError
from tracekd.files import atomic_directory, write_json
from tracekd.models.devices import Device, choose_device, process_count, process_rank
from tracekd.models.encoding import ChatEncoder, Encoded
from tracekd.models.loading import (
    add_adapter,
    base_reference,
    load_base,
    load_encoder,
    save_adapter,
)
from tracekd.models.sources import locate, quiet_transformers
from tracekd.progress import StopRequest, digest, fingerprint, progress_folder

if TYPE_CHECKING:
    from peft import PeftModel

#: Seconds of training that a kill may cost: a checkpoint is written this often.
_CHECKPOINT_SECONDS = 60.0


@dataclass(frozen=True)
class Course:
    """What a training run did.

    Attributes:
        steps: optimizer steps taken.
        seconds: spent on them, validation left out.
        validations: mean losses before training and at each evaluation, in order.
        last: mean losses of the last step.
        crew_memory: bytes that other processes took which shared out the rows of batches.
    """

    steps: int
    seconds: float
    validations: list[dict[str, float]]
    last: dict[str, float]
    crew_memory: int


def encode_rows(encoder: ChatEncoder, rows: Sequence[Mapping[str, Any]]) -> list[Encoded]:
    """Return rows of `records.SFT` as tokens, in order."""
    return [encoder.encode(row) for row in rows]


def within_length(
    examples: Sequence[Encoded], max_length: int, too_long: str
) -> tuple[list[Encoded], list[str]]:
    """Return the examples of at most `max_length` tokens, and the ids of the others.

    Raises:
        TracekdError: if there are others and `too_long` is "error", or if nothing is left.
    """
    kept = [example for example in examples if len(example) <= max_length]
    dropped = [example.id for example in examples if len(example) > max_length]
    if dropped and too_long == "error":
        longest = max(examples, key=len)
        raise TracekdError(
            f"{len(dropped)} of {len(examples)} examples are longer than {max_length} tokens, "
            f"{longest.id} with {len(longest)} most of all; raise train.max_length or the model's "
            "max_length, or set train.too_long: drop (params.yaml)"
        )
    if not kept:
        raise TracekdError(
            f"none of {len(examples)} examples has at most {max_length} tokens; raise "
            "train.max_length (params.yaml) or the model's max_length (models.yaml)"
        )
    return kept, dropped


def fine_tune(
    model: "PeftModel",
    training: Sequence[Encoded],
    validation: Sequence[Encoded],
    params: TrainParams,
    seed: int,
    device: Device,
    pad_id: int,
    log: Path,
    progress: Path,
) -> Course:
    """Train the adapter of `model` in place and write the live log into the folder `log`.

    Two runs with the same arguments on the same machine end with the same weights, and so does one
    that goes on from the checkpoints that a killed one left in `progress`.

    Raises:
        TracekdError: if a loss or gradient is not finite, naming the step and the batch's ids.
    """
    from transformers import set_seed

    from tracekd.kernels import use_kernels
    from tracekd.training.callbacks import Keeper, Monitor, last_checkpoint
    from tracekd.training.collation import WIDTH, collate
    from tracekd.training.loop import CompletionTrainer

    def collate_numbered(rows: list[tuple[int, Encoded]]) -> dict[str, Any]:
        return collate([example for _, example in rows], [row for row, _ in rows], pad_id, WIDTH)

    machine = str(device.describe()["device_name"])
    set_seed(seed)
    use_kernels(model, seed)
    with quiet_transformers(), StopRequest().listening() as stop:
        trainer = CompletionTrainer(
            model=model,
            args=_arguments(params, len(training), seed, device, progress),
            train_dataset=list(enumerate(training)),
            data_collator=collate_numbered,
            validation=validation,
            pad_id=pad_id,
        )
        monitor = Monitor(trainer, log, params.evaluations, machine)
        trainer.add_callback(monitor)
        trainer.add_callback(Keeper(monitor, stop, _checkpoint_seconds()))
        checkpoint = last_checkpoint(progress)
        if checkpoint is not None:
            monitor.restore(checkpoint)
        try:
            trainer.train(resume_from_checkpoint=None if checkpoint is None else str(checkpoint))
        finally:
            trainer.close()
            monitor.close()
        done, steps = trainer.state.global_step, trainer.state.max_steps
        if done < steps:
            stop.leave(f"{done} of {steps} steps")
    return Course(
        trainer.state.global_step,
        monitor.seconds,
        monitor.validations,
        monitor.last_losses,
        trainer.crew_memory(),
    )


def train_adapter(
    name: str,
    spec: ModelSpec,
    params: TrainParams,
    seed: int,
    rows: Mapping[str, Sequence[Mapping[str, Any]]],
    adapter: Path,
    log: Path,
    root: Path,
) -> dict[str, Any]:
    """Fine-tune a model on `rows` and write its adapter; return facts for a run card.

    Args:
        name: the model's key in models.yaml; `spec` is its entry.
        spec: see `name`.
        params: the training settings.
        seed: adapter initialisation, order of examples, dropout.
        rows: rows of `records.SFT` for `train` and `validation`.
        adapter: folder to write, with the PEFT adapter and `training.json`.
        log: folder of the live log.
        root: the project's root, in which the adapter's base model is found.
    """
    device = choose_device()
    encoder = load_encoder(name, spec)
    limit = min(spec.max_length, params.max_length or spec.max_length)
    encoded, dropped = {}, {}
    for split in ("train", "validation"):
        examples = encode_rows(encoder, rows[split])
        encoded[split], dropped[split] = within_length(examples, limit, params.too_long)
    model = add_adapter(load_base(name, spec, device), params, seed)
    pad_id = encoder.tokenizer.pad_token_id or 0
    key = {
        "model": fingerprint(spec, locate(spec)),
        "train": params.model_dump(),
        "seed": seed,
        "examples": digest([[asdict(example) for example in part] for part in encoded.values()]),
        "machine": device.describe(),
        "processes": process_count(),
    }
    with progress_folder("train", key) as progress, tempfile.TemporaryDirectory() as scratch:
        if process_rank() > 0:  # under torchrun, the first process writes for all
            adapter, log = Path(scratch) / "adapter", Path(scratch) / "log"
        course = fine_tune(
            model,
            encoded["train"],
            encoded["validation"],
            params,
            seed,
            device,
            pad_id,
            log,
            progress,
        )
        _warn_unless_learned(course)
        manifest = _manifest(encoded, dropped, params, course)
        with atomic_directory(adapter) as folder:
            revision = spec.hub.revision if spec.hub is not None and spec.path is None else None
            save_adapter(model, folder, base_reference(name, spec, root), revision)
            write_json(folder / "training.json", manifest)
    return {
        "steps": course.steps,
        "made_from": key,
        "dropped_too_long": sum(map(len, dropped.values())),
        "training_seconds": round(course.seconds, 2),
        "tokens_per_second": round(manifest["tokens"] * params.epochs / course.seconds, 1),
        "peak_memory_bytes": device.peak_memory_bytes() + course.crew_memory,
    }


def _checkpoint_seconds() -> float:
    chosen = os.environ.get("TRACEKD_CHECKPOINT_SECONDS")
    try:
        seconds = _CHECKPOINT_SECONDS if chosen is None else float(chosen)
    except ValueError:
        seconds = math.nan
    if math.isnan(seconds):
        raise TracekdError(
            f"TRACEKD_CHECKPOINT_SECONDS: must be a number of seconds, found {chosen!r}"
        )
    return seconds


def _warn_unless_learned(course: Course) -> None:
    before, after = (course.validations[place]["loss"] for place in (0, -1))
    if after >= before:
        print(
            f"WARNING: the loss on validation did not fall: {before:.3f} untrained, {after:.3f} "
            "now; lower train.learning_rate, train longer, or look at the data "
            "(python stages/build_sft.py --show 3)",
            file=sys.stderr,
        )


def _arguments(params: TrainParams, examples: int, seed: int, device: Device, folder: Path) -> Any:
    from transformers import TrainingArguments

    passes = math.ceil(examples / (params.batch_size * process_count()))
    steps = math.ceil(math.ceil(passes / params.accumulate) * params.epochs)
    arguments = TrainingArguments(
        output_dir=str(folder),
        seed=seed,
        per_device_train_batch_size=params.batch_size,
        gradient_accumulation_steps=params.accumulate,
        num_train_epochs=params.epochs,
        learning_rate=params.learning_rate,
        lr_scheduler_type="cosine",
        warmup_steps=math.ceil(params.warmup * steps),
        weight_decay=params.weight_decay,
        max_grad_norm=params.max_grad_norm,
        use_cpu=device.device.type == "cpu",
        dataloader_pin_memory=device.device.type == "cuda",
        remove_unused_columns=False,
        logging_nan_inf_filter=False,
        logging_strategy="no",
        save_strategy="no",
        ddp_find_unused_parameters=False,
        ddp_broadcast_buffers=False,  # constants; a process with more passes would broadcast more
        report_to=[],
        disable_tqdm=True,
    )
    # Several GPUs in one process would mean DataParallel; use torchrun for them.
    arguments._n_gpu = min(arguments.n_gpu, 1)
    return arguments


def _manifest(
    encoded: Mapping[str, Sequence[Encoded]],
    dropped: Mapping[str, Sequence[str]],
    params: TrainParams,
    course: Course,
) -> dict[str, Any]:
    training = encoded["train"]
    return {
        "examples": {split: len(examples) for split, examples in encoded.items()},
        "dropped_too_long": {split: list(ids) for split, ids in dropped.items()},
        "tokens": sum(map(len, training)),
        "supervised_tokens": sum(len(example.completion_ids) for example in training),
        "longest": max(map(len, training)),
        "epochs": params.epochs,
        "steps": course.steps,
        "validation": course.validations,
        "last_step": course.last,
    }
