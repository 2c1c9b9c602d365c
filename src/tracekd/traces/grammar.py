r"""Steps <-> text, both ways: the one form in which a student writes its trace and its answer.

    <think>
    The category of the question is: two-supporting-facts.
    I need to use the following facts to answer the question:
    - Mary took the apple.
    - Mary went to the kitchen.
    </think>
    <answer>kitchen</answer>

A step that is not shown has no line; without any step there is no think block. No fact at all reads
"None of the facts answers the question.". Several answers are joined by "; ".

Text from the data cannot imitate the grammar: runs of white space become one space, `\` becomes
`\\`, a `<` that would open one of the grammar's tags becomes `\<`, and a `;` inside an answer
becomes `\;`. What is rendered is read back as it was, and a text is *strict* only if rendering
what was read from it gives that very text. All other texts are read by `lenient.py`, if at all.
"""

import re
from dataclasses import dataclass
from typing import Literal

import polars as pl

FACTS_HEADER = "I need to use the following facts to answer the question:"
NO_FACTS = "None of the facts answers the question."
FILLER = "..."

_BULLET = "- "
# White space as Python's `split` has it: besides Unicode's, four separators of ASCII. In two
# patterns, of single bytes and of several: the engine looks for either with vector instructions,
# but for both at once, as for "\s", ten times as slowly.
_SHORT_SPACE = r"[\t-\r\x1c-\x1f]"
_LONG_SPACE = "|".join(
    ["  ", *"\x85\xa0\u1680\u2028\u2029\u202f\u205f\u3000", *map(chr, range(0x2000, 0x200B))]
)
_SEPARATOR = "; "
_TAG = re.compile(r"<(?=/?(?:think|answer)>)", re.IGNORECASE)
_ESCAPED = re.compile(r"\\([\\<;])")
_UNESCAPED_SEPARATOR = re.compile(r"(?:\\.|[^\\;])+|;", re.DOTALL)
_STRICT = re.compile(
    r"(?:<think>\n(?P<trace>.*)\n</think>\n)?<answer>(?P<answer>[^\n]*)</answer>", re.DOTALL
)

Form = Literal["strict", "lenient", "failed"]


@dataclass(frozen=True)
class Trace:
    """The steps shown in front of an answer; None means that a step is not shown.

    Attributes:
        class_name: the Classification step.
        facts: the Information Retrieval step, each fact as one line of text.
        filler: number of "..." words of a trace without content; only without other steps.
    """

    class_name: str | None = None
    facts: tuple[str, ...] | None = None
    filler: int = 0


@dataclass(frozen=True)
class Completion:
    """A rendered trace and answer.

    Attributes:
        text: what the student is taught to write, without EOS.
        answer_start: character offset of the answer part (its tag) in `text`.
    """

    text: str
    answer_start: int


@dataclass(frozen=True)
class Reading:
    """What could be read from a text.

    Attributes:
        form: `strict`, `lenient`, or `failed` if there is no answer in it.
        trace: the steps found.
        answer_text: the answer part, unescaped, as one string; None if there is none.
        answers: the same, split at the separators.
    """

    form: Form
    trace: Trace
    answer_text: str | None
    answers: tuple[str, ...]


def one_line(text: str) -> str:
    """Return `text` with every run of white space (line breaks too) as one space, ends trimmed."""
    # Every other white space is not printable. Most texts are one line already.
    if text.isprintable() and "  " not in text:
        return text.strip(" ")
    return " ".join(text.split())


def one_lined(text: pl.Expr) -> pl.Expr:
    """Return `one_line` of a column of texts, an order of magnitude faster."""
    # Single spaces, which are nearly all white space there is, stay as they are.
    for pattern in (_SHORT_SPACE, _LONG_SPACE, " {2,}"):
        text = text.str.replace_all(pattern, " ")
    return text.str.strip_chars(" ")


def render(trace: Trace, answers: tuple[str, ...], class_sentence: str) -> Completion:
    """Return the text of a trace and an answer.

    Args:
        trace: the steps to show.
        answers: at least one; none of them blank.
        class_sentence: one line with the slot `{class}`, from the data set's entry.

    Raises:
        ValueError: if there is no answer, a blank one, or a filler beside other steps.
    """
    if not answers or not all(one_line(answer) for answer in answers):
        raise ValueError(f"a completion needs answers that are not blank, found {answers!r}")
    thought = render_trace(trace, class_sentence)
    joined = _SEPARATOR.join(_escape(answer).replace(";", r"\;") for answer in answers)
    return Completion(text=f"{thought}<answer>{joined}</answer>", answer_start=len(thought))


def render_trace(trace: Trace, class_sentence: str) -> str:
    """Return the think block with its final line break, or "" for a trace without steps."""
    lines = []
    if trace.filler:
        if trace.class_name is not None or trace.facts is not None:
            raise ValueError("a filler trace shows no steps")
        lines.append(" ".join([FILLER] * trace.filler))
    if trace.class_name is not None:
        lines.append(class_sentence.replace("{class}", _escape(trace.class_name)))
    if trace.facts is not None:
        lines.append(FACTS_HEADER if trace.facts else NO_FACTS)
        lines.extend(_BULLET + _escape(fact) for fact in trace.facts)
    return "\n".join(["<think>", *lines, "</think>", ""]) if lines else ""


def read_strictly(text: str, class_sentence: str) -> Reading | None:
    """Return what is read from a text that is just what `render` writes, else None."""
    match = _STRICT.fullmatch(text)
    if match is None:
        return None
    trace = _strict_trace(match["trace"], class_sentence)
    answers = split_answers(match["answer"])
    if trace is None or not all(map(one_line, answers)):
        return None
    if render(trace, answers, class_sentence).text != text:
        return None
    return Reading("strict", trace, _SEPARATOR.join(answers), answers)


def _strict_trace(block: str | None, class_sentence: str) -> Trace | None:
    if block is None:
        return Trace()
    lines = block.split("\n")
    words = lines[0].split(" ")
    if len(lines) == 1 and set(words) == {FILLER}:
        return Trace(filler=len(words))
    class_name = class_in(lines[0], class_sentence)
    rest = lines if class_name is None else lines[1:]
    if not rest:
        return Trace(class_name)
    if rest == [NO_FACTS]:
        return Trace(class_name, ())
    if rest[0] != FACTS_HEADER or not all(line.startswith(_BULLET) for line in rest[1:]):
        return None
    return Trace(class_name, tuple(unescape(line[len(_BULLET) :]) for line in rest[1:]))


def class_in(line: str, class_sentence: str) -> str | None:
    """Return the class that a line names in exactly the words of the sentence, else None."""
    prefix, suffix = class_sentence.split("{class}")
    if not (line.startswith(prefix) and line.endswith(suffix)):
        return None
    if len(line) < len(prefix) + len(suffix):
        return None
    return unescape(line[len(prefix) : len(line) - len(suffix)])


def _escape(text: str) -> str:
    escaped = one_line(text).replace("\\", "\\\\")
    return _TAG.sub(r"\\<", escaped) if "<" in escaped else escaped


def unescape(text: str) -> str:
    """Return a text as it was before `render` escaped it."""
    return _ESCAPED.sub(r"\1", text) if "\\" in text else text


def split_answers(text: str) -> tuple[str, ...]:
    """Return the answers of an answer part, unescaped; blank ones too."""
    if ";" not in text:
        return (unescape(text.strip(" ")),)
    pieces, current = [], ""
    for piece in _UNESCAPED_SEPARATOR.findall(text):
        if piece == ";":
            pieces.append(current)
            current = ""
        else:
            current += piece
    pieces.append(current)
    return tuple(unescape(item.strip(" ")) for item in pieces)
