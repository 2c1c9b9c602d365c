"""Regimes: which trace goes before the answer. The answer taught is always the right one.

A regime is one small function from a question's gold steps to the trace shown. To add one, write
the function and enter it in `REGIMES`. Every draw is a pure function of (seed, id); for `shuffled`,
of the split too (see `Donors`). Whether a step shown is right is found by comparing it with gold.
"""

from bisect import bisect_right
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from operator import itemgetter
from statistics import median_low
from typing import Literal

from tracekd import randomness
from tracekd.config import Params, TraceKind, WrongFacts
from tracekd.errors import TracekdError, nearest
from tracekd.text import one_line, states_answer
from tracekd.traces.form import Trace
from tracekd.traces.grammar import Grammar

Step = Literal["class", "facts"]

NO_OTHER_CLASS = "no other class in the dataset"
NO_OTHER_FACT = "no other fact in the context"
FEWER_OTHER_FACTS = "fewer wrong facts to choose from than gold ones"
ANSWER_IN_ALL_OTHERS = "every other fact in the context names an answer"
NO_OTHER_TRACE = "no other question with another trace"
NO_TEACHER_TRACE = "no trace of a teacher was kept"


@dataclass(frozen=True)
class Gold:
    """A question and the steps of its correct trace; `facts` are indexes into `context`.

    `answers` are those that wrong facts should not name.
    """

    id: str
    class_name: str
    context: tuple[str, ...]
    facts: tuple[int, ...]
    answers: tuple[str, ...] = ()

    @cached_property
    def fact_texts(self) -> tuple[str, ...]:
        """The gold facts, each as the one line that a trace quotes."""
        return tuple(one_line(self.context[index]) for index in self.facts)

    def same_steps(self, other: "Gold") -> bool:
        """Whether the other question's correct trace would be right here too."""
        return self.class_name == other.class_name and set(self.fact_texts) == set(other.fact_texts)


class Donors:
    """The questions of a split in a hashed circle, to find a donor for each question's trace.

    The donor is the next question on the circle, so adding questions to the split changes only the
    donors of their neighbours.
    """

    def __init__(self, questions: Iterable[Gold], seed: int) -> None:
        """Place the questions on the circle."""
        self._seed = seed
        self._circle = sorted(((self._place(gold), gold) for gold in questions), key=itemgetter(0))

    def donor(self, gold: Gold, fits: Callable[[Gold], bool]) -> Gold | None:
        """Return the next question that fits; None if there is none."""
        start = bisect_right(self._circle, self._place(gold), key=itemgetter(0))
        for step in range(len(self._circle)):
            _, other = self._circle[(start + step) % len(self._circle)]
            if fits(other):
                return other
        return None

    def _place(self, gold: Gold) -> int:
        return randomness.digest(self._seed, "donor", gold.id)


@dataclass(frozen=True)
class RegimeContext:
    """What a regime may use besides the question.

    `corruption` is the fraction of incorrect traces in the regime `mixed`, `classes` are all
    classes of the dataset, `donors` the questions of the same split. `wrong_facts` is as in
    params.yaml. `taught` are a teacher's traces, by kind and question.
    """

    seed: int
    corruption: float
    classes: tuple[str, ...]
    grammar: Grammar
    donors: Donors
    wrong_facts: WrongFacts = "without_answer"
    taught: Mapping[str, Mapping[str, Trace]] = field(default_factory=dict)


@dataclass(frozen=True)
class Shown:
    """The trace that a regime shows, and whether its steps are right (None: not shown).

    `note` is the reason if the trace is not what the regime promises.
    """

    trace: Trace
    class_right: bool | None
    facts_right: bool | None
    note: str | None


RegimeFunction = Callable[[Gold, RegimeContext], tuple[Trace, str | None]]


def _none(_gold: Gold, _context: RegimeContext) -> tuple[Trace, str | None]:
    return Trace(), None


def _class_only(gold: Gold, _context: RegimeContext) -> tuple[Trace, str | None]:
    return Trace(class_name=gold.class_name), None


def _facts_only(gold: Gold, _context: RegimeContext) -> tuple[Trace, str | None]:
    return Trace(facts=gold.fact_texts), None


def _correct(gold: Gold, _context: RegimeContext) -> tuple[Trace, str | None]:
    return Trace(gold.class_name, gold.fact_texts), None


def _incorrect(gold: Gold, context: RegimeContext) -> tuple[Trace, str | None]:
    class_name, class_note = _another_class(gold, context)
    facts, facts_note = _other_facts(gold, context)
    notes = [note for note in (class_note, facts_note) if note]
    return Trace(class_name, facts), "; ".join(notes) or None


def _wrong_class(gold: Gold, context: RegimeContext) -> tuple[Trace, str | None]:
    class_name, note = _another_class(gold, context)
    return Trace(class_name, gold.fact_texts), note


def _wrong_facts(gold: Gold, context: RegimeContext) -> tuple[Trace, str | None]:
    facts, note = _other_facts(gold, context)
    return Trace(gold.class_name, facts), note


def _shuffled(gold: Gold, context: RegimeContext) -> tuple[Trace, str | None]:
    donor = context.donors.donor(gold, lambda other: not gold.same_steps(other))
    if donor is None:
        return Trace(), NO_OTHER_TRACE
    return Trace(donor.class_name, donor.fact_texts), None


def _filler(_gold: Gold, _context: RegimeContext) -> tuple[Trace, str | None]:
    """One word without content: `tracekd.models.encoding` gives it the length of `filler_for`."""
    return Trace(filler=1), None


def _mixed(gold: Gold, context: RegimeContext) -> tuple[Trace, str | None]:
    """Doses are nested: a question corrupted at 0.2 is corrupted in the same way at 0.5."""
    corrupted = randomness.uniform(context.seed, "mixed", gold.id) < context.corruption
    return _incorrect(gold, context) if corrupted else _correct(gold, context)


def _teacher(kind: TraceKind) -> RegimeFunction:
    def taught(gold: Gold, context: RegimeContext) -> tuple[Trace, str | None]:
        trace = context.taught.get(kind, {}).get(gold.id)
        return (Trace(), NO_TEACHER_TRACE) if trace is None else (trace, None)

    return taught


def _teacher_shuffled(gold: Gold, context: RegimeContext) -> tuple[Trace, str | None]:
    """Another question's, of the same class if one has a trace that was kept."""
    traces = context.taught.get("trace", {})

    def fits(other: Gold) -> bool:
        return other.id != gold.id and other.id in traces

    def alike(other: Gold) -> bool:
        return fits(other) and other.class_name == gold.class_name

    donor = context.donors.donor(gold, alike) or context.donors.donor(gold, fits)
    return (Trace(), NO_TEACHER_TRACE) if donor is None else (traces[donor.id], None)


def _another_class(gold: Gold, context: RegimeContext) -> tuple[str | None, str | None]:
    others = [name for name in context.classes if name != gold.class_name]
    if not others:
        return None, NO_OTHER_CLASS
    return randomness.choose(others, context.seed, "class", gold.id), None


def _other_facts(gold: Gold, context: RegimeContext) -> tuple[tuple[str, ...], str | None]:
    """Return as many facts as gold has (so that length gives nothing away), none of them gold.

    By default none of them names an answer either. Where the context has fewer such facts, all of
    them, and a note; where it has none, other facts, and a note.
    """
    right = set(gold.fact_texts)
    others = [text for text in dict.fromkeys(map(one_line, gold.context)) if text not in right]
    if not others:
        return (), NO_OTHER_FACT
    count = max(1, len(right)) if context.wrong_facts != "one" else 1
    notes = []
    if context.wrong_facts == "without_answer":
        free = [text for text in others if not states_answer([text], gold.answers, "any")]
        notes += [] if free else [ANSWER_IN_ALL_OTHERS]
        others = free or others
    if len(others) < count:
        notes.append(FEWER_OTHER_FACTS)
    drawn = randomness.sample(others, count, context.seed, "facts", gold.id)
    return tuple(drawn), "; ".join(notes) or None


@dataclass(frozen=True)
class Regime:
    """The steps that a regime teaches, right or wrong, and what makes its trace and its note.

    Attributes:
        teacher: the kind of a teacher's trace that it needs, if any.
        like: makes the traces whose median length a filler has.
        free_text: whether its traces are free text (`Trace.text`).
    """

    steps: frozenset[Step]
    trace: RegimeFunction
    teacher: TraceKind | None = None
    like: RegimeFunction | None = None
    free_text: bool = False


_NOTHING: frozenset[Step] = frozenset()
_BOTH: frozenset[Step] = frozenset({"class", "facts"})

REGIMES: dict[str, Regime] = {
    "none": Regime(_NOTHING, _none),
    "class_only": Regime(frozenset({"class"}), _class_only),
    "facts_only": Regime(frozenset({"facts"}), _facts_only),
    "correct": Regime(_BOTH, _correct),
    "incorrect": Regime(_BOTH, _incorrect),
    "wrong_class": Regime(_BOTH, _wrong_class),
    "wrong_facts": Regime(_BOTH, _wrong_facts),
    "shuffled": Regime(_BOTH, _shuffled),
    "filler": Regime(_NOTHING, _filler, like=_correct),
    "mixed": Regime(_BOTH, _mixed),
    "teacher": Regime(_NOTHING, _teacher("trace"), "trace", free_text=True),
    "teacher_summary": Regime(_NOTHING, _teacher("summary"), "summary", free_text=True),
    "teacher_explanation": Regime(_NOTHING, _teacher("explanation"), "explanation", free_text=True),
    "teacher_shuffled": Regime(_NOTHING, _teacher_shuffled, "trace", free_text=True),
    "teacher_steps": Regime(_BOTH, _teacher("steps"), "steps"),
    "teacher_filler": Regime(_NOTHING, _filler, "trace", like=_teacher("trace")),
}


def regime(name: str, named_by: str = "params.yaml: trace_mode") -> Regime:
    """Return the regime of that name; the error for an unknown one cites `named_by`."""
    if name not in REGIMES:
        raise TracekdError(
            f"{named_by}: unknown regime {name!r}; {nearest(name, REGIMES)} "
            "(to add one: src/tracekd/traces/regimes.py)"
        )
    return REGIMES[name]


def steps_shown(params: Params) -> frozenset[Step]:
    """Return the steps that a student has seen, in training or in shots: those that are scored."""
    seen = params.prompt.shots > 0 or not params.train.untuned
    return regime(params.trace_mode).steps if seen else _NOTHING


def show(name: str, gold: Gold, context: RegimeContext) -> Shown:
    """Return the trace that a regime shows before a question's answer."""
    chosen = regime(name)
    trace, note = chosen.trace(gold, context)
    return Shown(
        trace=trace,
        class_right=None if trace.class_name is None else trace.class_name == gold.class_name,
        facts_right=None if trace.facts is None else set(trace.facts) == set(gold.fact_texts),
        note=note,
    )


def filler_for(name: str, golds: Iterable[Gold], context: RegimeContext) -> str | None:
    """Return the trace whose length a regime's fillers have; None if it shows no filler.

    Of the traces that they stand for in training, `golds`, it is the one of median length. All
    questions have the same, so that the length of a filler says nothing about the answer.
    """
    like = regime(name).like
    if like is None:
        return None
    traces = [context.grammar.render_trace(like(gold, context)[0]) for gold in golds]
    return median_low((len(trace), trace) for trace in traces)[1]
