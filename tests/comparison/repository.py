"""Experiments as DVC leaves them, written straight into git and the cache."""

import hashlib
import json
import subprocess
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import polars as pl
import yaml

from tracekd import records
from tracekd.comparison.experiments import Experiment
from tracekd.comparison.locks import Run, read_lock

PARAMS = {
    "model": "small",
    "dataset": "worlds",
    "trace_mode": "correct",
    "corruption": 0.5,
    "seed": 0,
    "data_seed": 0,
    "train": {"epochs": 2},
}
#: Which stage's lock records which parameter.
STAGES = {
    "prepare": ("dataset", "data_seed"),
    "build-sft": ("trace_mode", "corruption", "seed"),
    "train": ("model", "seed", "train"),
    "analyze": ("model", "dataset", "trace_mode", "corruption", "seed"),
}


def scores(
    answers: Iterable[bool],
    traces: Iterable[bool] | None = None,
    classes: Iterable[str] | None = None,
) -> pl.DataFrame:
    """A table of scores for these verdicts; without traces, of a regime that teaches no step."""
    answers = list(answers)
    n = len(answers)
    verdicts = list(traces) if traces is not None else None
    some = {
        "class_correct": verdicts,
        "facts_precision": verdicts and [float(verdict) for verdict in verdicts],
        "facts_recall": verdicts and [float(verdict) for verdict in verdicts],
        "facts_f1": verdicts and [float(verdict) for verdict in verdicts],
        "facts_exact": verdicts,
        "trace_correct": verdicts,
    }
    columns: dict[str, Any] = {
        "id": [f"worlds/test/{index:04}" for index in range(n)],
        "question_class": list(classes) if classes is not None else ["where"] * n,
        "parse_status": ["strict"] * n,
        "finish_reason": ["stop"] * n,
        "completion_tokens": [9] * n,
        "answer_correct": answers,
        "trace_tokens": [4.0] * n,
        **{name: values or [None] * n for name, values in some.items()},
    }
    rest = {name: [None] * n for name in records.SCORES if name not in columns}
    return pl.DataFrame({**columns, **rest}, schema_overrides=dict(records.SCORES)).select(
        list(records.SCORES)
    )


def lock(
    params: Mapping[str, Any],
    md5: str,
    questions: str = "q" * 32,
    code: str = "c1",
    card: str = "",
    train_entry: Mapping[str, Any] | None = None,
) -> str:
    """A dvc.lock of a whole run with these parameters, entries of other files and scores."""
    stages: dict[str, Any] = {
        name: {
            "cmd": f"python stages/{name}.py",
            "deps": [{"path": f"stages/{name}.py", "hash": "md5", "md5": code, "size": 1}],
            "params": {"params.yaml": {key: params[key] for key in keys}},
            "outs": [{"path": f"out/{name}", "md5": f"{name}-{params['seed']}"}],
        }
        for name, keys in STAGES.items()
    }
    stages["analyze"]["deps"] += [
        {"path": "out/train", "md5": f"train-{params['seed']}"},
        {"path": "data/decomposed/test.parquet", "md5": questions},
    ]
    stages["analyze"]["outs"] = [{"path": "data/scores.parquet", "md5": md5}]
    stages["analyze"]["outs"] += [{"path": "metrics/run.json", "md5": card}] if card else []
    stages["train"]["params"].update(train_entry or {})
    return yaml.safe_dump({"schema": "2.0", "stages": stages}, sort_keys=False)


def experiment(
    name: str, *, time: int = 0, questions: str = "q" * 32, **changes: Any
) -> Experiment:
    """An experiment whose scores are not needed; a later one has a greater time."""
    run = read_lock(lock({**PARAMS, **changes}, "0" * 32, questions))
    assert isinstance(run, Run)
    return Experiment(name, time, run)


@dataclass
class Repository:
    """A DVC project in a temporary git repository, with a cache.

    Experiments are collected and written all at once by `save`.
    """

    path: Path
    _stream: list[str] = field(default_factory=list)
    _time: int = 1_700_000_000

    def __post_init__(self) -> None:
        self.git("init", "-q", "-b", "main")
        (self.path / ".dvc").mkdir()
        (self.path / ".dvc/config").touch()
        self._commit("refs/heads/main", {"params.yaml": yaml.safe_dump(PARAMS)})

    @property
    def cache(self) -> Path:
        return self.path / ".dvc" / "cache"

    def git(self, *arguments: str, stdin: str | None = None) -> str:
        return subprocess.run(
            ["git", *arguments],
            cwd=self.path,
            input=stdin,
            check=True,
            capture_output=True,
            text=True,
        ).stdout

    def keep(self, table: pl.DataFrame) -> str:
        """Put a table into the cache; return its address."""
        scratch = self.path / "scratch.parquet"
        records.write(table, scratch, records.SCORES, extra=True)
        content = scratch.read_bytes()
        scratch.unlink()
        return self._put(content)

    def _put(self, content: bytes) -> str:
        md5 = hashlib.md5(content, usedforsecurity=False).hexdigest()
        target = self.cache / "files" / "md5" / md5[:2] / md5[2:]
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)
        return md5

    def experiment(
        self, name: str, table: pl.DataFrame | str, *, text: str | None = None, **changes: Any
    ) -> None:
        """Add a successful experiment.

        Args:
            name: what DVC would call it.
            table: its scores, or their address where they are not in the cache.
            text: its dvc.lock, if not that of a whole run.
            changes: parameters; `questions`, `code` and `train_entry` for the lock; and `card`,
                the content of its run card.
        """
        self._commit(f"refs/exps/ab/{'0' * 38}/{name}", self._files(table, text, changes))

    def commit(self, table: pl.DataFrame | str, **changes: Any) -> None:
        """Add a run committed to the branch."""
        self._commit("refs/heads/main", self._files(table, None, changes))

    def failed(self, name: str) -> None:
        """Add what DVC keeps of queued and failed experiments."""
        self._commit(f"refs/exps/celery/{name}", {"dvc.lock": "stages: {}\n"})
        self._commit(f"refs/exps/exec/{name}", {"dvc.lock": "stages: {}\n"})

    def save(self) -> "Repository":
        """Write everything that was added."""
        self.git("fast-import", "--quiet", stdin="".join(self._stream))
        self._stream.clear()
        return self

    def _files(
        self, table: pl.DataFrame | str, text: str | None, changes: dict[str, Any]
    ) -> dict[str, str]:
        names = ("questions", "code", "train_entry", "card")
        extra = {key: changes.pop(key) for key in names if key in changes}
        if "card" in extra:
            extra["card"] = self._put(json.dumps(extra["card"]).encode())
        params = {**PARAMS, **changes}
        md5 = table if isinstance(table, str) else self.keep(table)
        return {
            "params.yaml": yaml.safe_dump(params),
            "dvc.lock": lock(params, md5, **extra) if text is None else text,
        }

    def _commit(self, ref: str, files: Mapping[str, str]) -> None:
        self._time += 60
        self._stream.append(
            f"commit {ref}\ncommitter T <t@example.org> {self._time} +0000\n{_data('made')}"
        )
        for name, content in files.items():
            self._stream.append(f"M 100644 inline {name}\n{_data(content)}")


def _data(text: str) -> str:
    return f"data {len(text.encode())}\n{text}\n"
