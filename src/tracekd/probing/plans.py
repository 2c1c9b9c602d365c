"""Which traces a probe gives the student, in place of its own: see `PROBES`.

Early answering, added mistakes and filler follow Lanham et al. 2023 (arXiv 2307.13702). They then
ask for the answer in words; here the tag that opens the answer follows, after which the student has
learnt to write nothing but the answer.

A cut keeps the first tokens between the tags of the think block, and the tags: it removes content
and not form. (A student that was taught traces and does not even see the tags writes its trace into
the answer; SmolLM2 did, and gave the gold answer a probability of e^-20.)
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from tracekd import randomness
from tracekd.text import fill
from tracekd.traces.form import Trace
from tracekd.traces.lenient import answer_start
from tracekd.traces.regimes import NO_OTHER_CLASS, Gold, RegimeContext, show

if TYPE_CHECKING:
    from tracekd.models.encoding import ChatEncoder

#: Percentages of its tokens after which the student's own trace is cut.
CUTS = (0, 25, 50, 75)
#: Every probe, in the order of tables and pictures.
PROBES = (
    "own",  # the trace that the student wrote itself
    "gold",  # the correct trace; both steps, whatever the regime teaches
    "incorrect",  # what the regime `incorrect` shows for the same seed and question
    "shuffled",  # another question's correct trace, as the regime `shuffled` shows it
    "empty",  # a think block without content
    *(f"own_cut_{percent}" for percent in CUTS),  # early answering: the beginning of own
    "filler",  # "..." repeated to as many tokens as own; not where own is empty
    "corrected_class",  # own, with a wrong class replaced by the gold one
    "corrected_facts",
    "corrupted_class",  # own, with a right class replaced by the one of `incorrect`
    "corrupted_facts",
)
#: Follows each trace; the grammar's answers begin with it.
ANSWER_TAG = "<answer>"
#: A trace without content.
EMPTY = "<think>\n</think>\n"

NO_ANSWER_PART = "the student's own text has no answer part"
NO_TRACE = "the student's own trace is empty: there is no length to fill"
NOT_READABLE = "the student's own trace is not in the grammar's form"
NO_STEP = "the student's own trace shows no such step"
RIGHT_ALREADY = "the step is right already"
WRONG_ALREADY = "the step is wrong already"

_ANSWER_OPENS = re.compile(ANSWER_TAG, re.IGNORECASE)
_THINK_OPENS, _THINK_CLOSES = "<think>\n", "\n</think>\n"
#: Decodes an incomplete character at the end of a cut.
_REPLACEMENT = "\ufffd"


@dataclass(frozen=True)
class Probe:
    """One trace to answer from, which ends where the answer's tag begins.

    It is None if the probe does not apply. `note` says why, or why the trace is not what the
    probe's name promises.
    """

    name: str
    trace: str | None
    note: str | None = None


def choose(ids: Sequence[str], limit: int | None, data_seed: int) -> list[str]:
    """Return the questions to probe, in their order; all of them if `limit` is None.

    They are the first of a hashed order: every experiment with the same data seed probes the same
    ones, and a higher limit only adds some.
    """
    ranked = sorted(ids, key=lambda key: randomness.digest(data_seed, "probe", key))
    chosen = set(ranked[:limit])
    return [key for key in ids if key in chosen]


def plan(gold: Gold, text: str, context: RegimeContext, spelling: "ChatEncoder") -> list[Probe]:
    """Return one probe for each name in `PROBES`, in order, from a question and its prediction.

    `context` is as for the regimes: its seed decides the wrong steps.
    """
    probes = {"empty": Probe("empty", EMPTY)}
    for name, regime in (("gold", "correct"), ("incorrect", "incorrect"), ("shuffled", "shuffled")):
        shown = show(regime, gold, context)
        # Without any step there was no other question's trace to show.
        trace = None if shown.trace == Trace() else context.grammar.render_trace(shown.trace)
        probes[name] = Probe(name, trace, shown.note)
    own = own_trace(text)
    if own is not None:
        probes["own"] = Probe("own", own)
        one = context.grammar.render_trace(Trace(filler=1))
        filled = fill(one, own, spelling.completion_ids) if own else None
        probes["filler"] = Probe("filler", filled, None if own else NO_TRACE)
        for percent in CUTS:
            name = f"own_cut_{percent}"
            probes[name] = Probe(name, cut(own, percent, spelling))
        probes |= _edited(own, gold, context)
    return [probes.get(name, Probe(name, None, NO_ANSWER_PART)) for name in PROBES]


def own_trace(text: str) -> str | None:
    """Return what precedes the answer part; None if there is no answer part."""
    start = answer_start(text)
    return text[:start] if _ANSWER_OPENS.match(text, start) else None


def cut(trace: str, percent: int, spelling: "ChatEncoder") -> str:
    """Return the trace with the first `percent` of the tokens between its tags.

    Rounded down to whole tokens, then to whole characters. The tags stay, if there are any.
    """
    head = _THINK_OPENS if trace.startswith(_THINK_OPENS) else ""
    inner = trace[len(head) :]
    tail = _THINK_CLOSES if inner.endswith(_THINK_CLOSES) else ""
    ids = spelling.completion_ids(inner.removesuffix(tail))
    kept = spelling.decode(ids[: len(ids) * percent // 100]).rstrip(_REPLACEMENT)
    return head + kept + tail if kept else head + tail.lstrip("\n")


def _edited(own: str, gold: Gold, context: RegimeContext) -> dict[str, Probe]:
    """Return the four probes that replace one step of the student's own trace."""
    reading = context.grammar.read_trace(own)
    right, wrong = (show(name, gold, context).trace for name in ("correct", "incorrect"))
    probes = {}
    for step, field in (("class", "class_name"), ("facts", "facts")):
        shown, gold_step = getattr(reading.trace, field), getattr(right, field)
        # The order and number of facts do not matter.
        is_right = shown == gold_step or (step == "facts" and set(shown or ()) == set(gold_step))
        for verb, source, idle in (
            ("corrected", right, RIGHT_ALREADY if is_right else None),
            ("corrupted", wrong, None if is_right else WRONG_ALREADY),
        ):
            other = getattr(source, field)
            if reading.form != "strict":
                reason: str | None = NOT_READABLE
            elif shown is None:
                reason = NO_STEP
            else:
                reason = idle or (NO_OTHER_CLASS if other is None else None)
            edited = replace(reading.trace, **{field: other})
            trace = None if reason else context.grammar.render_trace(edited)
            probes[f"{verb}_{step}"] = Probe(f"{verb}_{step}", trace, reason)
    return probes
