"""The short table that ends a run, and where the rest lies."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tracekd.config import Params

_ROWS = (
    ("answer accuracy", ("answer", "accuracy")),
    ("class accuracy", ("class", "accuracy")),
    ("IR F1", ("facts", "f1")),
    ("whole trace right", ("trace", "accuracy")),
    ("P(answer right | trace right)", ("link", "trace", "p_answer_if_right")),
    ("P(answer right | trace wrong)", ("link", "trace", "p_answer_if_wrong")),
)
#: Told only if probes were asked.
_PROBE_ROWS = (
    ("answer right, gold trace put in", ("by_probe", "gold", "accuracy")),
    ("answer right, incorrect trace", ("by_probe", "incorrect", "accuracy")),
    ("another answer, gold/incorrect", ("effects", "gold_to_incorrect", "answer_changes")),
    ("answer stands in wrong facts", ("follows_wrong_facts", "share")),
    ("same answer, own trace put in", ("own_repeats_prediction", "share")),
)
#: What stands for a number that is undefined, or whose step the regime does not teach.
NONE = "-"
#: Share of outputs that could not be read beyond which no figure means what it says.
_MOST_FAILED = 0.5
# Names shown of those that are counted.
_NAMES = 5


def title_of(settings: "Params") -> str:
    """Return what was run, as figures and summary call it: what tells it from other experiments."""
    mode = settings.trace_mode
    if mode == "mixed":
        mode += f" with corruption {settings.corruption}"
    return f"{settings.model} on {settings.dataset}, trace mode {mode}, seed {settings.seed}"


def summary(metrics: dict[str, Any], title: str, places: dict[str, str]) -> str:
    """Return the table of the main figures as text.

    Args:
        metrics: the content of metrics.json.
        title: what was run, see `title_of`.
        places: what -> where it lies.
    """
    heading = f"{title}: {metrics['n']} questions"
    lines = [heading, "-" * len(heading)]
    lines += [f"{name:<30} {_percent(_find(metrics, path)):>8}" for name, path in _ROWS]
    if probes := metrics.get("probes"):
        lines += [f"{name:<31} {_percent(_find(probes, path)):>7}" for name, path in _PROBE_ROWS]
    lines += [_trust(metrics), *_warnings(metrics), ""]
    lines += [f"{what:<30} {where}" for what, where in places.items()]
    return "\n".join(lines)


def audit_summary(title: str, report: dict[str, Any]) -> str:
    """Return the main figures of audited generations, by class, with the link and its leakage.

    Args:
        title: what was audited.
        report: one set of `tracekd.audit.rescore.audit`.
    """
    metrics, asked = report["metrics"], report["questions"]
    lines = [summary(metrics, title, {})]
    lines += [
        f"{kind:<30} {asked[kind]['count']:>8}{_some(asked[kind]['names'])}"
        for kind in ("duplicated", "missing", "unknown")
    ]
    differs = report["answer_differs_by_the_grammar"]
    lines += [f"{'answer read':<30} {report['answer_read']}"]
    if differs["count"]:
        lines += [f"  otherwise by the grammar {differs['count']:>14}{_some(differs['names'])}"]
    lines += ["", f"{'class':<22} {'n':>5} {'answer':>8} {'trace':>8}"]
    for name, group in metrics["by_class"].items():
        cells = [_percent(_find(group, (part, "accuracy"))) for part in ("answer", "trace")]
        lines += [f"{name:<22} {group['n']:>5} {cells[0]:>8} {cells[1]:>8}"]
    return "\n".join([*lines, *_link_lines(metrics), ""])


def _link_lines(metrics: dict[str, Any]) -> list[str]:
    link = metrics.get("link", {}).get("trace")
    if link is None:
        return []
    counts = [link[name] for name in ("right_right", "right_wrong", "wrong_right", "wrong_wrong")]
    tied = {
        "phi": link["phi"],
        "chi-square": link["chi_square"],
        "p": link["p_value"],
        "p within classes": link["within_classes"]["p_value"],
    }
    lines = [
        "",
        "trace right: answer right / wrong; trace wrong: answer right / wrong",
        "  " + " / ".join(map(str, counts)),
        "  " + ", ".join(f"{name} {_number(value)}" for name, value in tied.items()),
    ]
    leak = metrics.get("leakage")
    if leak:
        lines += [
            f"traces that state the gold answer {_percent(leak['states_answer'])}; of right "
            f"answers {_percent(leak['right_answers_stated'])}, of wrong ones "
            f"{_percent(leak['wrong_answers_stated'])}",
        ]
    return lines


def _some(names: list[str]) -> str:
    shown = ", ".join(names[:_NAMES])
    return f"  {shown}{', …' if len(names) > _NAMES else ''}" if names else ""


def _number(value: float | None) -> str:
    return NONE if value is None else f"{value:.3g}"


def _trust(metrics: dict[str, Any]) -> str:
    """Return one line on outputs that were not as taught."""
    form = metrics["format"]
    kinds = {"lenient": "read leniently", "failed": "not at all", "truncated": "truncated"}
    known = {kind: name for kind, name in kinds.items() if kind in form}
    shares = " / ".join(_percent(form[kind]) for kind in known)
    return f"{' / '.join(known.values())}: {shares}"


def _warnings(metrics: dict[str, Any]) -> list[str]:
    failed = metrics["format"].get("failed", 0.0)
    if failed <= _MOST_FAILED:
        return []
    return [
        "",
        f"WARNING: {_percent(failed)} of the outputs could not be read. The figures above say how "
        "well the student learned the form, not whether it reasons. Train longer (train.epochs, "
        "prepare.train), or look at data/predictions.parquet.",
    ]


def _find(metrics: dict[str, Any], path: tuple[str, ...]) -> float | None:
    found: Any = metrics
    for name in path:
        found = found.get(name) if isinstance(found, dict) else None
    return None if found is None else float(found)


def _percent(value: float | None) -> str:
    return NONE if value is None else f"{100 * value:.1f} %"
