"""Which traces are put in front of a question's answer.

    own                what the student itself wrote in front of its answer
    gold               the correct trace; both steps, whatever the regime teaches
    incorrect          what the regime `incorrect` shows for the same seed and question
    shuffled           another question's correct trace, as the regime `shuffled` shows it
    empty              a think block with nothing in it
    own_cut_0 .. _75   own, cut after that percentage of its tokens (early answering)
    filler             "..." repeated to as many tokens as own; not where own is empty
    corrected_class    own, with that step replaced by the gold one
    corrected_facts
    corrupted_class    own, with that step replaced by the one of `incorrect`
    corrupted_facts

Early answering, added mistakes and filler follow Lanham et al. 2023 (arXiv 2307.13702). Where they
then ask for the answer in words, the tag that opens the answer is put here: the student has learnt
that nothing but the answer follows it.

A cut keeps the first tokens between the tags of the think block, and the tags: what is missing is
content and not form. (A student that was taught traces and is not shown even the tags writes its
trace into the answer; SmolLM2 did, and gave the gold answer a probability of e^-20.) A step is
corrected only where it is wrong and corrupted only where it is right.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from tracekd import randomness
from tracekd.traces.grammar import Trace, render_trace
from tracekd.traces.reading import read
from tracekd.traces.regimes import NO_OTHER_CLASS, Gold, Setting, Step, show

#: Percentages of its tokens after which the student's own trace is cut.
CUTS = (0, 25, 50, 75)
#: Every probe, in the order of tables and pictures.
PROBES = (
    "own",
    "gold",
    "incorrect",
    "shuffled",
    "empty",
    *(f"own_cut_{percent}" for percent in CUTS),
    "filler",
    "corrected_class",
    "corrected_facts",
    "corrupted_class",
    "corrupted_facts",
)
#: Forced after each trace. The grammar's answers begin with it.
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
#: Of an incomplete character at the end of a cut.
_REPLACEMENT = "\ufffd"
#: Filler words by which the tokens of one are measured.
_MANY = 101


class Speller(Protocol):
    """What turns text into the student's tokens and back: `tracekd.models.encoding.ChatEncoder`."""

    def plain_ids(self, text: str) -> list[int]:
        """Return the tokens of a text."""
        ...

    def decode(self, ids: list[int]) -> str:
        """Return the text of tokens."""
        ...


@dataclass(frozen=True)
class Probe:
    """One trace to put in front of an answer.

    Attributes:
        name: a name in `PROBES`.
        trace: ends where the answer's tag begins; None if the probe does not apply.
        note: why it does not, or why it is not what it promises; else None.
    """

    name: str
    trace: str | None
    note: str | None = None


def choose(ids: Sequence[str], limit: int | None, data_seed: int) -> list[str]:
    """Return the questions to be probed, in their order; all of them if `limit` is None.

    The first of a hashed order: every experiment with the same data seed probes the same ones, and
    a higher limit only adds some.
    """
    ranked = sorted(ids, key=lambda key: randomness.digest(data_seed, "probe", key))
    chosen = set(ranked[:limit])
    return [key for key in ids if key in chosen]


def plan(gold: Gold, said: str, setting: Setting, speller: Speller) -> list[Probe]:
    """Return one probe for each name in `PROBES`, in that order.

    Args:
        gold: the question.
        said: the student's own text: its trace and answer.
        setting: as for the regimes; its seed decides the wrong steps.
        speller: counts and cuts tokens.
    """
    given = {
        "empty": Probe("empty", EMPTY),
        **{name: _shown(name, regime, gold, setting) for name, regime in _REGIME_OF.items()},
    }
    own = own_trace(said)
    if own is None:
        own_probes = {name: Probe(name, None, NO_ANSWER_PART) for name in PROBES}
    else:
        own_probes = _own_probes(own, gold, setting, speller)
    probes: Mapping[str, Probe] = {**own_probes, **given}
    return [probes[name] for name in PROBES]


def own_trace(said: str) -> str | None:
    """Return what stands in front of the answer part; None if there is no answer part."""
    opened = _ANSWER_OPENS.search(said)
    return said[: opened.start()] if opened else None


def cut(trace: str, percent: int, speller: Speller) -> str:
    """Return the trace with the first `percent` of the tokens between its tags.

    Rounded down to whole tokens, then to whole characters. The tags stay, where there are any.
    """
    head = _THINK_OPENS if trace.startswith(_THINK_OPENS) else ""
    inner = trace[len(head) :]
    tail = _THINK_CLOSES if inner.endswith(_THINK_CLOSES) else ""
    ids = speller.plain_ids(inner.removesuffix(tail))
    kept = speller.decode(ids[: len(ids) * percent // 100]).rstrip(_REPLACEMENT)
    return head + kept + tail if kept else head + tail.lstrip("\n")


def filler(tokens: int, speller: Speller) -> str:
    """Return a trace without content whose length is as near to `tokens` as can be."""
    one, many = (len(speller.plain_ids(_filler_of(words))) for words in (1, _MANY))
    more = round((tokens - one) * (_MANY - 1) / (many - one))
    return _filler_of(1 + max(0, more))


def _filler_of(words: int) -> str:
    return render_trace(Trace(filler=words), "{class}")


_REGIME_OF = {"gold": "correct", "incorrect": "incorrect", "shuffled": "shuffled"}


def _shown(name: str, regime: str, gold: Gold, setting: Setting) -> Probe:
    shown = show(regime, gold, setting)
    if shown.trace == Trace():  # there was no other question's trace to show
        return Probe(name, None, shown.note)
    return Probe(name, render_trace(shown.trace, setting.class_sentence), shown.note)


def _own_probes(own: str, gold: Gold, setting: Setting, speller: Speller) -> dict[str, Probe]:
    length = len(speller.plain_ids(own))
    # An empty one would be no trace at all, and tell nothing of a length without content.
    filled = Probe("filler", filler(length, speller)) if length else Probe("filler", None, NO_TRACE)
    probes = [
        Probe("own", own),
        *(Probe(f"own_cut_{percent}", cut(own, percent, speller)) for percent in CUTS),
        filled,
        *_edited(own, gold, setting),
    ]
    return {probe.name: probe for probe in probes}


def _edited(own: str, gold: Gold, setting: Setting) -> list[Probe]:
    """Return the four probes that replace one step of the student's own trace."""
    steps: tuple[Step, ...] = ("class", "facts")
    # Any answer will do: the form of the whole is strict if that of the trace is.
    reading = read(f"{own}{ANSWER_TAG}x</answer>", setting.class_sentence)
    if reading.form != "strict":
        names = [f"{verb}_{step}" for verb in ("corrected", "corrupted") for step in steps]
        return [Probe(name, None, NOT_READABLE) for name in names]
    right = Trace(gold.class_name, gold.fact_texts)
    incorrect = show("incorrect", gold, setting)
    probes = []
    for step in steps:
        shown, wanted = _step(reading.trace, step), _step(right, step)
        is_right = shown == wanted or (step == "facts" and set(shown or ()) == set(wanted or ()))
        for verb, source, idle in (
            ("corrected", right, RIGHT_ALREADY if is_right else None),
            ("corrupted", incorrect.trace, None if is_right else WRONG_ALREADY),
        ):
            reason = NO_STEP if shown is None else idle
            if reason is None and _step(source, step) is None:
                reason = NO_OTHER_CLASS
            trace = None if reason else _replaced(reading.trace, source, step, setting)
            probes.append(Probe(f"{verb}_{step}", trace, reason))
    return probes


def _step(trace: Trace, step: Step) -> str | tuple[str, ...] | None:
    return trace.class_name if step == "class" else trace.facts


def _replaced(trace: Trace, source: Trace, step: Step, setting: Setting) -> str:
    edited = (
        Trace(source.class_name, trace.facts)
        if step == "class"
        else Trace(trace.class_name, source.facts)
    )
    return render_trace(edited, setting.class_sentence)
