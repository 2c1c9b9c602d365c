"""Trace and answer from what a model wrote in a form near the grammar's, or in none.

Accepted are other white space and case, missing tags, an unfinished answer, other bullets, code
fences, lists as Python or JSON writes them, plain text in place of a list, and a class step in
other words of the same pattern. What precedes the last `</think>` is thought, whatever it contains;
what a chat template writes around a turn is neither thought nor answer.
"""

import re
from functools import lru_cache
from typing import NamedTuple

from tracekd.text import one_line
from tracekd.traces.form import NO_FACTS, Reading, Trace, split_answers, unescape

# Quantifiers over `.` are lazy and anchored at literal tags, so that they stay
# linear on whatever a model writes.
#: An escaped sign, which is text, or a tag: groups `end` and `name`.
_TAG = re.compile(r"\\[\\<;]|< *(?P<end>/?) *(?P<name>think|answer) *>", re.IGNORECASE | re.ASCII)
_EMPTY = re.compile(r"\s*< */ *answer *>", re.IGNORECASE | re.ASCII)
_LOOSE_HEADER = re.compile(
    r"(?:I need to )?use the following (?:fact|text|passage|statement)s? to answer th(?:e|is) "
    r"question\s*:",
    re.IGNORECASE,
)
_TAGS = ("<think>", "</think>", "<answer>", "</answer>")
_CONTROL = r"(?:<\|[^<>|\s]*\|>|<(?:s|bos|start_of_turn)>|\[/INST\]|###)\s*"
#: The head of an assistant's turn, as far as a decoder left it in the text.
_TURN_BEGINS = re.compile(
    rf"\s*(?:(?:{_CONTROL})+(?:assistant|model)\b:?|(?:{_CONTROL})|assistant\s*[:\n]|model\s*\n)"
    r"(?:\s*<\|[^<>|\s]*\|>)?\s*",
    re.IGNORECASE,
)
_TURN_ENDS = re.compile(
    r"<\|(?:im_end|eot_id|eom_id|end|endoftext|end_of_text)\|>|</s>|<(?:end_of_turn|eos)>"
)
_FENCE = re.compile(r"```(?:json|python|xml|html|text|markdown)?", re.IGNORECASE)
#: How the paper's students state the class in bAbI and MS MARCO.
_PUBLISHED_CLASS = "The category of the question asked is:"
_LOOSE_BULLET = re.compile(r"^\s*(?:[-*\u2022]|\d+[.)])\s+")
# An apostrophe inside a name ("St Paul's School") does not end a quoted fact: only a quote that a
# comma and the next quote, or the end of the list, follows does.
_QUOTE_OPENS = re.compile(r"""\s*(?:,\s*)?(['"])""")
_REPR_ESCAPE = re.compile(r"""\\(?:x([0-9a-f]{2})|u([0-9a-f]{4})|([nrt'"\\]))""")
_QUOTE_ENDS = {
    quote: re.compile(rf"""(?<!\\){quote}(?=\s*(?:,\s*['"]|\]))""") for quote in ("'", '"')
}


def read_leniently(text: str, class_sentence: str, *, untagged: bool = False) -> Reading:
    """Read trace and answer from a text that need not have the grammar's form; never raises.

    With `untagged`, a text without tags is an answer even if it begins as a trace does.
    """
    start, first, last = _answer_part(text, untagged)
    thought = _without_tags(_without_turn(text[: min(start, _uncut(text))]))
    thought = _FENCE.sub("", thought)
    answer = _FENCE.sub("", text[first:last])
    answer = answer if start else _without_turn(answer)
    if ended := _TURN_ENDS.search(answer):
        answer = answer[: ended.start()]
    answer = _without_tags(answer)
    answer_text = one_line(unescape(answer))
    trace = Trace(_loose_class(thought, class_sentence), _loose_facts(thought))
    if not answer_text:
        return Reading("failed", trace, None, ())
    return Reading("lenient", trace, answer_text, answer_items(answer))


def answer_start(text: str, *, untagged: bool = False) -> int:
    """Return the offset at which the answer part begins, with its tag if it has one.

    It is the length of the text if there is no answer part. `untagged` as for `read_leniently`.
    """
    return _answer_part(text, untagged)[0]


def thought_of(text: str, *, untagged: bool = False) -> str | None:
    """Return what precedes the answer part, unescaped and without tags; None if it is nothing."""
    thought = text[: min(_answer_part(text, untagged)[0], _uncut(text))]
    return unescape(_without_tags(_without_turn(thought))).strip() or None


def is_cut_off(text: str) -> bool:
    """Return whether a text ends within a block that it opens, or within a tag."""
    tags = _tags(text)
    return _uncut(text) < len(text) or bool(tags and not tags[-1].name.startswith("/"))


def answer_items(answer: str) -> tuple[str, ...]:
    """Return the answers of an answer part: of a list, or as the grammar separates them."""
    listing = answer.strip()
    if listing.startswith("[") and listing.endswith("]"):
        items = _quoted_items(listing) or listing[1:-1].split(",")
    else:
        items = list(split_answers(answer))
    return tuple(filter(None, map(one_line, items)))


def _answer_part(text: str, untagged: bool) -> tuple[int, int, int]:
    """Return where the answer part begins, and both ends of its content.

    In a think block that is not closed, an answer counts only if the text ends with it: otherwise
    the student is still thinking.
    """
    end, tags = _uncut(text), _tags(text)
    thought = max((tag.end for tag in tags if tag.name == "/think"), default=0)

    def find(name: str, after: int) -> _Tag | None:
        return next((tag for tag in tags if tag.name == name and tag.start >= after), None)

    thinking = find("think", thought)
    answers = [tag for tag in tags if tag.name == "answer" and tag.start >= thought]
    # "I answer in <answer></answer> tags" is about an answer.
    filled = (tag for tag in answers if not _EMPTY.match(text, tag.end))
    opened = next(filled, answers[0] if answers else None)
    start, first = (opened.start, opened.end) if opened else (thought, thought)
    closed = find("/answer", first)
    if opened and thinking and thinking.start < start:
        ends = closed and not _TURN_ENDS.sub("", text[closed.end : end]).strip()
        unfinished = not ends
    elif opened:
        unfinished = False
    else:
        begun = not (thought or untagged) and _LOOSE_HEADER.search(text)
        unfinished = bool(thinking or begun)
    if unfinished:
        return len(text), end, end
    return start, first, closed.start if closed else end


class _Tag(NamedTuple):
    """One of the grammar's tags, `think` or `/think` and so on, and where it is."""

    name: str
    start: int
    end: int


def _tags(text: str) -> list[_Tag]:
    found = (match for match in _TAG.finditer(text) if match["name"])
    return [_Tag(match["end"] + match["name"].lower(), *match.span()) for match in found]


def _uncut(text: str) -> int:
    """Return where a tag starts in which the text was cut off; else the length of the text."""
    start = text.rfind("<")
    tail = text[start:].lower()
    cut = start >= 0 and any(tag.startswith(tail) and tag != tail for tag in _TAGS)
    return start if cut else len(text)


def _without_tags(text: str) -> str:
    return _TAG.sub(lambda match: "" if match["name"] else match[0], text)


def _without_turn(text: str) -> str:
    begins = _TURN_BEGINS.match(text)
    return text[begins.end() :] if begins else text


def _loose_class(thought: str, class_sentence: str) -> str | None:
    prefix, suffix = (one_line(part) for part in class_sentence.split("{class}"))
    header = _LOOSE_HEADER.search(thought)
    before = thought[: header.start()] if header else thought
    lines = [line for line in map(one_line, before.split("\n")) if line]
    steps = "\n".join(lines)
    for opening in (*_class_openings(prefix), *_class_openings(_PUBLISHED_CLASS)):
        if opened := opening.search(steps):
            named = one_line(steps[opened.end() :].partition("\n")[0])
            return unescape(named.removesuffix(suffix)).strip() or None
    # What is where the class belongs is a class, in words that are not known.
    return lines[-1] if header and lines else None


@lru_cache(maxsize=16)
def _class_openings(prefix: str) -> tuple[re.Pattern[str], ...]:
    """Return patterns that find a class step in the dataset's own words, or in similar ones.

    Similar: articles may be missing, and up to two more words may be anywhere ("asked", "the").
    """
    # Not by lower(): it changes the length of some letters, and so the place of what follows.
    exact = re.compile(re.escape(prefix), re.IGNORECASE)
    words = [word for word in re.findall(r"\w+", prefix) if word.lower() not in ("the", "a", "an")]
    if not words or not prefix.endswith(":"):
        return (exact,)
    similar = r"\W+(?:\w+\W+){0,2}?".join(words)
    return exact, re.compile(rf"\b{similar}\s*:", re.IGNORECASE)


def _loose_facts(thought: str) -> tuple[str, ...] | None:
    header = _LOOSE_HEADER.search(thought)
    if header is None:
        return () if NO_FACTS.lower() in thought.lower() else None
    body = thought[header.end() :].strip()
    if body.startswith("["):
        return tuple(filter(None, map(one_line, _quoted_items(body))))
    facts = (one_line(unescape(_LOOSE_BULLET.sub("", line))) for line in body.split("\n"))
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
