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
GONE = "0" * 32


def scores(
    answers: Iterable[bool], traces: list[bool] | None = None, classes: Iterable[str] | None = None
) -> pl.DataFrame:
    """A table of scores for these verdicts; without traces, of a regime that teaches no step."""
    answers = list(answers)
    n = len(answers)
    nothing: list[None] = [None] * n
    columns: dict[str, Any] = {
        **dict.fromkeys(records.SCORES, nothing),
        **dict.fromkeys(("class_correct", "facts_exact", "trace_correct"), traces or nothing),
        "facts_f1": (traces and [float(verdict) for verdict in traces]) or nothing,
        "id": [f"worlds/test/{index:04}" for index in range(n)],
        "question_class": list(classes) if classes is not None else ["where"] * n,
        "parse_status": ["strict"] * n,
        "finish_reason": ["stop"] * n,
        "completion_tokens": [9] * n,
        "trace_tokens": [4.0] * n,
        "answer_correct": answers,
    }
    return pl.DataFrame(columns, schema=dict(records.SCORES))


def lock(
    scores_md5: str = GONE,
    *,
    questions: str = "q" * 32,
    code: str = "c1",
    card: str = "",
    entry: Mapping[str, Any] | None = None,
    **params: Any,
) -> str:
    """A dvc.lock of a whole run with these parameters, and entries of other settings files."""
    params = {**PARAMS, **params}
    outs = [{"path": "data/scores.parquet", "md5": scores_md5}]
    outs += [{"path": "metrics/run.json", "md5": card}] if card else []
    shared = {name: params[name] for name in ("model", "seed")}
    stages = {
        "train": {
            "deps": [{"path": "stages/train.py", "md5": code}],
            "params": {"params.yaml": params, **(entry or {})},
            "outs": [{"path": "models/student", "md5": "student"}],
        },
        "analyze": {
            "deps": [
                {"path": "models/student", "md5": "student"},
                {"path": "data/decomposed/test.parquet", "md5": questions},
            ],
            "params": {"params.yaml": shared},
            "outs": outs,
        },
    }
    return yaml.safe_dump({"schema": "2.0", "stages": stages}, sort_keys=False)


def experiment(name: str, time: int = 0, **options: Any) -> Experiment:
    """An experiment whose scores are not needed; options are those of `lock`."""
    run = read_lock(lock(**options))
    assert isinstance(run, Run)
    return Experiment(name, time, run)


@dataclass
class Repository:
    """A DVC project in a new git repository; what is added is written by `save`."""

    path: Path
    _stream: list[str] = field(default_factory=list)
    _time: int = 1_700_000_000

    def __post_init__(self) -> None:
        self._git("init", "-q", "-b", "main")
        (self.path / ".dvc").mkdir()
        (self.path / ".dvc/config").touch()
        self._commit("refs/heads/main", "params.yaml", yaml.safe_dump(PARAMS))

    @property
    def cache(self) -> Path:
        return self.path / ".dvc" / "cache"

    def experiment(self, name: str, table: pl.DataFrame | str, **options: Any) -> None:
        """Add a successful experiment.

        Args:
            name: what DVC would call it.
            table: its scores, or their MD5 where they are not in the cache.
            options: of `lock`, but `card` is the content of the run card.
        """
        if "card" in options:
            options["card"] = self._put(json.dumps(options["card"]).encode())
        md5 = table if isinstance(table, str) else self.keep(table)
        self.add(f"ab/{'0' * 38}/{name}", lock(md5, **options))

    def add(self, experiment_ref: str, text: str) -> None:
        """Add a commit with this dvc.lock under refs/exps."""
        self._commit(f"refs/exps/{experiment_ref}", "dvc.lock", text)

    def commit(self, table: pl.DataFrame, **options: Any) -> None:
        """Add a run committed to the branch."""
        self._commit("refs/heads/main", "dvc.lock", lock(self.keep(table), **options))

    def save(self) -> "Repository":
        self._git("fast-import", "--quiet", stdin="".join(self._stream))
        self._stream.clear()
        return self

    def keep(self, table: pl.DataFrame) -> str:
        """Put a table into the cache; return its MD5."""
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

    def _git(self, *arguments: str, stdin: str | None = None) -> None:
        command = ["git", *arguments]
        subprocess.run(command, cwd=self.path, input=stdin, check=True, text=True)

    def _commit(self, ref: str, name: str, content: str) -> None:
        self._time += 60
        who = f"committer T <t@example.org> {self._time} +0000"
        self._stream.append(f"commit {ref}\n{who}\ndata 4\nmade\n")
        self._stream.append(f"M 100644 inline {name}\ndata {len(content.encode())}\n{content}\n")
