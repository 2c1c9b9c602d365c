r"""What a trace and a reading are, and how text is escaped in completions.

Text from the data cannot imitate the grammar: white space is one space, `\` becomes `\\`, a `<`
that would open one of the grammar's tags becomes `\<`, and a `;` inside an answer becomes `\;`.
"""

import re
from dataclasses import dataclass
from typing import Literal

from tracekd.text import one_line

FACTS_HEADER = "I need to use the following facts to answer the question:"
NO_FACTS = "None of the facts answers the question."
BULLET = "- "
SEPARATOR = "; "

_TAG = re.compile(r"<(?= */? *(?:think|answer) *>)", re.IGNORECASE | re.ASCII)
_ESCAPED = re.compile(r"\\([\\<;])")
_ANSWER_PIECE = re.compile(r"(?:\\.|[^;])+|;", re.DOTALL)


@dataclass(frozen=True)
class Trace:
    """The steps shown before an answer; None means that a step is not shown.

    `filler` is the number of "..." words in a trace without content, `text` a trace in free text;
    neither has other steps.
    """

    class_name: str | None = None
    facts: tuple[str, ...] | None = None
    filler: int = 0
    text: str | None = None


@dataclass(frozen=True)
class Reading:
    """What could be read from a text; `failed` if it contains no answer.

    `answer_text` is the answer part, unescaped, as one string; `answers` is the same, split.
    """

    form: Literal["strict", "lenient", "failed"]
    trace: Trace
    answer_text: str | None
    answers: tuple[str, ...]


def escape(text: str) -> str:
    """Return a text on one line that cannot be taken for a tag of the grammar."""
    return _TAG.sub(r"\\<", one_line(text).replace("\\", "\\\\"))


def escape_lines(text: str) -> str:
    """Return a text of several lines that cannot be taken for a tag of the grammar."""
    return _TAG.sub(r"\\<", "\n".join(text.strip().splitlines()).replace("\\", "\\\\"))


def unescape(text: str) -> str:
    """Return a text as it was before it was escaped."""
    return _ESCAPED.sub(r"\1", text)


def join_answers(answers: tuple[str, ...]) -> str:
    """Return the content of an answer part."""
    return SEPARATOR.join(escape(answer).replace(";", r"\;") for answer in answers)


def split_answers(text: str) -> tuple[str, ...]:
    """Return the answers of an answer part, unescaped; blank ones too."""
    pieces, current = [], ""
    for piece in _ANSWER_PIECE.findall(text):
        if piece == ";":
            pieces.append(current)
            current = ""
        else:
            current += piece
    return tuple(unescape(item.strip(" ")) for item in [*pieces, current])
