"""Experiments as DVC leaves them, written straight into git and the cache."""

import hashlib
import json
import subprocess
from collections import namedtuple
from dataclasses import dataclass, field
from pathlib import Path

import polars as pl
import yaml

from tracekd import records
from tracekd.comparison import report
from tracekd.comparison.effects import BASELINES
from tracekd.comparison.experiments import Experiment, collect
from tracekd.comparison.locks import read_lock
from tracekd.comparison.results import compare
from tracekd.comparison.store import Store

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


def scores(answers, traces=None, classes=None):
    """A table of scores for these verdicts; without traces, of a regime that teaches no step."""
    counts = {"completion_tokens": 9, "trace_tokens": 4.0}
    shared = {"parse_status": "strict", "finish_reason": "stop", "question_class": "where"}
    rows = []
    for number, answer in enumerate(answers):
        row = {"id": f"worlds/test/{number:04}", "answer_correct": answer, **counts, **shared}
        if traces:
            row |= dict.fromkeys(("class_correct", "facts_exact", "trace_correct"), traces[number])
            row["facts_f1"] = float(traces[number])
        rows.append(row | ({"question_class": classes[number]} if classes else {}))
    return pl.DataFrame(rows, schema=dict(records.SCORES))


def predictions(texts):
    """A table of predictions with these texts."""
    shared = {"sample": 0, "finish_reason": "stop", "prompt_tokens": 9, "completion_tokens": 5}
    rows = [{"id": f"worlds/test/{at:04}", "text": text, **shared} for at, text in enumerate(texts)]
    return pl.DataFrame(rows, schema=dict(records.PREDICTIONS))


def questions(classes, split="test"):
    """A table of questions of these classes."""
    texts = {"question": "Where is Al?", "context": ["Al went out.", "Di ate."], "answers": ["out"]}
    shared = {**texts, "gold_facts": [0], "source": "worlds:1", "answer_in_facts": True}
    rows = [
        {"id": f"worlds/{split}/{at:04}", "question_class": name, **shared}
        for at, name in enumerate(classes)
    ]
    return pl.DataFrame(rows, schema=dict(records.DECOMPOSED))


def lock(
    scores_md5=GONE,
    *,
    questions="q" * 32,
    code="c1",
    card="",
    details="",
    student="student",
    entry=None,
    files=None,
    **params,
):
    """A dvc.lock of a whole run with these parameters, and entries of other settings files.

    `files` are further ones, path -> MD5.
    """
    params = {**PARAMS, **params}
    student = {"path": "models/student", "md5": student}
    asked = {"path": "data/decomposed/test.parquet", "md5": questions}
    outs = [{"path": "data/scores.parquet", "md5": scores_md5}]
    outs += [{"path": "metrics/run.json", "md5": card}] if card else []
    outs += [{"path": "metrics/details.json", "md5": details}] if details else []
    outs += [{"path": path, "md5": md5} for path, md5 in (files or {}).items()]
    shared = {name: params[name] for name in ("model", "seed")}
    train = {
        "deps": [{"path": "stages/train.py", "md5": code}],
        "params": {"params.yaml": params, **(entry or {})},
        "outs": [student],
    }
    analyze = {"deps": [dict(student), asked], "params": {"params.yaml": shared}, "outs": outs}
    content = {"schema": "2.0", "stages": {"train": train, "analyze": analyze}}
    return yaml.safe_dump(content, sort_keys=False)


def experiment(name, time=0, **options):
    """An experiment whose scores are not needed; options are those of `lock`."""
    return Experiment(name, time, read_lock(lock(**options)))


Compared = namedtuple("Compared", "found undefined text")


def compared(repository, **options):
    """The content of compare.json and compare.md; options are those of `compare`."""
    found = collect(repository.save().path)
    given = (repository.store, found, found.experiments)
    content, undefined = compare(*given, **{"baselines": BASELINES, **options})
    return Compared(content, undefined, report.to_markdown(content))


@dataclass
class Repository:
    """A DVC project in a new git repository; what is added is written by `save`."""

    path: Path
    _stream: list[str] = field(default_factory=list)
    _time: int = 1_700_000_000

    def __post_init__(self):
        self._git("init", "-q", "-b", "main")
        (self.path / ".dvc").mkdir()
        (self.path / ".dvc/config").touch()
        self._commit("refs/heads/main", "params.yaml", yaml.safe_dump(PARAMS))

    @property
    def cache(self):
        return self.path / ".dvc" / "cache"

    @property
    def store(self):
        return Store(self.path, self.cache)

    def experiment(self, name, table, metrics=None, **options):
        """Add a successful experiment; `card` and `details` are contents, `table` may be an MD5."""
        for file in {"card", "details"} & options.keys():
            options[file] = self._put(json.dumps(options[file]).encode())
        md5 = table if isinstance(table, str) else self.keep(table)
        self.add(f"ab/{'0' * 38}/{name}", lock(md5, **options))
        if metrics:
            self._add_file("metrics/metrics.json", json.dumps(metrics))

    def add(self, experiment_ref, text):
        """Add a commit with this dvc.lock under refs/exps."""
        self._commit(f"refs/exps/{experiment_ref}", "dvc.lock", text)

    def commit(self, table, **options):
        """Add a run committed to the branch."""
        self._commit("refs/heads/main", "dvc.lock", lock(self.keep(table), **options))

    def save(self):
        self._git("fast-import", "--quiet", stdin="".join(self._stream))
        self._stream.clear()
        return self

    def keep(self, table, schema=records.SCORES):
        """Put a table into the cache; return its MD5."""
        scratch = self.path / "scratch.parquet"
        records.write(table, scratch, schema, extra=True)
        content = scratch.read_bytes()
        scratch.unlink()
        return self._put(content)

    def keep_folder(self, folder):
        """Put the files of a folder into the cache; return its MD5."""
        files = sorted(path for path in folder.rglob("*") if path.is_file())
        listed = [
            {"md5": self._put(path.read_bytes()), "relpath": str(path.relative_to(folder))}
            for path in files
        ]
        return self._put(json.dumps(listed).encode(), ".dir")

    def _put(self, content, suffix=""):
        md5 = hashlib.md5(content, usedforsecurity=False).hexdigest() + suffix
        target = self.cache / "files" / "md5" / md5[:2] / md5[2:]
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)
        return md5

    def _git(self, *arguments, stdin=None):
        command = ["git", *arguments]
        subprocess.run(command, cwd=self.path, input=stdin, check=True, text=True)

    def _commit(self, ref, name, content):
        self._time += 60
        who = f"committer T <t@example.org> {self._time} +0000"
        self._stream.append(f"commit {ref}\n{who}\ndata 4\nmade\n")
        self._add_file(name, content)

    def _add_file(self, name, content):
        """Add a file to the last commit."""
        self._stream.append(f"M 100644 inline {name}\ndata {len(content.encode())}\n{content}\n")
