"""Regimes: which trace goes in front of the answer. The answer itself is always the right one.

A regime is one small function from a question's gold steps to the trace shown. To add one, write
the function and enter it in `REGIMES`. Every draw is a pure function of (seed, id), so that a
question gets the same wrong trace in every run (`shuffled`: as long as its neighbour in the split
is the same, see `Ring`); and whether a step shown is right is not assumed from the regime's name
but found by comparing it with gold.
"""

from bisect import bisect_right
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

from tracekd import randomness
from tracekd.errors import TracekdError, nearest
from tracekd.traces.grammar import Trace, one_line, render_trace

Step = Literal["class", "facts"]

NO_OTHER_CLASS = "no other class in the data set"
NO_OTHER_FACT = "no other fact in the context"
FEWER_OTHER_FACTS = "fewer other facts in the context than gold ones"
NO_OTHER_TRACE = "no other question with another trace"


@dataclass(frozen=True)
class Gold:
    """A question and the steps of its correct trace.

    Attributes:
        facts: indexes into `context`.
    """

    id: str
    class_name: str
    context: tuple[str, ...]
    facts: tuple[int, ...]

    @cached_property
    def fact_texts(self) -> tuple[str, ...]:
        """The gold facts, each as the one line that a trace quotes."""
        return tuple(one_line(self.context[index]) for index in self.facts)

    def same_steps(self, other: "Gold") -> bool:
        """Whether the other question's correct trace would be right here too."""
        return self.class_name == other.class_name and set(self.fact_texts) == set(other.fact_texts)


class Ring:
    """All questions of a split in a hashed circle, to find each one a donor for its trace.

    The donor is the next question on the circle, so that adding questions to the split changes the
    donors of their neighbours alone.
    """

    def __init__(self, questions: Iterable[Gold], seed: int) -> None:
        """Take the questions, which are not looked at before the first donor is asked for."""
        self._given, self._seed = questions, seed

    def donor(self, gold: Gold) -> Gold | None:
        """Return the next question whose correct trace differs; None if there is none."""
        places, questions = self._circle
        start = bisect_right(places, self._place(gold))
        for step in range(len(questions)):
            other = questions[(start + step) % len(questions)]
            if not gold.same_steps(other):
                return other
        return None

    @cached_property
    def _circle(self) -> tuple[list[int], list[Gold]]:
        placed = [(self._place(gold), gold) for gold in self._given]
        placed.sort(key=lambda pair: pair[0])
        return [place for place, _ in placed], [gold for _, gold in placed]

    def _place(self, gold: Gold) -> int:
        return randomness.digest(self._seed, "donor", gold.id)


@dataclass(frozen=True)
class Setting:
    """What a regime may look at beside the question.

    Attributes:
        classes: every class of the data set.
        class_sentence: the data set's wording of the Classification step.
        ring: the questions of the same split.
    """

    seed: int
    corruption: float
    classes: tuple[str, ...]
    class_sentence: str
    ring: Ring


@dataclass(frozen=True)
class Shown:
    """The trace that a regime shows, and what is true of it.

    Attributes:
        class_right, facts_right: None if the step is not shown.
        note: why the regime could not do what its name promises, if so.
    """

    trace: Trace
    class_right: bool | None
    facts_right: bool | None
    note: str | None


def _none(gold: Gold, setting: Setting) -> tuple[Trace, str | None]:  # noqa: ARG001
    return Trace(), None


def _class_only(gold: Gold, setting: Setting) -> tuple[Trace, str | None]:  # noqa: ARG001
    return Trace(class_name=gold.class_name), None


def _facts_only(gold: Gold, setting: Setting) -> tuple[Trace, str | None]:  # noqa: ARG001
    return Trace(facts=gold.fact_texts), None


def _correct(gold: Gold, setting: Setting) -> tuple[Trace, str | None]:  # noqa: ARG001
    return Trace(gold.class_name, gold.fact_texts), None


def _incorrect(gold: Gold, setting: Setting) -> tuple[Trace, str | None]:
    class_name, class_note = _another_class(gold, setting)
    facts, facts_note = _other_facts(gold, setting)
    notes = [note for note in (class_note, facts_note) if note]
    return Trace(class_name, facts), "; ".join(notes) or None


def _wrong_class(gold: Gold, setting: Setting) -> tuple[Trace, str | None]:
    class_name, note = _another_class(gold, setting)
    return Trace(class_name, gold.fact_texts), note


def _wrong_facts(gold: Gold, setting: Setting) -> tuple[Trace, str | None]:
    facts, note = _other_facts(gold, setting)
    return Trace(gold.class_name, facts), note


def _shuffled(gold: Gold, setting: Setting) -> tuple[Trace, str | None]:
    donor = setting.ring.donor(gold)
    if donor is None:
        return Trace(), NO_OTHER_TRACE
    return Trace(donor.class_name, donor.fact_texts), None


def _filler(gold: Gold, setting: Setting) -> tuple[Trace, str | None]:
    """As many words as the correct trace has between its tags, none of them with content."""
    trace = Trace(gold.class_name, gold.fact_texts)
    words = render_trace(trace, setting.class_sentence).split()
    return Trace(filler=len(words) - len(("<think>", "</think>"))), None


def _mixed(gold: Gold, setting: Setting) -> tuple[Trace, str | None]:
    """Doses are nested: a question corrupted at 0.2 is corrupted in the same way at 0.5."""
    corrupted = randomness.uniform(setting.seed, "mixed", gold.id) < setting.corruption
    return _incorrect(gold, setting) if corrupted else _correct(gold, setting)


def _another_class(gold: Gold, setting: Setting) -> tuple[str | None, str | None]:
    others = [name for name in setting.classes if name != gold.class_name]
    if not others:
        return None, NO_OTHER_CLASS
    return randomness.choose(others, setting.seed, "class", gold.id), None


def _other_facts(gold: Gold, setting: Setting) -> tuple[tuple[str, ...], str | None]:
    """Return as many facts as gold has (so that length gives nothing away), none of them gold.

    Where the context has fewer, all of them, and a note.
    """
    right = set(gold.fact_texts)
    others = [text for text in dict.fromkeys(map(one_line, gold.context)) if text not in right]
    if not others:
        return (), NO_OTHER_FACT
    count = max(1, len(right))
    note = FEWER_OTHER_FACTS if len(others) < count else None
    return tuple(randomness.sample(others, count, setting.seed, "facts", gold.id)), note


@dataclass(frozen=True)
class Regime:
    """One value of `trace_mode`.

    Attributes:
        steps: the steps that the student is taught to write, right or wrong.
        trace: question and setting -> the trace shown, and a note if it is not what was promised.
        reads_context: whether `trace` looks at facts that are not gold. Else it is handed a context
            without them, which is quicker.
    """

    steps: frozenset[Step]
    trace: Callable[[Gold, Setting], tuple[Trace, str | None]]
    reads_context: bool = True


_NOTHING: frozenset[Step] = frozenset()
_BOTH: frozenset[Step] = frozenset({"class", "facts"})

REGIMES: dict[str, Regime] = {
    "none": Regime(_NOTHING, _none, reads_context=False),
    "class_only": Regime(frozenset({"class"}), _class_only, reads_context=False),
    "facts_only": Regime(frozenset({"facts"}), _facts_only, reads_context=False),
    "correct": Regime(_BOTH, _correct, reads_context=False),
    "incorrect": Regime(_BOTH, _incorrect),
    "wrong_class": Regime(_BOTH, _wrong_class, reads_context=False),
    "wrong_facts": Regime(_BOTH, _wrong_facts),
    "shuffled": Regime(_BOTH, _shuffled, reads_context=False),
    "filler": Regime(_NOTHING, _filler, reads_context=False),
    "mixed": Regime(_BOTH, _mixed),
}


def regime(name: str, named_by: str = "params.yaml: trace_mode") -> Regime:
    """Return the regime of that name; messages say that `named_by` asks for it.

    Raises:
        TracekdError: naming the nearest regimes.
    """
    if name not in REGIMES:
        raise TracekdError(
            f"{named_by}: unknown regime {name!r}; {nearest(name, REGIMES)} "
            "(an own one: src/tracekd/traces/regimes.py)"
        )
    return REGIMES[name]


def show(name: str, gold: Gold, setting: Setting) -> Shown:
    """Return the trace that a regime puts in front of a question's answer."""
    trace, note = regime(name).trace(gold, setting)
    return Shown(
        trace=trace,
        class_right=None if trace.class_name is None else trace.class_name == gold.class_name,
        facts_right=None if trace.facts is None else set(trace.facts) == set(gold.fact_texts),
        note=note,
    )
