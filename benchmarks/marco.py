"""The data stages on as many questions as MS MARCO v2.1 has: seconds and peak memory of each.

Generates files in the published form, one object of columns, or as JSON lines: ten passages of
about 57 invented words a question, word frequencies by Zipf's law, a quarter of the passages with
characters beyond ASCII, two fifths of the questions unanswerable.
"""

import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import typer
import yaml

ROOT = Path(__file__).resolve().parents[1]
STAGES = ("prepare", "decompose", "teach", "build_sft")
_TYPES, _SHARES = ("DESCRIPTION", "NUMERIC", "ENTITY", "LOCATION", "PERSON"), (53, 24, 10, 8, 5)
_SYLLABLES = [head + tail for head in "bcdfghlmnprstvw" for tail in ("a", "ea", "i", "o")]
_VOCABULARY, _PASSAGES, _CHUNK = 100_000, 10, 1000


def main(
    questions: Annotated[int, typer.Option(help="Training questions; v2.1 has 808,731.")] = 808_731,
    chosen: Annotated[int, typer.Option(help="Questions that prepare chooses.")] = 6000,
    layout: Annotated[
        Literal["columns", "lines"], typer.Option(help="As published, or JSON lines.")
    ] = "columns",
    scratch: Annotated[
        Path | None, typer.Option(help="Where to generate; 5 GB by default, 9 GB for a while.")
    ] = None,
) -> None:
    """Generate MS MARCO, and run the data stages on it.

    An eighth as many dev questions, the test split, come on top. Prints, last, one JSON line.
    """
    with tempfile.TemporaryDirectory(dir=scratch) as name:
        place = Path(name)
        write = write_columns if layout == "columns" else write_lines
        (place / "raw").mkdir()
        write(questions, place / "raw/train_v2.1.json")
        write(max(50, questions // 8), place / "raw/dev_v2.1.json")
        size = sum(path.stat().st_size for path in (place / "raw").iterdir())
        params = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
        part = max(1, chosen // 12)
        params["prepare"] = {"train": chosen - 2 * part, "validation": part, "test": part}
        params |= {"dataset": "marco", "sample_size": None}
        (place / "params.yaml").write_text(yaml.safe_dump(params), encoding="utf-8")
        for file in ("datasets.yaml", "models.yaml", "teachers.yaml"):
            shutil.copy(ROOT / file, place)
        results = {"pin": timed(place, "prepare", "--pin", "marco", "--path", "raw")}
        for stage in STAGES:
            results[stage] = timed(place, stage)
            print(f"{stage:12}{results[stage]['seconds']:8.1f} s", end="")
            print(f"{results[stage]['peak_gib']:8.2f} GiB")
    options = {"questions": questions, "chosen": chosen, "layout": layout}
    found = {"settings": options, "raw_bytes": size, "results": results}
    processor = platform.processor() or platform.machine()
    print(json.dumps({"benchmark": "marco", "processor": processor, **found}))


def timed(place: Path, stage: str, *options: str) -> dict[str, float]:
    """Return the seconds and the peak memory of a stage's process."""
    command = [sys.executable, str(ROOT / f"stages/{stage}.py"), *options]
    started = time.perf_counter()
    process = subprocess.Popen(command, cwd=place, stdout=sys.stderr)
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        sys.exit(f"{' '.join(command)} failed")
    unit = 2**30 if sys.platform == "darwin" else 2**20  # ru_maxrss: bytes there, KiB elsewhere
    seconds = round(time.perf_counter() - started, 2)
    return {"seconds": seconds, "peak_gib": round(usage.ru_maxrss / unit, 2)}


def write_columns(count: int, path: Path) -> None:
    """Write records as one object of columns; the file's name decides which."""
    with ExitStack() as stack, path.open("wb") as whole:
        columns: dict[str, Any] = {}
        for number, record in enumerate(records(count, path.name)):
            for name, value in record.items():
                if name not in columns:
                    columns[name] = stack.enter_context(tempfile.TemporaryFile(dir=path.parent))
                comma = ", " if number else ""
                columns[name].write(f'{comma}"{number}": {json.dumps(value)}'.encode())
        for number, (name, column) in enumerate(columns.items()):
            whole.write(f'{", " if number else "{"}"{name}": {{'.encode())
            column.seek(0)
            shutil.copyfileobj(column, whole, 1 << 20)
            whole.write(b"}")
        whole.write(b"}")


def write_lines(count: int, path: Path) -> None:
    """Write records one a line."""
    with path.open("w", encoding="utf-8") as out:
        for record in records(count, path.name):
            out.write(json.dumps(record) + "\n")


def records(count: int, name: str) -> Iterator[dict[str, Any]]:
    """Yield `count` records; those of two names differ."""
    random = np.random.default_rng([*name.encode()])
    words = np.array([_word(rank) for rank in range(_VOCABULARY)], dtype=object)
    for first in range(0, count, _CHUNK):
        size = min(_CHUNK, count - first)
        ends = random.integers(30, 84, size * _PASSAGES).cumsum()
        # The inverse of Zipf's distribution with exponent 1: rank = V ** u.
        drawn = words[(_VOCABULARY ** random.random(int(ends[-1]))).astype(int) - 1].tolist()
        bounds = zip([0, *ends[:-1].tolist()], ends.tolist(), strict=True)
        passages = [drawn[start:end] for start, end in bounds]
        types = random.choice(_TYPES, size, p=np.array(_SHARES) / 100).tolist()
        for row, selected in enumerate(random.integers(-6, _PASSAGES, size).tolist()):
            texts = passages[row * _PASSAGES : (row + 1) * _PASSAGES]
            source = texts[max(0, selected)]
            for text in texts[:: 4 if row % 2 else 5]:
                text[0] = f"\u201c{text[0].capitalize()}\u201d"
            yield {
                "answers": [" ".join(source[5:17])] if selected >= 0 else ["No Answer Present."],
                "passages": {
                    "is_selected": [int(place == selected) for place in range(_PASSAGES)],
                    "passage_text": [" ".join(text) + "." for text in texts],
                    "url": [f"https://example.org/{first + row}/{n}" for n in range(_PASSAGES)],
                },
                "query": f"what is {' '.join(source[5:8])}",
                "query_id": 1_000_000 + first + row,
                "query_type": types[row],
                "wellFormedAnswers": "[]",
            }


def _word(rank: int) -> str:
    number, text = rank + 1, ""
    while number:
        number, digit = divmod(number, len(_SYLLABLES))
        text += _SYLLABLES[digit]
    return text


if __name__ == "__main__":
    typer.run(main)
