"""Traces from a file: JSON lines, one file or a folder of them, pinned by hash.

    {"id": "babi/train/qa1:37", "trace": "First, ...", "answer": "kitchen"}
    {"question": "Where is Mary?", "context": ["Mary went home."], "trace": "...", "answer": "home"}

A line is about the question with its `question` and, where the line has them, `context`, `class`
and `id`. With an `id` alone it is about the question of that id, which under another `data_seed` is
another question: exported lines have both. It may have `summary`, `explanation` and `steps` as
well. The published files of DeepSeek-R1 on CoTempQA have other names for these fields, which are
read too. Lines about one question are joined where nothing in them differs (a file with summaries,
one with explanations); else they are further samples.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
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
    for source, record in _records(place):
        lines += 1
        line, fault = _line(record)
        key, fault = (None, fault) if fault else known.find(line)
        if key is None:
            faults[fault].append(source)
            continue
        texts = {name: line[name] for name in _TEXTS if line.get(name)}
        for other in found[key]:
            if all(other.get(name, text) == text for name, text in texts.items()):
                other.update(texts)
                break
        else:
            if len(found[key]) < samples:
                found[key].append(texts)
            else:
                faults[f"beyond teacher.samples: {samples}"].append(source)
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
    """Write the content hash of an entry's `path` into teachers.yaml, and return it.

    `path` replaces the one that the entry has.
    """
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
        self._by_id: dict[str, Mapping[str, Any]] = {}
        self._by_text: dict[str, list[Mapping[str, Any]]] = defaultdict(list)
        for question in questions:
            self._by_id[question["id"]] = question
            self._by_text[one_line(question["question"])].append(question)

    def find(self, line: Mapping[str, Any]) -> tuple[str | None, str]:
        """Return the id of a line's question, or None and the reason."""
        same_id = self._by_id.get(line["id"])
        if line["question"] is None:
            return (None, "no question with this id") if same_id is None else (same_id["id"], "")
        wanted = [
            question
            for question in self._by_text[one_line(line["question"])]
            if line["class"] in (None, question["question_class"])
            and line["context"] in (None, list(map(one_line, question["context"])))
        ]
        if same_id in wanted:
            return line["id"], ""
        if len(wanted) == 1:
            return wanted[0]["id"], ""
        return None, "several such questions" if wanted else "no such question"


def _line(record: Any) -> tuple[dict[str, Any], str]:
    """Return a record's fields under their names here, and what is wrong with it, if anything."""
    if not isinstance(record, dict):
        return {}, "not an object"
    names = ("id", "question", "class", "context", *_TEXTS)
    line = {name: record.get(name, record.get(_NAMES.get(name, ""))) for name in names}
    for name, value in line.items():
        listed = name == "context" and isinstance(value, list)
        try:
            fields.texts([] if value is None else value if listed else [value], name)
        except fields.RejectedError:
            return {}, f"{name}: not text"
    if isinstance(line["context"], str):
        line["context"] = line["context"].split("\n")
    if line["context"] is not None:
        line["context"] = list(filter(None, map(one_line, line["context"])))
    if not any((line[kind] or "").strip() for kind in KINDS):
        return {}, "no trace"
    return line, ""


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


def _records(place: Path) -> Iterator[tuple[str, Any]]:
    for path in _files(place):
        yield from rawfiles.json_records(path)


def _files(place: Path) -> list[Path]:
    if place.is_file():
        return [place]
    return [path for path in sorted(place.rglob("*")) if path.is_file()]


def _hash(place: Path) -> str:
    folder = place.parent if place.is_file() else place
    return combined_hash(hash_files(folder, _files(place)))
