r"""bAbI QA v1.2: stories of numbered statements, with questions in between.

Format (https://research.facebook.com/downloads/babi/): `ID text` is a statement,
`ID question \t answer \t support IDs` a question. IDs count the lines of a story from 1, question
lines too, so a support ID is a line, not the ordinal of a statement. The context of a question is
all statements of its story before it. Several answers are joined by commas; in task 19 they are the
steps of a path, of which the order counts, and so make one answer: "n,w".
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import Field

from tracekd.config import DISTINCT, HubDataset, Settings, parse_settings
from tracekd.datasets import Loaded, Rejection, most_frequent, rawfiles, sources
from tracekd.datasets.fields import RejectedError, is_blank
from tracekd.datasets.rawfiles import text_lines
from tracekd.errors import TracekdError

#: Task number -> name, as in the names of the upstream files.
_NAMES = (
    "single-supporting-fact two-supporting-facts three-supporting-facts two-arg-relations "
    "three-arg-relations yes-no-questions counting lists-sets simple-negation "
    "indefinite-knowledge basic-coreference conjunction compound-coreference time-reasoning "
    "basic-deduction basic-induction positional-reasoning size-reasoning path-finding "
    "agents-motivations"
)
TASKS = dict(enumerate(_NAMES.split(), 1))
_PATH_FINDING = 19
_OPTIONS = "datasets.yaml: options of the reader babi"
_RELEASE = "tasks_1-20_v1-2"
#: Folders of the release. Only `en` and `en-10k` can be read: `en-valid` names its files otherwise.
_VARIANTS = {
    f"{name}{size}" for name in ("en", "en-valid", "hn", "shuffled") for size in ("", "-10k")
}
_LINE = re.compile(r"([0-9]{1,9}) (.*)")
_SUPPORT_ID = re.compile(r"[0-9]{1,9}")


class BabiOptions(Settings):
    """Options of the reader.

    Attributes:
        variant: `en` has 1,000 training questions per task, `en-10k` 10,000.
        tasks: numbers of the tasks to read; by default the paper's eleven.
    """

    variant: Literal["en", "en-10k"] = "en"
    tasks: Annotated[list[Annotated[int, Field(ge=1, le=20)]], DISTINCT] = Field(
        default=[1, 2, 4, 7, 8, 12, 14, 15, 16, 17, 18], min_length=1
    )


class AskedQuestion(NamedTuple):
    """The line of a question, and the statements of its story before it.

    Attributes:
        number: of the line, from 1.
        fact_of_line: line ID -> index into `facts`.
    """

    number: int
    text: str
    answer: str
    support: str
    facts: list[str]
    fact_of_line: Mapping[int, int]


def raw_files(folder: Path, options: dict[str, Any]) -> list[Path]:
    """Return the files of all tasks of the chosen variant: a pin does not depend on `tasks`."""
    home = _variant_folder(folder, _options(options).variant)
    return rawfiles.files(home, "qa*_train.txt") + rawfiles.files(home, "qa*_test.txt")


def read(folder: Path, options: dict[str, Any]) -> Loaded:
    """Read the upstream text files of `tasks_1-20_v1-2`, its parent, or a variant's folder.

    Raises:
        TracekdError: if a file is absent or its lines are not bAbI's.
    """
    chosen = _options(options)
    home = _variant_folder(folder, chosen.variant)

    def lines(number: int, split: str) -> tuple[str, Iterable[str]]:
        path = _task_file(home, number, split)
        return f"{home.name}/{path.name}", text_lines(path)

    return _load(chosen.tasks, lines)


def read_hub(hub: HubDataset, options: dict[str, Any]) -> Loaded:
    """Read the parquet conversion on the hub: one row is one story, in the order of the files."""
    chosen = _options(options)
    names = {
        (number, split): f"{chosen.variant}-qa{number}/{split}"
        for split in ("train", "test")
        for number in chosen.tasks
    }
    folder = sources.hub_folder(hub, [f"{name}/*.parquet" for name in names.values()])

    def lines(number: int, split: str) -> tuple[str, Iterable[str]]:
        name = names[number, split]
        files = rawfiles.files(folder, f"{name}/*.parquet")
        rows = (row for path in files for _, row in rawfiles.parquet_records(path))
        return name, _hub_lines(name, rows)

    return _load(chosen.tasks, lines)


def _options(options: dict[str, Any]) -> BabiOptions:
    return parse_settings(BabiOptions, options, _OPTIONS)


def _variant_folder(folder: Path, variant: str) -> Path:
    candidates = [folder / _RELEASE / variant, folder / variant]
    if folder.resolve().name not in _VARIANTS - {variant}:
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


def _hub_lines(name: str, rows: Iterable[dict[str, Any]]) -> Iterator[str]:
    """Yield the lines of the upstream file from which the hub's rows were made."""
    for ordinal, row in enumerate(rows, 1):
        try:
            columns = [
                row["story"][key] for key in ("id", "type", "text", "answer", "supporting_ids")
            ]
            for line_id, kind, text, answer, support in zip(*columns, strict=True):
                parts = [text, answer, " ".join(support)] if kind else [text]
                yield f"{line_id} " + "\t".join(parts)
        except (KeyError, TypeError, ValueError) as error:
            raise TracekdError(
                f"{name}: row {ordinal}: story: expected the lists id, type, text, answer and "
                f"supporting_ids of one length, as in bAbI's parquet conversion ({error}); choose "
                "another revision"
            ) from error


def _load(
    tasks: Iterable[int], lines_of: Callable[[int, str], tuple[str, Iterable[str]]]
) -> Loaded:
    """Return the questions of tasks; `lines_of` names and reads a task's lines of a split."""
    rejected: list[Rejection] = []
    splits: dict[str, list[dict[str, Any]]] = {}
    for split in ("train", "test"):
        rows: list[dict[str, Any]] = []
        for number in tasks:
            name, lines = lines_of(number, split)
            before, rejected_before = len(rows), len(rejected)
            for asked in _questions(name, lines):
                source = f"{name}:{asked.number}"
                try:
                    row = _question(asked, is_path=number == _PATH_FINDING)
                except RejectedError as reason:
                    rejected.append(Rejection(source, str(reason)))
                    continue
                key = f"babi/{split}/qa{number}:{asked.number}"
                rows.append({"id": key, "question_class": TASKS[number], "source": source, **row})
            if len(rows) == before:
                raise TracekdError(
                    f"{name}: no question of the class {TASKS[number]}"
                    f"{most_frequent(rejected[rejected_before:])}; fetch the file again"
                )
        splits[split] = rows
    return Loaded.of("babi", splits, rejected)


def _questions(place: str, lines: Iterable[str]) -> Iterator[AskedQuestion]:
    """Yield the questions among the lines of a file."""
    facts: list[str] = []
    fact_of_line: dict[int, int] = {}
    last = 0
    for number, line in enumerate(lines, 1):
        statement, *rest = line.split("\t")
        match = _LINE.fullmatch(statement)
        if not match or len(rest) not in (0, 2):
            raise TracekdError(
                f"{place}:{number}: not a bAbI line: {line[:80]!r}; expected `ID text` or "
                "`ID question<TAB>answer<TAB>support IDs`"
            )
        line_id, text = int(match[1]), match[2].strip()
        if line_id == 1:
            facts, fact_of_line = [], {}
        elif line_id != last + 1:
            raise TracekdError(
                f"{place}:{number}: line ID {line_id} follows {last}; lines are missing: fetch the "
                "file again"
            )
        last = line_id
        if rest:
            answer, support = rest
            yield AskedQuestion(number, text, answer, support, facts, fact_of_line)
        else:
            fact_of_line[line_id] = len(facts)
            facts.append(text)


def _question(asked: AskedQuestion, *, is_path: bool) -> dict[str, Any]:
    items = [item.strip() for item in asked.answer.split(",")]
    if any(map(is_blank, items)):
        raise RejectedError("the answer is empty or has an empty item")
    if is_blank(asked.text):
        raise RejectedError("the question is blank")
    if not asked.facts:
        raise RejectedError("a context without facts")
    if any(map(is_blank, asked.facts)):
        raise RejectedError("the context has a blank statement")
    ids = asked.support.split()
    if not ids:
        raise RejectedError("no support ID")
    gold = [asked.fact_of_line.get(int(i)) if _SUPPORT_ID.fullmatch(i) else None for i in ids]
    if None in gold:
        raise RejectedError("a support ID does not point to a statement before the question")
    return {
        "question": asked.text,
        "context": list(asked.facts),
        "answers": [asked.answer] if is_path else items,
        "subtype": None,
        "gold_facts": list(dict.fromkeys(gold)),
    }
