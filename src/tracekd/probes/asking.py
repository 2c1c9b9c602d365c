"""One experiment's probes: from its tables and its adapter to a `records.PROBES` table."""

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import polars as pl

from tracekd import records, tables
from tracekd.config import ModelSpec, Params
from tracekd.generation.backends import stop_ids
from tracekd.models.devices import choose_device
from tracekd.models.encoding import ChatEncoder
from tracekd.models.loading import load_encoder, load_student
from tracekd.probes.engine import Asked, ProbeEngine, Reply
from tracekd.probes.plans import ANSWER_TAG, Probe, choose, plan
from tracekd.progress import Journal, digest
from tracekd.traces.examples import gold_steps
from tracekd.traces.regimes import Ring, Setting

PROMPT_TOO_LONG = "the prompt is too long for the model"
TOO_LONG = "prompt, trace and gold answer together are too long for the model"

Row = Mapping[str, Any]


def probe_rows(
    settings: Params,
    spec: ModelSpec,
    class_sentence: str,
    decomposed: Path,
    rows: Sequence[Row],
    predictions: Sequence[Row],
    adapter: Path,
    progress: Path,
) -> tuple[pl.DataFrame, dict[str, Any]]:
    """Ask a fine-tuned student behind given traces; return the table, and facts for a run card.

    Without `probes.enabled` the table is empty and nothing is loaded. The student is loaded here,
    whatever backend generated its own answers: probes need the model's probabilities.

    Args:
        settings: model, seeds, `infer` and `probes` are read.
        spec: the model's entry in models.yaml.
        class_sentence: from the data set's entry.
        decomposed: folder with a `records.DECOMPOSED` table of the test split, and `records.STEPS`
            of the others.
        rows: `records.SFT` of the test split.
        predictions: `records.PREDICTIONS`, in the order of `rows`.
        adapter: folder of the trained adapter.
        progress: folder for what a rerun goes on from, of this adapter and `infer` only.
    """
    if not settings.probes.enabled:
        return pl.DataFrame(schema=records.PROBES), {}
    started = time.perf_counter()
    device = choose_device()
    encoder = load_encoder(settings.model, spec)
    chosen = set(choose([row["id"] for row in rows], settings.probes.limit, settings.data_seed))
    pairs = [
        (row, said) for row, said in zip(rows, predictions, strict=True) if row["id"] in chosen
    ]
    plans = plan_probes(decomposed, settings.seed, class_sentence, pairs, encoder)
    model = load_student(settings.model, spec, adapter, device)
    stops = stop_ids(model, encoder)
    engine = ProbeEngine(model, stops, settings.infer.batch_size)
    limits = settings.infer.max_new_tokens, spec.max_length
    machine = str(device.describe()["device_name"])
    chosen_rows = [row for row, _ in pairs]
    with Journal(progress / f"probes-{_digest(chosen_rows, plans)}.jsonl") as journal:
        table = ask_plans(engine, encoder, chosen_rows, plans, limits, stops, journal, machine)
    return table, {"probes": table.height, "probe_seconds": round(time.perf_counter() - started, 2)}


def _digest(rows: Sequence[Row], plans: Sequence[Sequence[Probe]]) -> str:
    """Return a hash of what is asked: which questions, which gold answers, which traces."""
    traces = [[probe.trace for probe in probes] for probes in plans]
    columns = ("system", "prompt", "completion", "answer_start")
    return digest([[row[column] for column in columns] for row in rows] + traces)


def plan_probes(
    decomposed: Path,
    seed: int,
    class_sentence: str,
    pairs: Sequence[tuple[Row, Row]],
    encoder: ChatEncoder,
) -> list[list[Probe]]:
    """Return the probes of each pair of a row and its prediction.

    The wrong steps are drawn from what build-sft draws them from: the classes of all splits, and
    the questions of the test split.
    """
    golds = gold_steps(tables.read(decomposed / "test.parquet", records.DECOMPOSED))
    setting = Setting(seed, 1.0, _classes(decomposed), class_sentence, Ring(golds, seed))
    by_id = {gold.id: gold for gold in golds}
    return [plan(by_id[row["id"]], said["text"], setting, encoder) for row, said in pairs]


def ask_plans(
    engine: ProbeEngine,
    encoder: ChatEncoder,
    rows: Sequence[Row],
    plans: Sequence[Sequence[Probe]],
    limits: tuple[int, int],
    stops: frozenset[int],
    journal: Journal,
    machine: str = "this one",
) -> pl.DataFrame:
    """Return the `records.PROBES` table of these questions and plans.

    Probes of a question that show the same trace are asked once.

    Args:
        engine: answers.
        encoder: makes prompts and reads answers, as in training.
        rows: `records.SFT`; the gold answer is that of the completion.
        plans: as `plans.plan` returns them, one list per row.
        limits: most new tokens of an answer; longest prompt, trace and answer together.
        stops: tokens that end an answer.
        journal: of an earlier run with the same arguments, which goes on with it.
        machine: what the warning before a long run calls it.
    """
    most, longest = limits
    prompts = [encoder.prompt_ids(row["system"], row["prompt"]) for row in rows]
    asked: dict[tuple[int, str], Asked] = {}
    notes: dict[tuple[int, str], str] = {}
    for number, (row, probes) in enumerate(zip(rows, plans, strict=True)):
        gold = row["completion"][row["answer_start"] :]
        for trace in {probe.trace: None for probe in probes if probe.trace is not None}:
            forced, answer = _forced(encoder, trace, gold)
            room = longest - len(prompts[number]) - len(forced)
            if room < max(1, len(answer)):
                alone = len(prompts[number]) >= longest
                notes[number, trace] = PROMPT_TOO_LONG if alone else TOO_LONG
            else:
                asked[number, trace] = Asked(number, forced, answer, min(most, room))
    replied = engine.ask(prompts, list(asked.values()), journal, machine)
    replies = dict(zip(asked, replied, strict=True))
    tag = len(encoder.plain_ids(ANSWER_TAG))
    made = []
    for number, (row, probes) in enumerate(zip(rows, plans, strict=True)):
        for probe in probes:
            key = number, probe.trace or ""
            found = None if probe.trace is None else replies.get(key)
            told = {"id": row["id"], "probe": probe.name, "trace": probe.trace or ""}
            if found is None:
                note = notes.get(key) if probe.trace is not None else probe.note
                made.append(told | _nothing(note))
            else:
                said = _told(found, asked[key], encoder, stops, tag)
                made.append(told | said | {"note": probe.note})
    return pl.DataFrame(made, schema=records.PROBES)


def _forced(encoder: ChatEncoder, trace: str, gold: str) -> tuple[list[int], list[int]]:
    """Return the tokens of trace and tag, and those of the gold answer behind the tag.

    The answer is spelt as in training, unless there a token spans the end of the tag.
    """
    tag, whole = encoder.plain_ids(ANSWER_TAG), encoder.plain_ids(gold)
    if whole[: len(tag)] == tag:
        rest = whole[len(tag) :]
    else:
        rest = encoder.plain_ids(gold[len(ANSWER_TAG) :])
    return [*encoder.plain_ids(trace), *tag], rest


def _told(
    reply: Reply, asked: Asked, encoder: ChatEncoder, stops: frozenset[int], tag: int
) -> dict[str, Any]:
    stopped = reply.ids[-1] in stops
    said = reply.ids[:-1] if stopped else reply.ids
    return {
        "text": ANSWER_TAG + encoder.decode(said),
        "finish_reason": "stop" if stopped else "length",
        "trace_tokens": len(asked.forced) - tag,
        "completion_tokens": len(said),
        "gold_logprob": reply.gold_logprob,
        "gold_tokens": len(asked.gold),
    }


def _nothing(note: str | None) -> dict[str, Any]:
    return {
        "text": "",
        "finish_reason": "not_applicable",
        "trace_tokens": 0,
        "completion_tokens": 0,
        "gold_logprob": None,
        "gold_tokens": 0,
        "note": note,
    }


def _classes(decomposed: Path) -> tuple[str, ...]:
    """Return every class of the data set; of the splits nothing else is read."""
    column = {"question_class": records.STEPS["question_class"]}
    found = [
        tables.read_columns(decomposed / f"{split}.parquet", column) for split in records.SPLITS
    ]
    return tuple(sorted(pl.concat(found).to_series().unique()))
