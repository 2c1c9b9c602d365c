"""What a teacher is asked: templates with named slots, filled from a question.

{context}   the facts, one a line       {trace}   the teacher's own trace of this question
{question}                              {answer}  the teacher's own answer
{classes}   every class of the dataset  {form}    the grammar's form, to be copied
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from tracekd.config import TeacherSpec, TraceKind
from tracekd.progress import digest
from tracekd.traces.examples import render_prompt
from tracekd.traces.form import Trace
from tracekd.traces.grammar import Grammar


class TeacherRequest(NamedTuple):
    """One request; `sample` tells apart several replies to the same messages."""

    messages: tuple[Mapping[str, str], ...]
    sample: int = 0

    def key(self, teacher: Mapping[str, Any]) -> str:
        """Return the hash under which the reply is kept; `teacher` identifies who is asked."""
        return digest([teacher, self.messages, self.sample])


def request(
    kind: TraceKind,
    spec: TeacherSpec,
    question: Mapping[str, Any],
    sample: int,
    slots: Mapping[str, str],
) -> TeacherRequest:
    """Return the request for a kind of trace; `slots` are those besides context and question."""
    text = render_prompt(spec.prompts[kind], question["question"], question["context"], slots)
    system = [] if spec.system is None else [{"role": "system", "content": spec.system}]
    return TeacherRequest((*system, {"role": "user", "content": text}), sample)


def general_slots(grammar: Grammar, classes: Sequence[str]) -> dict[str, str]:
    """Return the slots that are the same for all questions of a dataset."""
    form = grammar.render(Trace("CLASS", ("FACT", "FACT")), ("ANSWER",))
    return {"{classes}": ", ".join(classes), "{form}": form}
