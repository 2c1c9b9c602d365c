"""bAbI's stories, line by line: what a question may look back on, and the facts that support it."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from tracekd.datasets.fields import RejectedError, is_blank
from tracekd.errors import TracekdError

_SUPPORT_ID = re.compile(r"[0-9]{1,9}")


@dataclass
class Line:
    """One line of a story; `answer` and `support` are None in a statement."""

    number: int
    story_id: int
    text: str
    answer: str | None = None
    support: str | None = None


@dataclass
class Story:
    """The part of a story that has been read."""

    facts: list[str] = field(default_factory=list)
    fact_of_line: dict[int, int] = field(default_factory=dict)
    length: int = 0
    has_blank_fact: bool = False

    def add(self, line: Line) -> None:
        """Take in a line; a question uses up an id but is no fact."""
        self.length = line.story_id
        if line.answer is None:
            self.fact_of_line[line.story_id] = len(self.facts)
            self.facts.append(line.text)
            self.has_blank_fact = self.has_blank_fact or is_blank(line.text)


@dataclass(frozen=True)
class Task:
    """The lines of one task in one split; `name` says where they come from."""

    name: str
    label: str
    number: int
    lines: Iterator[Line]


def questions(task: Task) -> Iterator[tuple[Line, Story]]:
    """Give each question's line with its story so far.

    Raises:
        TracekdError: if lines are missing.
    """
    story = Story()
    for line in task.lines:
        if line.story_id == 1:
            story = Story()
        elif line.story_id != story.length + 1:
            raise TracekdError(
                f"{task.name}:{line.number}: line id {line.story_id} after {story.length}; "
                "lines are missing: fetch the file again"
            )
        story.add(line)
        if line.answer is not None:
            yield line, story


def question(line: Line, story: Story) -> dict[str, Any]:
    """Return what `records.QUESTIONS` has of a question that its story decides.

    Raises:
        RejectedError: if it is not one that can be asked.
    """
    answers = [item.strip() for item in (line.answer or "").split(",")]
    if any(map(is_blank, answers)):
        raise RejectedError("the answer is empty or has an empty item")
    if is_blank(line.text):
        raise RejectedError("the question is blank")
    if not story.facts:
        raise RejectedError("a context without facts")
    if story.has_blank_fact:
        raise RejectedError("the context holds a blank statement")
    return {
        "question": line.text,
        "context": list(story.facts),
        "answers": answers,
        "subtype": None,
        "gold_facts": _gold_facts(line, story),
    }


def _gold_facts(line: Line, story: Story) -> list[int]:
    ids = (line.support or "").split()
    if not ids:
        raise RejectedError("no support id")
    found = [
        story.fact_of_line.get(int(part)) if _SUPPORT_ID.fullmatch(part) else None for part in ids
    ]
    facts = [fact for fact in found if fact is not None]
    if len(facts) < len(found):
        raise RejectedError("a support id points to no statement before the question")
    return list(dict.fromkeys(facts))
