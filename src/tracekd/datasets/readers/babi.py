r"""bAbI QA v1.2: stories of numbered statements, with questions in between.

Format (https://research.facebook.com/downloads/babi/): `ID text` is a statement,
`ID question \t answer \t support IDs` a question. IDs count the lines of a story from 1, question
lines too, so a support ID is a line, not the ordinal of a statement. The context of a question is
all statements of its story before it. Several answers are joined by commas; their order and their
repetition ("n,n" as a path) are part of the answer.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

import polars as pl

from tracekd.config import HubDataset, Settings, parse_settings
from tracekd.datasets import Loaded, Rejection, Wanted, most_frequent, rawfiles, sources, table
from tracekd.datasets.babi_stories import Line, Task, question, questions
from tracekd.datasets.fields import RejectedError
from tracekd.datasets.rawtext import text_lines
from tracekd.errors import TracekdError

#: Task number -> name, as in the names of the upstream files.
TASKS = {
    1: "single-supporting-fact",
    2: "two-supporting-facts",
    3: "three-supporting-facts",
    4: "two-arg-relations",
    5: "three-arg-relations",
    6: "yes-no-questions",
    7: "counting",
    8: "lists-sets",
    9: "simple-negation",
    10: "indefinite-knowledge",
    11: "basic-coreference",
    12: "conjunction",
    13: "compound-coreference",
    14: "time-reasoning",
    15: "basic-deduction",
    16: "basic-induction",
    17: "positional-reasoning",
    18: "size-reasoning",
    19: "path-finding",
    20: "agents-motivations",
}
#: The paper's eleven tasks.
PAPER_TASKS = (1, 2, 4, 7, 8, 12, 14, 15, 16, 17, 18)
_OPTIONS = "datasets.yaml: options of the reader babi"
_VARIANTS = ("en", "en-10k")
_RELEASE = "tasks_1-20_v1-2"
_LINE = re.compile(r"([0-9]{1,9}) (.*)")


class BabiOptions(Settings):
    """Options of the reader.

    Attributes:
        variant: `en` has 1,000 training questions a task, `en-10k` 10,000.
        tasks: numbers of the tasks to read.
    """

    variant: Literal["en", "en-10k"] = "en"
    tasks: tuple[int, ...] = PAPER_TASKS


def raw_files(folder: Path, options: dict[str, Any]) -> list[Path]:
    """Return the files of all tasks of the chosen variant, so that a pin outlives `tasks`."""
    home = _variant_folder(folder, _options(options).variant)
    return rawfiles.files(home, "qa*_train.txt") + rawfiles.files(home, "qa*_test.txt")


def read(folder: Path | None, options: dict[str, Any], wanted: Wanted) -> Loaded:  # noqa: ARG001
    """Read the upstream text files.

    Args:
        folder: `tasks_1-20_v1-2`, its parent, or the folder of the variant.
        options: see `BabiOptions`.
        wanted: ignored; all questions are returned.

    Raises:
        TracekdError: if a file is absent or its lines are not bAbI's.
    """
    chosen = _options(options)
    home = _variant_folder(rawfiles.existing_folder(folder, "babi"), chosen.variant)
    return _load({split: _tasks(home, chosen.tasks, split) for split in ("train", "test")})


def read_hub(hub: HubDataset, options: dict[str, Any]) -> Loaded:
    """Read the parquet conversion on the hub: one row is one story, in the order of the files."""
    chosen = _options(options)
    return _load({split: _hub_tasks(hub, chosen, split) for split in ("train", "test")})


def file_name(path: Path) -> str:
    """Return how a source names the file: with its variant's folder."""
    return f"{path.parent.name}/{path.name}"


def question_class(path: Path) -> str:
    """Return the task's name as the file name has it.

    >>> question_class(Path("qa7_counting_test.txt"))
    'counting'
    """
    return path.stem.split("_")[1]


def _options(options: dict[str, Any]) -> BabiOptions:
    chosen = parse_settings(BabiOptions, options, _OPTIONS)
    if unknown := [n for n in chosen.tasks if n not in TASKS]:
        raise TracekdError(f"{_OPTIONS}: tasks: no task {unknown[0]}; tasks are 1 to 20")
    if not chosen.tasks or len(set(chosen.tasks)) < len(chosen.tasks):
        raise TracekdError(
            f"{_OPTIONS}: tasks: found {list(chosen.tasks)}; needs at least one task and none twice"
        )
    return chosen


def _variant_folder(folder: Path, variant: str) -> Path:
    candidates = [folder / _RELEASE / variant, folder / variant]
    if folder.resolve().name not in {*_VARIANTS} - {variant}:
        candidates.append(folder)
    for candidate in candidates:
        if rawfiles.files(candidate, "qa*_*.txt"):
            return candidate
    raise TracekdError(
        f"{folder}: no bAbI files of the variant {variant}; looked for qa*_*.txt in "
        f"{', '.join(map(str, candidates))}"
    )


def _task_file(home: Path, number: int, split: str) -> Path:
    found = rawfiles.files(home, f"qa{number}_*_{split}.txt")
    if len(found) != 1:
        names = ", ".join(path.name for path in found) or "none"
        raise TracekdError(
            f"{home}: expected one file qa{number}_{TASKS[number]}_{split}.txt, found: {names}"
        )
    return found[0]


def _tasks(home: Path, numbers: Iterable[int], split: str) -> Iterator[Task]:
    for number in numbers:
        path = _task_file(home, number, split)
        yield Task(file_name(path), question_class(path), number, _file_lines(path))


def _hub_tasks(hub: HubDataset, chosen: BabiOptions, split: str) -> Iterator[Task]:
    folders = {f"qa{number}": f"{chosen.variant}-qa{number}/{split}" for number in chosen.tasks}
    patterns = {key: f"{folder}/*.parquet" for key, folder in folders.items()}
    rows = sources.parquet_rows(hub, patterns)
    for number, (key, folder) in zip(chosen.tasks, folders.items(), strict=True):
        yield Task(folder, TASKS[number], number, _hub_lines(folder, rows[key]))


def _file_lines(path: Path) -> Iterator[Line]:
    for number, line in enumerate(text_lines(path), 1):
        text, *rest = line.split("\t")
        match = _LINE.fullmatch(text)
        if not match or len(rest) not in (0, 2):
            raise TracekdError(
                f"{path}:{number}: not a bAbI line: {line[:80]!r}; expected `ID text` or "
                "`ID question<TAB>answer<TAB>support IDs`"
            )
        answer, support = rest or (None, None)
        yield Line(number, int(match[1]), match[2].strip(), answer, support)


def _hub_lines(name: str, rows: Iterable[dict[str, Any]]) -> Iterator[Line]:
    number = 0
    for ordinal, row in enumerate(rows, 1):
        try:
            lines = list(_story_lines(row["story"], number))
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise TracekdError(
                f"{name}: row {ordinal}: story: not the lists id, type, text, answer and "
                f"supporting_ids of one length that bAbI's parquet conversion has ({error})"
            ) from error
        number += len(lines)
        yield from lines


def _story_lines(story: Mapping[str, Any], number: int) -> Iterator[Line]:
    """Give the lines of a story that follow the line `number` of the task."""
    columns = [story[name] for name in ("id", "type", "text", "answer", "supporting_ids")]
    for place, (line_id, kind, text, answer, support) in enumerate(
        zip(*columns, strict=True), number + 1
    ):
        if kind not in (0, 1) or (kind == 1 and not isinstance(answer, str)):
            raise ValueError(f"line id {line_id}: type {kind!r} with the answer {answer!r}")
        if kind == 1:
            yield Line(place, int(line_id), text.strip(), answer, " ".join(support))
        else:
            yield Line(place, int(line_id), text.strip())


def _load(tasks: dict[str, Iterator[Task]]) -> Loaded:
    rejected: list[Rejection] = []
    splits = {split: _split(split, files, rejected) for split, files in tasks.items()}
    return Loaded(splits=splits, rejected=rejected)


def _split(split: str, tasks: Iterator[Task], rejected: list[Rejection]) -> pl.DataFrame:
    rows: list[dict[str, Any]] = []
    for task in tasks:
        before, refused = len(rows), len(rejected)
        for line, story in questions(task):
            source = f"{task.name}:{line.number}"
            try:
                row = question(line, story)
            except RejectedError as reason:
                rejected.append(Rejection(source, str(reason)))
                continue
            key = f"babi/{split}/qa{task.number}:{line.number}"
            rows.append({"id": key, "question_class": task.label, "source": source, **row})
        if len(rows) == before:
            raise TracekdError(
                f"{task.name}: zero questions of the class {task.label}"
                f"{most_frequent(rejected[refused:])}; fetch the file again"
            )
    return table(rows)
