"""The contestants of train.py: ours, TRL's SFTTrainer, and a plain loop in fp32."""

import math
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from _compute import device_of, matmul_round, synchronize, training_operations
from _pairing import Round
from tracekd.errors import TracekdError

#: TRL's contestants, and whether they train without padding.
TRL = {"trl": False, "trl padding-free": True}
_WARM_UP_STEPS = 2
_SEED = 0


class Job:
    """What both sides train on, and how."""

    def __init__(
        self,
        data: Path,
        model: str,
        models: Path,
        params: Path,
        steps: int,
        batch_size: int,
        precision: str,
    ) -> None:
        """Read settings and rows; tokens are made when a device is at hand."""
        from tracekd import config, records, tables

        self.name, self.spec = model, config.load_model(models, model)
        chosen = {"epochs": 1, "accumulate": 1, "evaluations": 1, "batch_size": batch_size}
        self.params = config.load_params(params).train.model_copy(update=chosen)
        self.steps, self.precision = steps, precision
        rows = tables.read(data / "train.parquet", records.SFT)
        wanted = steps * self.params.batch_size
        if len(rows) < wanted:
            raise TracekdError(
                f"{data / 'train.parquet'}: {len(rows)} examples, {wanted} are needed for {steps} "
                f"steps of {self.params.batch_size}; ask for fewer --steps"
            )
        self._rows = rows.head(wanted).to_dicts()

    def encoded(self, number: int) -> Sequence[Any]:
        """Return the examples of a round: all, or a few to warm up."""
        from tracekd.models.loading import load_encoder
        from tracekd.training.run import encode_rows

        self.encoder = load_encoder(self.name, self.spec)
        steps = self.steps if number >= 0 else min(self.steps, _WARM_UP_STEPS)
        return encode_rows(self.encoder, self._rows[: steps * self.params.batch_size])

    def student(self, device: Any) -> tuple[Any, Any]:
        """Return a new student and its base model: the same weights in every round."""
        from tracekd.models.loading import add_adapter, load_base

        base = load_base(self.name, self.spec, device)
        return add_adapter(base, self.params, _SEED), base


def player(name: str, job: Job, *, tune_peer: bool) -> Callable[[int], Round]:
    """Return what plays the rounds of a contestant."""
    if name == "matrix product":
        device = device_of(job.precision, tuned=True)
        return lambda _: matmul_round(device)
    if name == "ours":
        device = device_of(job.precision, tuned=True)
        return lambda number: _ours(job, device, number)
    if name == "fp32 reference":
        device = device_of("bf16", tuned=False)
        return lambda number: _reference(job, device, number)
    device = device_of(job.precision, tuned=tune_peer)
    return lambda number: _trl(job, device, number, padding_free=TRL[name])


def _ours(job: Job, device: Any, number: int) -> Round:
    from tracekd.training.run import fine_tune

    examples = job.encoded(number)
    student, base = job.student(device)
    operations = _operations(base, student, examples)
    pad_id = job.encoder.tokenizer.pad_token_id or 0
    with tempfile.TemporaryDirectory() as scratch:
        log, progress = Path(scratch, "log"), Path(scratch, "progress")
        progress.mkdir()
        # The Trainer's callbacks leave validation out of the seconds: one example is enough.
        course = fine_tune(
            student, examples, examples[:1], job.params, _SEED, device, pad_id, log, progress
        )
        table = (log / "plots/metrics/train/loss.tsv").read_text().splitlines()
    losses = [float(line.split("\t")[1]) for line in table[1:]]
    return _round(examples, course.seconds, losses) | {
        "operations": operations,
        "crew_memory_bytes": course.crew_memory,
    }


def _trl(job: Job, device: Any, number: int, *, padding_free: bool) -> Round:
    """Train by SFTTrainer, which gets the very tokens that we train on."""
    import datasets
    from transformers import TrainerCallback
    from trl import SFTConfig, SFTTrainer

    class Clock(TrainerCallback):  # type: ignore[misc]
        seconds = 0.0

        def on_step_begin(self, *_: Any, **__: Any) -> None:
            self.started = time.perf_counter()

        def on_step_end(self, *_: Any, **__: Any) -> None:
            synchronize(device)
            self.seconds += time.perf_counter() - self.started

    examples = job.encoded(number)
    student, base = job.student(device)
    if padding_free and device.device.type == "cuda" and _has_flash_attention():
        base.set_attn_implementation("flash_attention_2")
    datasets.disable_progress_bars()
    table = datasets.Dataset.from_dict(
        {
            "input_ids": [e.prompt_ids + e.completion_ids for e in examples],
            "completion_mask": [
                [0] * len(e.prompt_ids) + [1] * len(e.completion_ids) for e in examples
            ],
        }
    )
    clock = Clock()
    with tempfile.TemporaryDirectory() as scratch:
        trainer = SFTTrainer(
            model=student,
            args=SFTConfig(
                output_dir=scratch,
                completion_only_loss=True,
                max_length=None,
                padding_free=padding_free,
                train_sampling_strategy="group_by_length",
                gradient_checkpointing=False,
                # The weights are in the precision already; autocast would only add casts.
                bf16=False,
                optim="adamw_torch_fused",
                use_cpu=device.device.type == "cpu",
                dataloader_pin_memory=device.device.type == "cuda",
                per_device_train_batch_size=job.params.batch_size,
                num_train_epochs=1,
                learning_rate=job.params.learning_rate,
                lr_scheduler_type="cosine",
                warmup_steps=_warm_up_steps(job, examples),
                weight_decay=job.params.weight_decay,
                max_grad_norm=job.params.max_grad_norm,
                seed=_SEED,
                logging_steps=1,
                save_strategy="no",
                report_to=[],
                disable_tqdm=True,
            ),
            train_dataset=table,
            processing_class=job.encoder.tokenizer,
            callbacks=[clock],
        )
        trainer.train()
    losses = [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]
    return _round(examples, clock.seconds, losses)


def _reference(job: Job, device: Any, number: int) -> Round:
    """Train in fp32 by a plain loop over our batches: full logits, no kernels, no Trainer."""
    import torch
    from transformers import get_cosine_schedule_with_warmup

    from tracekd.training.collation import IGNORED, collate, epoch_order

    examples = job.encoded(number)
    student, _ = job.student(device)  # in bf16 first, so that both begin with the same weights
    student = student.float().train()
    trained = [weight for weight in student.parameters() if weight.requires_grad]
    optimizer = torch.optim.AdamW(
        trained, lr=job.params.learning_rate, weight_decay=job.params.weight_decay
    )
    size = job.params.batch_size
    schedule = get_cosine_schedule_with_warmup(
        optimizer, _warm_up_steps(job, examples), len(examples) // size
    )
    order = epoch_order([len(example) for example in examples], size, _SEED, 0)
    losses, started = [], time.perf_counter()
    for start in range(0, len(order), size):
        rows = order[start : start + size]
        batch = collate([examples[row] for row in rows], rows, 0)
        ids, labels = (batch[key].to(device.device) for key in ("input_ids", "labels"))
        logits = student(input_ids=ids, use_cache=False).logits[:, :-1]
        loss = torch.nn.functional.cross_entropy(
            logits.flatten(0, 1), labels[:, 1:].flatten(), ignore_index=IGNORED
        )
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(trained, job.params.max_grad_norm)
        optimizer.step()
        schedule.step()
        optimizer.zero_grad()
        losses.append(float(loss))
    return _round(examples, time.perf_counter() - started, losses)


def _warm_up_steps(job: Job, examples: Sequence[Any]) -> int:
    return math.ceil(job.params.warmup * (len(examples) // job.params.batch_size))


def _round(examples: Sequence[Any], seconds: float, losses: list[float]) -> Round:
    return {
        "seconds": seconds,
        "tokens": sum(map(len, examples)),
        "examples": len(examples),
        "mean_loss": statistics.mean(losses),
        "losses": losses,
    }


def _operations(base: Any, student: Any, examples: Sequence[Any]) -> float:
    weights = sum(p.numel() for p in student.parameters() if p.requires_grad)
    return training_operations(base, weights, [(len(e), len(e.completion_ids)) for e in examples])


def _has_flash_attention() -> bool:
    from transformers.utils import is_flash_attn_2_available

    return bool(is_flash_attn_2_available())
