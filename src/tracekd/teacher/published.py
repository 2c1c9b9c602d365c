"""Traces from a file: JSON lines, one file or a folder of them, pinned by hash.

    {"id": "babi/train/qa1:37", "trace": "First, ...", "answer": "kitchen"}
    {"question": "Where is Mary?", "context": ["Mary went home."], "trace": "...", "answer": "home"}

A line is about the question with its `question` and, where the line has them, `context`, `class`
and `id`, or with its `id` alone. It may have `summary`, `explanation` and `steps` as well. The
published files of DeepSeek-R1 on CoTempQA have other names for these fields. Lines about one
question are joined where nothing in them differs (a file with summaries, one with explanations);
else they are further samples.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from itertools import chain
from pathlib import Path
from typing import Any

from tracekd.config import KINDS, TeacherSpec, load_teacher, write_entry
from tracekd.datasets import fields, rawfiles
from tracekd.datasets.sources import existing
from tracekd.errors import TracekdError
from tracekd.files import combined_hash, hash_files, require_pinned
from tracekd.teacher.replies import NO_TRACE, OK, Reply, Written, read_steps
from tracekd.teacher.table import Draft
from tracekd.text import one_line
from tracekd.traces.grammar import Grammar

#: Field -> what the published files call it.
_NAMES = {
    "context": "facts",
    "trace": "r1_trace",
    "answer": "prediction",
    "summary": "r1_trace_summary",
    "explanation": "r1_exp_ans",
}
_TEXTS = (*KINDS, "answer")
_NAMED = 20


def read_traces(
    spec: TeacherSpec, questions: Iterable[Mapping[str, Any]], samples: int, grammar: Grammar
) -> tuple[list[Draft], dict[str, Any]]:
    """Return at most `samples` traces for each question, and what became of the file's lines.

    Raises:
        TracekdError: if the file is not what the entry pins, or no line is about a question here.
    """
    place = pinned_place(spec)
    found: dict[str, list[dict[str, Any]]] = defaultdict(list)
    faults: dict[str, list[str]] = defaultdict(list)
    asked = list(questions)
    known = _Index(asked)
    lines = 0
    for source, record in chain.from_iterable(map(rawfiles.json_records, _files(place))):
        lines += 1
        try:
            line = _line(record)
            _add(line, found[known.find(line)], samples)
        except fields.RejectedError as fault:
            faults[str(fault)].append(source)
    if not found:
        reasons = ", ".join(f"{fault} ({len(places)})" for fault, places in faults.items())
        raise TracekdError(
            f"teachers.yaml: {spec.name}: none of the {lines} lines of {place} is about a question "
            f"of this experiment: {reasons or 'it is empty'}; see docs/teacher.md for the fields"
        )
    drafts = [
        draft
        for question in asked
        for number, texts in enumerate(found.get(question["id"], []))
        for draft in _drafts(question, number, texts, grammar)
    ]
    unused = {
        fault: {"count": len(places), "first": places[:_NAMED]}
        for fault, places in sorted(faults.items())
    }
    return drafts, {"lines": lines, "questions": len(found), "not_used": unused}


def pin(name: str, settings: Path, path: str | None = None) -> str:
    """Write an entry's `path`, or the one given, and its content hash; return the hash."""
    spec = load_teacher(settings, name, named_by="--pin", folder=path)
    if spec.path is None:
        raise TracekdError(f"{settings}: {name}: path is null; name it with --path")
    sha256 = _hash(existing(spec.path, f"{settings}: {name}"))
    write_entry(settings, name, {"path": spec.path, "sha256": sha256})
    return sha256


def pinned_place(spec: TeacherSpec) -> Path:
    """Return an entry's file or folder, which must be what it pins."""
    entry = f"teachers.yaml: {spec.name}"
    place = existing(spec.path or "", entry)
    command = f"python stages/teach.py --pin {spec.name}"
    require_pinned(place, _hash(place), spec.sha256, entry, command)
    return place


class _Index:
    """Questions by id, and by their text."""

    def __init__(self, questions: Iterable[Mapping[str, Any]]) -> None:
        self._ids: set[str] = set()
        self._by_text: dict[str, list[Mapping[str, Any]]] = defaultdict(list)
        for question in questions:
            self._ids.add(question["id"])
            self._by_text[one_line(question["question"])].append(question)

    def find(self, line: Mapping[str, Any]) -> str:
        """Return the id of the question that a line is about."""
        key = line["id"]
        if line["question"] is None:
            if key not in self._ids:
                raise fields.RejectedError("no question with this id")
            return str(key)
        wanted: list[str] = [
            question["id"]
            for question in self._by_text[one_line(line["question"])]
            if line["class"] in (None, question["question_class"])
            and line["context"] in (None, list(map(one_line, question["context"])))
        ]
        if key not in wanted and len(wanted) != 1:
            fault = "several such questions" if wanted else "no such question"
            raise fields.RejectedError(fault)
        return key if key in wanted else wanted[0]


def _line(record: Any) -> dict[str, Any]:
    """Return a record's fields under their names here."""
    fields.require(record, ())
    names = ("id", "question", "class", "context", *_TEXTS)
    line = {name: record.get(name, record.get(_NAMES.get(name, ""))) for name in names}
    if isinstance(line["context"], str):
        line["context"] = line["context"].split("\n")
    for name, value in line.items():
        if value is not None:
            fields.texts(value if name == "context" else [value], name)
    if line["context"] is not None:
        line["context"] = list(filter(None, map(one_line, line["context"])))
    if not any((line[kind] or "").strip() for kind in KINDS):
        raise fields.RejectedError("no trace")
    return line


def _add(line: Mapping[str, Any], samples: list[dict[str, Any]], most: int) -> None:
    """Add a line's texts to a sample of its question from which they do not differ, or as one."""
    texts = {name: line[name] for name in _TEXTS if line[name]}
    for sample in samples:
        if all(sample.get(name, text) == text for name, text in texts.items()):
            sample.update(texts)
            return
    if len(samples) == most:
        raise fields.RejectedError(f"beyond teacher.samples: {most}")
    samples.append(texts)


def _drafts(
    question: Mapping[str, Any], sample: int, texts: Mapping[str, str], grammar: Grammar
) -> Iterator[Draft]:
    answer = texts.get("answer", "")
    reply = Reply("", finish_reason="")
    for kind in KINDS:
        if text := texts.get(kind, "").strip():
            found = Written(OK, text, answer)
            if kind == "steps" and read_steps(text, grammar).status == NO_TRACE:
                found = Written(NO_TRACE, "", answer)
            yield Draft(question, kind, sample, found, reply)


def _files(place: Path) -> list[Path]:
    if place.is_file():
        return [place]
    return [path for path in sorted(place.rglob("*")) if path.is_file()]


def _hash(place: Path) -> str:
    folder = place.parent if place.is_file() else place
    return combined_hash(hash_files(folder, _files(place)))
