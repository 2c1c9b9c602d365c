"""The fine-tuning run: examples in, a student and its log out."""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tracekd.config import ModelSpec, TrainParams
from tracekd.errors import TracekdError
from tracekd.files import atomic_directory, write_json
from tracekd.models.adapters import add_adapter, locate_start
from tracekd.models.devices import Device, choose_device
from tracekd.models.encoding import Encoded
from tracekd.models.loading import NOTE, load_base, load_encoder, save_student
from tracekd.models.sources import quiet_transformers
from tracekd.progress import digest, progress_folder

if TYPE_CHECKING:
    from transformers import PreTrainedModel

#: Up to this length, eager attention is the faster one on a CPU (1.15 times SDPA at 170 tokens);
#: its memory grows with the square of the length.
_EAGER_TOKENS = 512


def train(
    spec: ModelSpec,
    rows: Mapping[str, Sequence[Mapping[str, Any]]],
    params: TrainParams,
    seed: int,
    student: Path,
    log: Path,
) -> dict[str, Any]:
    """Fine-tune a model on rows of `records.SFT`, by split; return facts for the run card.

    Rows of `shots` precede every question. Writes the student with `training.json` into the folder
    `student`, the live log into `log`; with `method: none` only the note, with a validation loss.

    Raises:
        TracekdError: before anything is trained, if settings do not fit the model or its rows.
    """
    from tracekd.training.compiling import compile_layers, decoder_layers, will_compile
    from tracekd.training.loop import TrainingResult, fit
    from tracekd.training.processes import Ranks
    from tracekd.training.shards import shard, whole_weights
    from tracekd.training.trackers import require_trackers

    ranks = Ranks.current()
    require_trackers(params.report_to)
    start = locate_start(spec, params)
    device, encoder = choose_device(), load_encoder(spec, rows.get("shots", ()))
    limit = min(spec.max_length, params.max_length or spec.max_length)
    encoded, dropped = {}, {}
    for split in ("validation",) if params.method == "none" else ("train", "validation"):
        examples = [encoder.encode(row) for row in rows[split]]
        encoder.check_room(map(len, examples), limit)
        encoded[split], dropped[split] = within_length(examples, limit, params.too_long)
    if params.method == "none":
        return _untrained(spec, encoded["validation"], student, log, device)
    training = encoded["train"]
    tokens = sum(map(len, training))
    compiled = will_compile(params.compile, round(tokens * params.epochs))
    key = {
        **device.job_key(spec, ["bitsandbytes"] if params.method == "qlora" else ()),
        "train": params.model_dump(exclude={"report_to"}),
        "seed": seed,
        "examples": digest([[asdict(example) for example in part] for part in encoded.values()]),
        "compiled": compiled,
    }
    base = load_base(spec, device, params.method)
    choose_attention(base, device, max(len(e) for part in encoded.values() for e in part))
    if compiled:
        compile_layers(base)
    if params.method == "full" and ranks.count > 1:
        shard(base, decoder_layers(base), device.device, ranks.count)
    model = add_adapter(base, params, seed, start) if params.has_adapter else base
    weights = sum(weight.numel() for weight in model.parameters() if weight.requires_grad)
    facts = {"method": params.method, "trained_weights": weights}
    with progress_folder("train", key, owner=ranks.rank == 0) as progress:
        result: TrainingResult = fit(
            model, training, encoded["validation"], params, seed, device, log, progress
        )
        peak = ranks.most(device.peak_memory_bytes())
        whole = whole_weights(model, device.dtype, ranks.rank)
        if ranks.rank > 0:
            return {}
        _warn_unless_learned(result.validations)
        with atomic_directory(student) as folder:
            save_student(model, folder, spec, device, whole)
            manifest = {
                **facts,
                "examples": {split: len(examples) for split, examples in encoded.items()},
                "dropped_too_long": dropped,
                "tokens": tokens,
                "steps": result.steps,
                "validation": result.validations,
                "last_step": result.last,
            }
            write_json(folder / NOTE, manifest)
    return {
        **facts,
        "processes": ranks.count,
        "steps": result.steps,
        "made_from": key | {"machine": device.describe()},
        "dropped_too_long": sum(map(len, dropped.values())),
        "training_seconds": round(result.seconds, 2),
        "tokens_per_second": round(tokens * params.epochs / result.seconds, 1),
        "peak_memory_bytes": peak,  # of the process that used most
    }


def _untrained(
    spec: ModelSpec, validation: Sequence[Encoded], student: Path, log: Path, device: Device
) -> dict[str, Any]:
    """Write the note that the student is the base model, with its validation loss, and no log."""
    from tracekd.training.loop import validation_losses
    from tracekd.training.memory import PassPlan

    longest = max(map(len, validation))
    base = load_base(spec, device)
    choose_attention(base, device, longest)
    losses = validation_losses(base, validation, device, PassPlan(longest, recompute=False))
    log.mkdir(parents=True, exist_ok=True)
    facts = {"method": "none", "trained_weights": 0}
    with atomic_directory(student) as folder:
        write_json(folder / NOTE, {**facts, "validation": [losses]})
    made_from = device.job_key(spec) | {"machine": device.describe()}
    return {**facts, "made_from": made_from, "peak_memory_bytes": device.peak_memory_bytes()}


@quiet_transformers()
def choose_attention(base: "PreTrainedModel", device: Device, longest: int) -> None:
    """Switch a model on a CPU to eager attention if no example is long; else leave it."""
    if device.device.type == "cpu" and longest <= _EAGER_TOKENS:
        base.set_attn_implementation("eager")


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
            f"{len(dropped)} of {len(examples)} examples are longer than {max_length} tokens; the "
            f"longest is {longest.id} with {len(longest)}; raise train.max_length or the model's "
            "max_length, or set train.too_long: drop (params.yaml)"
        )
    if not kept:
        raise TracekdError(
            f"none of {len(examples)} examples has at most {max_length} tokens; raise "
            "train.max_length (params.yaml) or the model's max_length (models.yaml)"
        )
    return kept, dropped


def _warn_unless_learned(validations: Sequence[Mapping[str, float]]) -> None:
    before, after = validations[0]["loss"], validations[-1]["loss"]
    if after >= before:
        print(
            f"WARNING: the validation loss did not fall: {before:.3f} untrained, {after:.3f} "
            "now; lower train.learning_rate, train longer, or check the data "
            "(python stages/build_sft.py --show 3)",
            file=sys.stderr,
        )
