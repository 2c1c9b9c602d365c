"""The table that analyze prints at the end, and the one of audit."""

import textwrap
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from tracekd.report.style import NONE, find, percent
from tracekd.statistics.paired import ALPHA

if TYPE_CHECKING:
    from tracekd.config import Params

_ROWS = {
    "answers right": "answer.accuracy",
    "  given a right trace": "link.trace.p_answer_if_right",
    "  given a wrong trace": "link.trace.p_answer_if_wrong",
    "class right": "class.accuracy",
    "facts, F1": "facts.f1",
    "trace exact match": "trace.accuracy",
    "output not in the form taught": "format.lenient",
    "output unreadable": "format.failed",
    "output cut off": "format.truncated",
}
#: Only where the answer metric has them.
_METRIC_ROWS = {
    "answers right, corrected metric": "answer.corrected",
    "answers that name more than gold": "answer.names_more",
    "answers, exact match": "answer.exact",
}
_PROBE_ROWS = {
    "right given the correct trace": "by_probe.gold.accuracy",
    "right given an incorrect trace": "by_probe.incorrect.accuracy",
    "answer changes between the two": "effects.gold_to_incorrect.answer_changes",
    "answer follows wrong facts": "follows_wrong_facts.share",
    "  given the correct trace": "follows_wrong_facts.without_them",
    "own trace repeats prediction": "own_repeats_prediction.share",
}
_WITHIN = {
    "more": "within classes, answers are right more often given a right trace",
    "less": "within classes, answers are right less often given a right trace",
    "unclear": "no clear association within classes",
}
#: Beyond this share of unreadable outputs no figure measures reasoning.
_MOST_UNREADABLE = 0.5
#: Points of accuracy by which a corrected metric may differ without a warning.
_CORRECTION = 0.02
_TRAIN_LONGER = "Train longer (train.epochs, sample_size), or look at data/predictions.parquet."
_LOOK = "Look at the outputs, and at the formats that are read (docs/audit.md)."
_MOST_NAMES = 5

Details = Mapping[str, Any]


def title_of(settings: "Params") -> str:
    """Return the settings that distinguish an experiment, as captions and summaries print them."""
    mode = settings.trace_mode
    if mode == "mixed":
        mode += f" with corruption {settings.corruption}"
    untuned = ", untuned" if settings.train.untuned else ""
    shots = f", {settings.prompt.shots}-shot" if settings.prompt.shots else ""
    where = f"{settings.model} on {settings.dataset}"
    return f"{where}{untuned}, regime {mode}{shots}, seed {settings.seed}"


def finding(details: Details) -> str:
    """Return in one sentence whether right traces go with right answers, as far as intervals show.

    Clear is a difference whose 95 % interval excludes zero and whose test agrees (the interval is
    too narrow for a handful of traces): over all questions, and within classes.
    """
    accuracy = details["answer"]["accuracy"]
    link = find(details, "link.trace")
    if link is None:
        return f"No steps are taught: {percent(accuracy, 0)} of the answers are right"
    given = {verdict: link[f"p_answer_if_{verdict}"] for verdict in ("right", "wrong")}
    overall = {end: link.get(f"risk_difference_{end}") for end in ("low", "high")}
    within = find(details, "intervals.link.trace.risk_difference_within_classes") or {}
    tests = link.get("p_value"), find(link, "within_classes.p_value")
    return trace_finding(
        accuracy, given, {**overall, "p_value": tests[0]}, {**within, "p_value": tests[1]}
    )


def trace_finding(
    accuracy: float, given: Mapping[str, float | None], overall: Details, within: Details
) -> str:
    """Return what `finding` says of traces, from the accuracy and that given a right or wrong one.

    `overall`, and `within` classes, are the difference of the latter: `low`, `high`, `p_value`.
    """
    for verdict, value in given.items():
        if value is None:
            return f"No trace is {verdict}: {percent(accuracy, 0)} of the answers are right"
    direction = _direction(overall)
    shares = [percent(value, 0) for value in given.values()]
    if direction == "unclear":
        sentence = (
            f"No clear association between trace and answer: {shares[0]} right given a right "
            f"trace, {shares[1]} given a wrong one"
        )
    else:
        sentence = (
            f"Answers are right {direction} often given a right trace ({shares[0]}) than given a "
            f"wrong one ({shares[1]})"
        )
    inner = _direction(within)
    if within.get("low") is None or inner == direction:
        return sentence
    return f"{sentence}; {_WITHIN[inner]}"


def _direction(difference: Details) -> str:
    low, high, p_value = (difference.get(name) for name in ("low", "high", "p_value"))
    if p_value is None or p_value >= ALPHA:
        return "unclear"
    if low is not None and low > 0:
        return "more"
    return "less" if high is not None and high < 0 else "unclear"


def summary(
    details: Details, title: str, places: Mapping[str, str], advice: str = _TRAIN_LONGER
) -> str:
    """Return the main figures as text, in at most 80 columns.

    Args:
        details: the content of details.json.
        title: see `title_of`.
        places: what -> the file that has it.
        advice: what to do if most outputs cannot be read.
    """
    heading = f"{title}: {details['n']} test questions"
    lines = [heading, "-" * min(80, len(heading)), *textwrap.wrap(finding(details), 80), ""]
    shown = {name: path for name, path in _METRIC_ROWS.items() if find(details, path) is not None}
    for name, path in (_ROWS | shown).items():
        bounds = find(details, f"intervals.{path}") or {}
        ends = [bounds.get("low"), bounds.get("high")]
        interval = "" if None in ends else f"   ({' to '.join(percent(end) for end in ends)})"
        lines.append(_row(name, find(details, path), interval))
    if floors := details.get("floors"):
        best = max(floors, key=lambda name: floors[name])
        lines.append(_row("best answer without a model", floors[best], f"   ({best})"))
    if samples := details.get("samples"):
        n = samples["n"]
        lines += [
            _row(f"answers right, {n} samples", find(samples, "answer.accuracy")),
            _row("  majority vote", find(samples, "answer.majority")),
            _row(f"  at least once in {n}", find(samples, f"answer.pass_at.{n}")),
        ]
        if (traces := find(samples, "trace.accuracy")) is not None:
            lines.append(_row(f"traces right, {n} samples", traces))
    if probes := details.get("probes"):
        lines.append(f"probes, {probes['n']} questions")
        lines += [_row(f"  {name}", find(probes, path)) for name, path in _PROBE_ROWS.items()]
    lines += [*_warnings(details, advice), ""]
    return "\n".join([*lines, *(f"{what:<32} {where}" for what, where in places.items())])


def audit_summary(title: str, report: Details) -> str:
    """Return the main figures of audited generations: overall, by class, association, leakage.

    `report` is one set of `tracekd.audit.rescore.audit`.
    """
    details, questions = report["metrics"], report["questions"]
    lines = [summary(details, title, {}, _LOOK)]
    lines += [f"WARNING: {warning}" for warning in report["warnings"]]
    lines += [
        _count(f"questions {kind}", questions[kind])
        for kind in ("duplicated", "missing", "unknown")
    ]
    lines.append(f"{'answer read':<32} {report['answer_read']}")
    if (differs := report["answer_differs_by_the_grammar"])["count"]:
        lines.append(_count("  otherwise by the grammar", differs))
    lines += ["", f"{'class':<32} {'n':>8} {'answer':>9} {'trace':>9}"]
    for name, group in details["by_class"].items():
        cells = [percent(find(group, f"{part}.accuracy")) for part in ("answer", "trace")]
        lines.append(f"{name:<32} {group['n']:>8} {cells[0]:>9} {cells[1]:>9}")
    return "\n".join([*lines, *_association(details), ""])


def _association(details: Details) -> list[str]:
    link = find(details, "link.trace")
    if link is None:
        return []
    tests = {
        "phi": link["phi"],
        "chi-square": link["chi_square"],
        "p": link["p_value"],
        "p within classes": link["within_classes"]["p_value"],
    }
    named = (f"{name} {NONE if x is None else f'{x:.3g}'}" for name, x in tests.items())
    lines = ["", f"{'':<32} {'answer right':>13} {'answer wrong':>13}"]
    lines += [
        f"{f'trace {side}':<32} {link[f'{side}_right']:>13} {link[f'{side}_wrong']:>13}"
        for side in ("right", "wrong")
    ]
    lines.append(", ".join(named))
    if leak := details.get("leakage"):
        lines.append(_row("traces that state the gold answer", leak["states_answer"]))
        lines.append(_row("  of right answers", leak["right_answers_stated"]))
        lines.append(_row("  of wrong answers", leak["wrong_answers_stated"]))
    return lines


def _row(name: str, value: float | None, interval: str = "") -> str:
    return f"{name:<32} {percent(value):>8}{interval}"


def _count(name: str, found: Mapping[str, Any]) -> str:
    names = found["names"]
    shown = ", ".join(names[:_MOST_NAMES]) + (", …" if len(names) > _MOST_NAMES else "")
    return f"{name:<32} {found['count']:>8}  {shown}".rstrip()


def _warnings(details: Details, advice: str) -> list[str]:
    texts = []
    unreadable = find(details, "format.failed") or 0.0
    if unreadable > _MOST_UNREADABLE:
        texts.append(
            f"WARNING: {percent(unreadable)} of the outputs could not be read. These figures show "
            f"how well the student learned the format, not whether it reasons. {advice}"
        )
    accuracy, corrected = (find(details, f"answer.{name}") for name in ("accuracy", "corrected"))
    if None not in (accuracy, corrected) and abs(accuracy - corrected) > _CORRECTION:
        texts.append(
            f"WARNING: {percent(accuracy)} of the answers are right by the published metric, "
            f"{percent(corrected)} by the corrected one; figures that compare or explain answers "
            "use the published one."
        )
    return [line for text in texts for line in ("", *textwrap.wrap(text, 80))]
