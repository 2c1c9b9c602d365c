"""Training: ours beside TRL's SFTTrainer, on the same tokens, weights and number format.

All contestants run in one process, in turn, so that a busy moment of the machine falls on all.
"""

import json
import math
import os
import platform
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from functools import partial
from itertools import product
from pathlib import Path
from typing import Annotated, Any

import typer

ROOT = Path(__file__).resolve().parents[1]
SEED = 0
#: Peak learning rates, where that of params.yaml, made for an adapter, is far too high.
RATES = {"full": 2e-5}
MEASURED = ("seconds", "tokens/s", "mean loss")
Round = dict[str, Any]


def main(
    data: Annotated[Path, typer.Option(help="Folder with train.parquet (build-sft).")] = Path(
        "data/sft"
    ),
    model: Annotated[str, typer.Option(help="An entry of models.yaml.")] = "smollm2",
    methods: Annotated[str, typer.Option(help="lora, qlora, full, separated by commas.")] = "lora",
    batch_sizes: Annotated[str, typer.Option(help="Examples a step, separated by commas.")] = "2,8",
    examples: Annotated[int, typer.Option(help="Examples a round, the first of DATA.")] = 48,
    rounds: Annotated[int, typer.Option(help="Rounds kept; one more warms up and compiles.")] = 3,
    reference: Annotated[
        int, typer.Option(help="Only compare so many losses with a plain loop in fp32.")
    ] = 0,
) -> None:
    """Train on the first examples of DATA, in rounds, and compare speed.

    Prints a table and, last, one JSON line. Tokens are those of prompt and completion, padding not
    counted; seconds are those of the optimizer steps. TRL comes with the extra `peers`.
    """
    results: list[dict[str, Any]] = []
    for method, size in product(methods.split(","), map(int, batch_sizes.split(","))):
        job, one = Job(data, model, method, size, reference * size or examples), {"method": method}
        if reference:
            results.append(one | compare_losses(job))
            continue
        contestants: dict[str, Callable[[], Round]] = {
            "ours": partial(ours, job, compiled=False),
            "ours, compiled": partial(ours, job, compiled=True),
            "TRL": partial(trl, job, padding_free=False, autocast=False),
            "TRL, autocast": partial(trl, job, padding_free=False, autocast=True),
            "TRL, padding-free": partial(trl, job, padding_free=True, autocast=False),
        }
        print(f"\n{method}, batch size {size}")
        results.append(one | {"batch_size": size} | compare_speed(contestants, rounds))
    card = {"processor": processor(), "load": os.getloadavg(), "model": model, "results": results}
    print(json.dumps({"benchmark": "train", **card}))


def processor() -> str:
    """Return the processor's name, as Linux knows it."""
    info = Path("/proc/cpuinfo")
    text = info.read_text() if info.exists() else ""
    return text.partition("model name\t: ")[2].partition("\n")[0] or platform.processor()


class Job:
    """What all contestants train on, and how."""

    def __init__(self, data: Path, model: str, method: str, batch_size: int, examples: int) -> None:
        """Read settings and rows."""
        from tracekd import config, records
        from tracekd.models.devices import choose_device
        from tracekd.models.loading import load_encoder

        params = config.load_params(ROOT / "params.yaml").train
        chosen = {"epochs": 1, "evaluations": 1, "batch_size": batch_size, "method": method}
        chosen |= {"learning_rate": RATES.get(method, params.learning_rate)}
        self.params = params.model_copy(update=chosen)
        self.spec = config.load_model(ROOT / "models.yaml", model)
        self.device, self.encoder = choose_device(), load_encoder(self.spec)
        rows = records.read(data / "train.parquet", records.SFT).head(examples).to_dicts()
        self.examples = [self.encoder.encode(row) for row in rows]
        self.steps = math.ceil(len(rows) / batch_size)

    def student(self) -> Any:
        """Return a new student: the same weights in every round."""
        from tracekd.models.adapters import add_adapter
        from tracekd.models.loading import load_base

        base = load_base(self.spec, self.device, self.params.method)
        return add_adapter(base, self.params, SEED) if self.params.has_adapter else base

    def measured(self, seconds: float, losses: Sequence[float]) -> Round:
        """Return a round's numbers."""
        rate = sum(map(len, self.examples)) / seconds
        return {"seconds": seconds, "tokens/s": rate, "mean loss": statistics.mean(losses)}


def compare_speed(contestants: dict[str, Callable[[], Round]], rounds: int) -> Round:
    """Run all in turn, another one first in each round; print a table and return its numbers."""
    played: dict[str, list[Round]] = {name: [] for name in contestants}
    names = list(contestants)
    for number in range(rounds + 1):
        for name in [*names[number % len(names) :], *names[: number % len(names)]]:
            one = contestants[name]()
            if number:
                played[name].append(one)
    table = {
        name: {key: statistics.median(one[key] for one in kept) for key in MEASURED}
        for name, kept in played.items()
    }
    best = max(row["tokens/s"] for name, row in table.items() if name.startswith("TRL"))
    print(f"{'':20}{'tokens/s':>10}{'/ best TRL':>12}{'mean loss':>11}")
    for name, row in table.items():
        row["ratio"] = row["tokens/s"] / best
        print(f"{name:20}{row['tokens/s']:10.0f}{row['ratio']:12.2f}{row['mean loss']:11.3f}")
    return {"table": table}


def ours(job: Job, *, compiled: bool) -> Round:
    """Train as the train stage does."""
    from tracekd.training.compiling import compile_layers
    from tracekd.training.loop import fit
    from tracekd.training.run import choose_attention

    student = job.student()
    base = student.get_base_model() if job.params.has_adapter else student
    choose_attention(base, job.device, max(map(len, job.examples)))
    if compiled:
        compile_layers(base)
    with tempfile.TemporaryDirectory() as folder:
        log, progress = Path(folder, "log"), Path(folder, "progress")
        progress.mkdir()
        some = job.examples[:1]  # validation is not timed
        result = fit(student, job.examples, some, job.params, SEED, job.device, log, progress)
        lines = (log / "plots/metrics/train/loss.tsv").read_text().splitlines()[1:]
    losses = [float(line.split("\t")[1]) for line in lines]
    return job.measured(result.seconds, losses) | {"losses": losses}


def compare_losses(job: Job) -> Round:
    """Return our losses in fp32, and those of a loop that does only what the mathematics says."""
    import torch
    from torch.nn.functional import cross_entropy
    from transformers import get_cosine_schedule_with_warmup

    from tracekd.models.devices import Device
    from tracekd.training.collation import collate, epoch_order

    job.device = Device(job.device.device, torch.float32)
    found, student, losses = ours(job, compiled=False)["losses"], job.student().train(), []
    trained = [weight for weight in student.parameters() if weight.requires_grad]
    optimizer = torch.optim.AdamW(trained, job.params.learning_rate, weight_decay=0.0)
    warmup = math.ceil(job.params.warmup * job.steps)
    schedule = get_cosine_schedule_with_warmup(optimizer, warmup, job.steps)
    lengths = [len(example) for example in job.examples]
    for rows in epoch_order(lengths, job.params.batch_size, SEED, 0):
        batch = collate([job.examples[row] for row in rows])
        logits = student(batch["input_ids"].to(job.device.device)).logits[:, :-1].cpu()
        loss = cross_entropy(logits.flatten(0, 1), batch["labels"][:, 1:].flatten())
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(trained, job.params.max_grad_norm)
        optimizer.step()
        schedule.step()
        optimizer.zero_grad()
        losses.append(float(loss))
    gaps = [abs(one - other) for one, other in zip(found, losses, strict=True)]
    print(f"{len(gaps)} losses differ by at most {max(gaps):.6f}, mean {statistics.mean(gaps):.6f}")
    return {"largest_difference": max(gaps), "ours": found, "reference": losses}


def trl(job: Job, *, padding_free: bool, autocast: bool) -> Round:
    """Train by SFTTrainer, which gets the very tokens that we train on."""
    import datasets
    from transformers import TrainerCallback
    from trl import SFTConfig, SFTTrainer

    class Clock(TrainerCallback):  # type: ignore[misc]
        seconds = 0.0

        def on_step_begin(self, *_: Any, **__: Any) -> None:
            self.started = time.perf_counter()

        def on_step_end(self, *_: Any, **__: Any) -> None:
            self.seconds += time.perf_counter() - self.started

    datasets.disable_progress_bars()
    columns = {
        "input_ids": [e.prompt_ids + e.completion_ids for e in job.examples],
        "completion_mask": [
            [0] * len(e.prompt_ids) + [1] * len(e.completion_ids) for e in job.examples
        ],
    }
    clock = Clock()
    with tempfile.TemporaryDirectory() as folder:
        settings = SFTConfig(
            output_dir=folder, completion_only_loss=True, max_length=None,
            padding_free=padding_free, train_sampling_strategy="group_by_length",
            gradient_checkpointing=False, bf16=autocast, optim="adamw_torch_fused",
            use_cpu=job.device.device.type == "cpu", num_train_epochs=1,
            per_device_train_batch_size=job.params.batch_size,
            learning_rate=job.params.learning_rate, lr_scheduler_type="cosine",
            warmup_steps=math.ceil(job.params.warmup * job.steps),
            weight_decay=job.params.weight_decay, max_grad_norm=job.params.max_grad_norm,
            seed=SEED, logging_steps=1, save_strategy="no", report_to=[], disable_tqdm=True,
        )  # fmt: skip
        trainer = SFTTrainer(
            model=job.student(), args=settings, train_dataset=datasets.Dataset.from_dict(columns),
            processing_class=job.encoder.tokenizer, callbacks=[clock],
        )  # fmt: skip
        trainer.train()
    losses = [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]
    return job.measured(clock.seconds, losses)


if __name__ == "__main__":
    typer.run(main)
