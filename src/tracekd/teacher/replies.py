"""A teacher's reply, and the trace and answer in it.

Reasoning is in its own field (`reasoning_content` or `reasoning`), or in the text: before the last
`</think>`, or before `<answer>`. What follows is the answer part; its answer is what is inside
`<answer></answer>`, or all of it.
"""

import re
from typing import NamedTuple

from pydantic.dataclasses import dataclass

from tracekd.config import TraceKind
from tracekd.text import one_line
from tracekd.traces.grammar import Grammar

#: What a reply is: "ok", or why its trace cannot be used.
OK, REFUSED, EMPTY, CUT = "ok", "refused", "empty", "cut"
NO_TRACE, NO_ANSWER = "no trace", "no answer"

_ANSWER = re.compile(r"<answer>(.*?)(?:</answer>|$)", re.DOTALL | re.IGNORECASE)
_OPENS = re.compile(r"\s*<think>", re.IGNORECASE)
_CLOSES = re.compile(r"</think>", re.IGNORECASE)
#: "Answer: X" and its variants in Markdown, as reasoning models end their answers.
_FINAL = re.compile(r"(?:^|\n)\W*(?:final )?answer\W*?:\W*", re.IGNORECASE)


@dataclass(frozen=True)
class Reply:
    """What a teacher sent; types are checked, since servers differ.

    Attributes:
        content, reasoning: its text, and its reasoning where the server gives it apart.
        finish_reason: the server's: "stop", "length", ...; "" if it gave none.
        model: as the server reports it.
        refused: what the server or the model says if it refuses; "" if it does not.
    """

    content: str
    reasoning: str = ""
    finish_reason: str = "stop"
    model: str = ""
    prompt_tokens: int = 0
    completion_tokens: int = 0
    refused: str = ""

    @property
    def tokens(self) -> int:
        """Tokens of the request and the reply."""
        return self.prompt_tokens + self.completion_tokens


class Written(NamedTuple):
    """What a reply contains; `text` is the trace, and `status` why one of them is missing."""

    status: str
    text: str = ""
    answer: str = ""


def written(kind: TraceKind, reply: Reply, grammar: Grammar) -> Written:
    """Return the trace and the answer of a reply; a summary or explanation has no answer."""
    content, reasoning = reply.content.strip(), reply.reasoning.strip()
    if reply.refused or reply.finish_reason == "content_filter":
        return Written(REFUSED)
    if not content and not reasoning:
        return Written(EMPTY)
    if reply.finish_reason == "length":
        return Written(CUT)
    if kind == "steps":
        return read_steps(content, grammar)
    *thoughts, rest = _CLOSES.split(content)
    rest = rest.strip()
    if thoughts:
        reasoning = reasoning or _OPENS.sub("", "".join(thoughts), count=1).strip()
    if kind != "trace":
        return Written(OK, rest) if rest else Written(EMPTY)
    if found := _ANSWER.search(rest):
        before = _OPENS.sub("", rest[: found.start()], count=1).strip()
        reasoning, rest = reasoning or before, found[1].strip()
    if not reasoning:
        return Written(NO_TRACE, "", rest)
    return Written(OK, reasoning, rest) if one_line(rest) else Written(NO_ANSWER, reasoning)


def final_answer(answer: str) -> str:
    r"""Return what follows the last "Answer:" in a teacher's answer, else all of it.

    >>> final_answer("He was both.\n\n**Answer:** bishop")
    'bishop'
    """
    *_, last = _FINAL.split(answer)
    return one_line(last).strip("* ") or answer


def read_steps(content: str, grammar: Grammar) -> Written:
    """Return the trace and answer of a text in the grammar's own form.

    A reasoning model may think before it.
    """
    start = max(0, content.lower().rfind("<think>"))
    reading = grammar.read(content[start:])
    if reading.trace.class_name is None and reading.trace.facts is None:
        return Written(NO_TRACE, "", reading.answer_text or "")
    text = grammar.render_trace(reading.trace)
    if reading.answer_text is None:
        return Written(NO_ANSWER, text)
    return Written(OK, text, reading.answer_text)
