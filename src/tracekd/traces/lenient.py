"""Trace and answer from what a model wrote in a form near the grammar's, or in none.

Accepted are other white space and case, missing tags, an unfinished answer, other bullets, and
facts as a bracketed list of quoted strings (as the paper's students write them) or as plain text.
"""

import re

from tracekd.text import one_line
from tracekd.traces.form import NO_FACTS, Reading, Trace, split_answers, unescape

# Quantifiers over `.` are lazy and anchored at literal tags, so that they stay
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


def read_leniently(text: str, class_sentence: str) -> Reading:
    """Read trace and answer from a text that need not have the grammar's form; never raises."""
    thought, answer = _split_parts(text)
    answer_text = one_line(unescape(answer))
    answers = tuple(filter(None, map(one_line, split_answers(answer))))
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
        return unescape(named.removesuffix(suffix) if suffix else named).strip() or None
    return None


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
