"""One experiment's probes: from its tables and its student to rows of `records.PROBES`."""

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import polars as pl

from tracekd.config import ModelSpec, Params, WrongFacts
from tracekd.generation.backends import stop_ids
from tracekd.generation.run import student_key
from tracekd.models.devices import choose_device
from tracekd.models.encoding import ChatEncoder
from tracekd.models.loading import load_encoder, load_student
from tracekd.models.sources import locate
from tracekd.probing.engine import ProbeEngine, ProbeReply, ProbeRequest
from tracekd.probing.plans import ANSWER_TAG, Probe, choose, plan
from tracekd.progress import digest, progress_folder
from tracekd.traces.examples import classes_of, gold_steps
from tracekd.traces.grammar import Grammar
from tracekd.traces.regimes import Donors, RegimeContext

TOO_LONG = "prompt, trace and gold answer together are too long for the model"

Row = Mapping[str, Any]


def probe(
    settings: Params,
    spec: ModelSpec,
    grammar: Grammar,
    questions: Mapping[str, pl.DataFrame],
    rows: Sequence[Row],
    student: Path,
    shots: Sequence[Row] = (),
) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """Return rows of `records.PROBES`, and facts for the run card.

    The student is loaded here, whatever backend made the predictions: probes need its
    probabilities.

    Args:
        settings: of the experiment.
        spec: the base model.
        grammar: of the dataset.
        questions: by split, `records.DECOMPOSED`.
        rows: `records.SFT` of the test split, each with the `text` of its prediction.
        student: folder that the train stage wrote.
        shots: `records.SFT`, shown before every question.
    """
    started = time.perf_counter()
    device, encoder = choose_device(), load_encoder(spec, shots)
    by_id = {row["id"]: row for row in rows}
    probed = [by_id[key] for key in choose(list(by_id), settings.probes.limit, settings.data_seed)]
    plans = plan_probes(questions, settings.seed, grammar, probed, encoder, settings.wrong_facts)
    key = {
        **student_key(spec, student, device),
        "infer": [settings.infer.batch_size, settings.infer.max_new_tokens],
        "asked": digest(
            [[row[column] for column in ("system", "prompt", "completion")] for row in probed]
            + [[probe.trace for probe in probes] for probes in plans]
        ),
        "shots": digest(shots),
    }
    limits = settings.infer.max_new_tokens, spec.max_length
    with progress_folder("probe", key) as folder:
        model = load_student(spec, student, device)
        engine = ProbeEngine(model, stop_ids(locate(spec), encoder), settings.infer.batch_size)
        made = ask_plans(engine, encoder, probed, plans, limits, folder / "replies.jsonl")
    return made, {
        "made_from": key | {"machine": device.describe()},
        "probes": len(made),
        "probe_seconds": round(time.perf_counter() - started, 2),
        "peak_memory_bytes": device.peak_memory_bytes(),
    }


def plan_probes(
    questions: Mapping[str, pl.DataFrame],
    seed: int,
    grammar: Grammar,
    rows: Sequence[Row],
    encoder: ChatEncoder,
    wrong_facts: WrongFacts = "without_answer",
) -> list[list[Probe]]:
    """Return the probes of each row, from the `text` of its prediction.

    Wrong steps are drawn as build-sft draws them: from the classes of all splits, and from the
    questions of the test split.
    """
    golds = gold_steps(questions["test"])
    classes = classes_of(questions.values())
    context = RegimeContext(seed, 1.0, classes, grammar, Donors(golds, seed), wrong_facts)
    by_id = {gold.id: gold for gold in golds}
    return [plan(by_id[row["id"]], row["text"], context, encoder) for row in rows]


def ask_plans(
    engine: ProbeEngine,
    encoder: ChatEncoder,
    rows: Sequence[Row],
    plans: Sequence[Sequence[Probe]],
    limits: tuple[int, int],
    partial: Path,
) -> list[dict[str, Any]]:
    """Return rows of `records.PROBES` for these questions and plans.

    Probes of a question that show the same trace are answered once.

    Args:
        engine: answers.
        encoder: makes prompts and reads answers, as in training.
        rows: `records.SFT`; the gold answer is that of the completion.
        plans: as `plans.plan` returns them, one list per row.
        limits: most new tokens of an answer; longest prompt, trace and answer together.
        partial: file of finished batches, see `in_batches`.
    """
    most, longest = limits
    prompts = [encoder.given_ids(row) for row in rows]
    requests: dict[tuple[int, str | None], ProbeRequest] = {}
    for number, (row, probes) in enumerate(zip(rows, plans, strict=True)):
        gold = row["completion"][row["answer_start"] :]
        for trace in dict.fromkeys(probe.trace for probe in probes if probe.trace is not None):
            forced, answer = _forced(encoder, trace, gold)
            room = longest - len(prompts[number]) - len(forced)
            if room >= max(1, len(answer)):
                requests[number, trace] = ProbeRequest(number, forced, answer, min(most, room))
    answered = engine.answer(prompts, list(requests.values()), partial)
    replies = dict(zip(requests, answered, strict=True))
    made = []
    for number, (row, probes) in enumerate(zip(rows, plans, strict=True)):
        for probe in probes:
            key = number, probe.trace
            result = {"id": row["id"], "probe": probe.name, "trace": probe.trace or ""}
            result |= _NOT_APPLICABLE | {"note": probe.note}
            if key in replies:
                result |= _answer(replies[key], requests[key], encoder, engine.stops)
            elif probe.trace is not None:
                result["note"] = TOO_LONG
            made.append(result)
    return made


def _forced(encoder: ChatEncoder, trace: str, gold: str) -> tuple[list[int], list[int]]:
    """Return the tokens of trace and tag, and those of the gold answer after the tag.

    The answer is spelt as in training, unless a token there spans the end of the tag.
    """
    tag, whole = encoder.plain_ids(ANSWER_TAG), encoder.plain_ids(gold)
    if whole[: len(tag)] == tag:
        rest = whole[len(tag) :]
    else:
        rest = encoder.plain_ids(gold[len(ANSWER_TAG) :])
    return [*encoder.completion_ids(trace), *tag], rest


_NOT_APPLICABLE = {
    "text": "",
    "finish_reason": "not_applicable",
    "trace_tokens": 0,
    "completion_tokens": 0,
    "gold_logprob": None,
    "gold_tokens": 0,
}


def _answer(
    reply: ProbeReply, request: ProbeRequest, encoder: ChatEncoder, stops: frozenset[int]
) -> dict[str, Any]:
    stopped = reply.ids[-1] in stops
    new = reply.ids[:-1] if stopped else reply.ids
    return {
        "text": ANSWER_TAG + encoder.decode(new),
        "finish_reason": "stop" if stopped else "length",
        "trace_tokens": len(request.forced) - len(encoder.plain_ids(ANSWER_TAG)),
        "completion_tokens": len(new),
        "gold_logprob": reply.gold_logprob,
        "gold_tokens": len(request.gold),
    }
