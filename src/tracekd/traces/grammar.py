"""Steps <-> text, both ways: the one form in which a student writes its trace and its answer.

    <think>
    The category of the question is: two-supporting-facts.
    I need to use the following facts to answer the question:
    - Mary took the apple.
    - Mary went to the kitchen.
    </think>
    <answer>kitchen</answer>

A step that is not shown has no line; without any step there is no think block. No fact at all reads
"None of the facts answers the question.". Several answers are joined by "; ". Where free text is
taught, a think block may contain any text instead of steps.

What is rendered is read back as it was, and a text is *strict* only if rendering what was read from
it gives that very text. All other texts are read leniently, if at all.
"""

import re
from dataclasses import replace

from tracekd.text import FILLER, one_line
from tracekd.traces.form import (
    BULLET,
    FACTS_HEADER,
    NO_FACTS,
    SEPARATOR,
    Reading,
    Trace,
    escape,
    escape_lines,
    join_answers,
    split_answers,
    unescape,
)
from tracekd.traces.lenient import read_leniently, thought_of

_STRICT = re.compile(
    r"(?:<think>\n(?P<trace>.*)\n</think>\n)?<answer>(?P<answer>[^\n]*)</answer>", re.DOTALL
)


class Grammar:
    """The grammar of one dataset, whose entry words the class step."""

    def __init__(
        self, class_sentence: str, *, untagged: bool = False, free_text: bool = False
    ) -> None:
        """Take a sentence on one line with the slot `{class}`.

        With `untagged`, a text without tags is read whole as the answer: what a model wrote that
        was never taught the tags. With `free_text`, a think block that does not show steps is read
        as a trace in free text.
        """
        self._class_sentence = class_sentence
        self._untagged, self._free_text = untagged, free_text
        before, after = map(re.escape, class_sentence.split("{class}"))
        self._class_line = re.compile(f"{before}(.*){after}", re.DOTALL)

    def render(self, trace: Trace, answers: tuple[str, ...]) -> str:
        """Return the text of a trace and at least one answer, without EOS.

        Raises:
            ValueError: if there is no answer, a blank one, or filler or text beside other steps.
        """
        if not answers or not all(map(one_line, answers)):
            raise ValueError(f"a completion needs answers that are not blank, found {answers!r}")
        return f"{self.render_trace(trace)}<answer>{join_answers(answers)}</answer>"

    def render_trace(self, trace: Trace) -> str:
        """Return the think block with its final line break, or "" for a trace without steps."""
        lines = []
        if trace.filler or trace.text is not None:
            if trace.class_name is not None or trace.facts is not None:
                raise ValueError("a trace of filler or free text shows no steps")
            lines.append(" ".join([FILLER] * trace.filler) or escape_lines(trace.text or ""))
        if trace.class_name is not None:
            lines.append(self._class_sentence.replace("{class}", escape(trace.class_name)))
        if trace.facts is not None:
            lines.append(FACTS_HEADER if trace.facts else NO_FACTS)
            lines.extend(BULLET + escape(fact) for fact in trace.facts)
        return "\n".join(["<think>", *lines, "</think>", ""]) if lines else ""

    def read(self, text: str) -> Reading:
        """Read trace and answer from any text without special tokens; never raises."""
        if strict := self._read_strictly(text):
            return strict
        reading = read_leniently(text, self._class_sentence, untagged=self._untagged)
        if not self._free_text:
            return reading
        return replace(reading, trace=Trace(text=thought_of(text, untagged=self._untagged)))

    def read_trace(self, block: str) -> Reading:
        """Read a trace that no answer follows; its form is that of the trace."""
        return self.read(f"{block}<answer>-</answer>")

    def _read_strictly(self, text: str) -> Reading | None:
        match = _STRICT.fullmatch(text)
        if match is None:
            return None
        trace, answers = self._strict_trace(match["trace"]), split_answers(match["answer"])
        if trace is None and self._free_text:
            trace = Trace(text=unescape(match["trace"]))
        if trace is None or not all(map(one_line, answers)):
            return None
        same = self.render(trace, answers) == text
        return Reading("strict", trace, SEPARATOR.join(answers), answers) if same else None

    def _strict_trace(self, block: str | None) -> Trace | None:
        if block is None:
            return Trace()
        lines = block.split("\n")
        words = lines[0].split(" ")
        if len(lines) == 1 and set(words) == {FILLER}:
            return Trace(filler=len(words))
        named = self._class_line.fullmatch(lines[0])
        class_name = unescape(named[1]) if named else None
        rest = lines[1:] if named else lines
        if not rest:
            return Trace(class_name)
        if rest == [NO_FACTS]:
            return Trace(class_name, ())
        if rest[0] != FACTS_HEADER or not all(line.startswith(BULLET) for line in rest[1:]):
            return None
        return Trace(class_name, tuple(unescape(line.removeprefix(BULLET)) for line in rest[1:]))
