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
becomes `\;`. `read(render(x))` gives back `x`, and a text is *strict* only if rendering what was
read from it gives that very text. Everything else is read leniently, or not at all.
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

# Lenient reading. Quantifiers over `.` are lazy and anchored at literal tags, so that they stay
# linear on whatever a model writes.
_ANSWER_TAG = re.compile(r"<answer>", re.IGNORECASE)
_ANSWER_END = re.compile(r"</answer>", re.IGNORECASE)
_THINK_TAG = re.compile(r"<think>", re.IGNORECASE)
_THINK_END = re.compile(r"</think>", re.IGNORECASE)
_LOOSE_HEADER = re.compile(
    r"use the following (?:facts?|texts?|passages?) to answer the question\s*:", re.IGNORECASE
)
_TAGS = ("<think>", "</think>", "<answer>", "</answer>")
#: A text without the tags that end a trace is one all the same if it opens one or quotes facts.
UNFINISHED = re.compile(rf"<think>|{_LOOSE_HEADER.pattern}", re.IGNORECASE)
_LOOSE_BULLET = re.compile(r"^\s*(?:[-*\u2022]|\d+[.)])\s+")
# An apostrophe inside a name ("St Paul's School") does not end a quoted fact: only a quote that a
# comma and the next quote, or the end of the list, follows does.
_QUOTE_OPENS = re.compile(r"""\s*(?:,\s*)?(['"])""")
_REPR_ESCAPE = re.compile(r"""\\(?:x([0-9a-f]{2})|u([0-9a-f]{4})|([nrt'"\\]))""")
_QUOTE_ENDS = {
    quote: re.compile(rf"""(?<!\\){quote}(?=\s*(?:,\s*['"]|\]))""") for quote in ("'", '"')
}

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


def read(text: str, class_sentence: str) -> Reading:
    """Read trace and answer from whatever a model wrote; never raises.

    The lenient reading accepts other white space and case, missing tags, an unfinished answer,
    other bullets, and facts as a bracketed list of quoted strings or as plain text.
    """
    return _read_strictly(text, class_sentence) or _read_leniently(text, class_sentence)


def _read_strictly(text: str, class_sentence: str) -> Reading | None:
    match = _STRICT.fullmatch(text)
    if match is None:
        return None
    trace = _strict_trace(match["trace"], class_sentence)
    answers = _split_answers(match["answer"])
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
    return Trace(class_name, tuple(_unescape(line[len(_BULLET) :]) for line in rest[1:]))


def class_in(line: str, class_sentence: str) -> str | None:
    """Return the class that a line names in exactly the words of the sentence, else None."""
    prefix, suffix = class_sentence.split("{class}")
    if not (line.startswith(prefix) and line.endswith(suffix)):
        return None
    if len(line) < len(prefix) + len(suffix):
        return None
    return _unescape(line[len(prefix) : len(line) - len(suffix)])


def _read_leniently(text: str, class_sentence: str) -> Reading:
    thought, answer = _split_parts(text)
    answer_text = one_line(_unescape(answer))
    answers = tuple(filter(None, map(one_line, _split_answers(answer))))
    trace = Trace(_loose_class(thought, class_sentence), _loose_facts(thought))
    if not answer_text:
        return Reading("failed", trace, None, ())
    return Reading("lenient", trace, answer_text, answers)


def _split_parts(text: str) -> tuple[str, str]:
    """Return the trace part and the answer part of a text whose tags may be missing."""
    text = _without_cut_tag(text)
    if opened := _ANSWER_TAG.search(text):
        thought, answer = text[: opened.start()], text[opened.end() :]
    elif ends := list(_THINK_END.finditer(text)):
        # Chat templates put an empty block in front: only what follows the last is no trace.
        thought, answer = text[: ends[-1].start()], text[ends[-1].end() :]
    elif UNFINISHED.search(text):
        thought, answer = text, ""
    else:
        thought, answer = "", text
    if ended := _ANSWER_END.search(answer):
        answer = answer[: ended.start()]
    return _THINK_END.sub("", _THINK_TAG.sub("", thought)), answer


def _without_cut_tag(text: str) -> str:
    """Return `text` without the beginning of a tag in which it was cut off."""
    start = text.rfind("<")
    tail = text[start:].lower()
    return text[:start] if start >= 0 and any(tag.startswith(tail) for tag in _TAGS) else text


def _loose_class(thought: str, class_sentence: str) -> str | None:
    prefix, suffix = (one_line(part) for part in class_sentence.split("{class}"))
    # Not by lower(): it changes the length of some letters, and so the place of what follows.
    opening = re.compile(re.escape(prefix), re.IGNORECASE)
    for line in map(one_line, thought.split("\n")):
        opened = opening.search(line)
        if opened is None:
            continue
        named = line[opened.end() :]
        if header := _LOOSE_HEADER.search(named):
            # Both steps on one line: the class ends where the sentence of the second begins.
            named = named[: header.start()].rpartition("I need to")[0]
        named = one_line(named)
        return _unescape(named.removesuffix(suffix) if suffix else named).strip() or None
    return None


def _loose_facts(thought: str) -> tuple[str, ...] | None:
    header = _LOOSE_HEADER.search(thought)
    if header is None:
        return () if NO_FACTS.lower() in thought.lower() else None
    body = thought[header.end() :].strip()
    if body.startswith("["):
        return tuple(filter(None, map(one_line, _quoted_items(body))))
    facts = (one_line(_unescape(_LOOSE_BULLET.sub("", line))) for line in body.split("\n"))
    return tuple(filter(None, facts))


def _quoted_items(listing: str) -> list[str]:
    """Return the strings of a bracketed list; one that is cut off ends with the text."""
    items, position = [], 1
    while opened := _QUOTE_OPENS.match(listing, position):
        ended = _QUOTE_ENDS[opened[1]].search(listing, opened.end())
        item = listing[opened.end() : ended.start() if ended else len(listing)]
        items.append(_REPR_ESCAPE.sub(_repr_sign, item))
        position = ended.end() if ended else len(listing)
    return items


def _repr_sign(escape: re.Match[str]) -> str:
    """Return the sign that Python's repr wrote as an escape, e.g. a no-break space."""
    code = escape[1] or escape[2]
    if code is None:
        return {"n": "\n", "r": "\r", "t": "\t"}.get(escape[3], escape[3])
    sign = chr(int(code, 16))
    return escape[0] if "\ud800" <= sign <= "\udfff" else sign


def _escape(text: str) -> str:
    escaped = one_line(text).replace("\\", "\\\\")
    return _TAG.sub(r"\\<", escaped) if "<" in escaped else escaped


def _unescape(text: str) -> str:
    return _ESCAPED.sub(r"\1", text) if "\\" in text else text


def _split_answers(text: str) -> tuple[str, ...]:
    if ";" not in text:
        return (_unescape(text.strip(" ")),)
    pieces, current = [], ""
    for piece in _UNESCAPED_SEPARATOR.findall(text):
        if piece == ";":
            pieces.append(current)
            current = ""
        else:
            current += piece
    pieces.append(current)
    return tuple(_unescape(item.strip(" ")) for item in pieces)
