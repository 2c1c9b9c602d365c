"""dvc.lock -> what was run: the parameters, code, questions and scores of one experiment.

The lock counts, not params.yaml, which may have been edited since.
"""

import json
from collections.abc import Mapping
from typing import Any, NamedTuple

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from tracekd.config.reading import leaves
from tracekd.traces.regimes import REGIMES

PREDICTIONS, PROBES = "data/predictions.parquet", "data/probes.parquet"
SCORES = "data/scores.parquet"
CARD, DETAILS = "metrics/run.json", "metrics/details.json"
QUESTIONS = "data/decomposed/test.parquet"
_CODE = ("src/", "stages/")
_NEEDED = ("model", "dataset", "trace_mode", "seed", "data_seed")
#: The fraction of incorrect traces in regimes without that parameter.
_DOSES = {"correct": 0.0, "incorrect": 1.0}


class DosedRegime(NamedTuple):
    """A value of `trace_mode`, and its dose, the fraction of incorrect traces, if it has one."""

    regime: str
    corruption: float | None = None

    @property
    def label(self) -> str:
        """The two as text, e.g. "mixed 0.2"."""
        if self.corruption is None:
            return self.regime
        return f"{self.regime} {canonical(self.corruption)}"

    @property
    def place(self) -> tuple[int, str, float]:
        """A sort key: the order of `REGIMES`, then the dose."""
        known = [*REGIMES, self.regime].index(self.regime)
        return known, self.regime, self.corruption or 0.0

    @property
    def dose(self) -> float | None:
        """The fraction of incorrect traces; None in a regime that mixes neither kind."""
        return _DOSES.get(self.regime, self.corruption)


class Replicate(NamedTuple):
    """What tells apart the runs of a regime: seed, and the seed that drew the training sample."""

    seed: int
    sample_seed: int

    @property
    def label(self) -> str:
        """The two as text: "0", or "0/3" if they differ."""
        return "/".join(map(str, dict.fromkeys(self)))


class Run(NamedTuple):
    """What made a table of scores, and what else was made beside it.

    Attributes:
        params: every parameter in params.yaml, flat ("train.epochs"), and in the chosen entries of
            the other settings files ("datasets.yaml:babi.reader").
        code: path -> MD5 of each file or folder of code.
        files: path -> MD5 of everything else that stages read or wrote (of a folder: ends in .dir).
        entries: the chosen entries of each other settings file ("models.yaml"), as they were.
    """

    model: str
    dataset: str
    regime: DosedRegime
    replicate: Replicate
    params: Mapping[str, Any]
    code: Mapping[str, str]
    files: Mapping[str, str]
    entries: Mapping[str, Mapping[str, Any]]


def read_lock(text: str) -> Run | str:
    """Return the run that a dvc.lock describes, or why its scores cannot be trusted.

    If stages disagree, the run stopped halfway or a single stage was run again.
    """
    try:
        # Not `pure`: the parser in C is several times faster, and a lock has hundreds of lines.
        return _read((YAML(typ="safe").load(text) or {})["stages"])
    except (YAMLError, ValueError, KeyError, TypeError, AttributeError) as error:
        return f"dvc.lock does not come from this pipeline ({type(error).__name__}: {error})"


def canonical(value: Any) -> str:
    """Return a parameter as JSON, with the same text for equal numbers.

    >>> canonical(2.0), canonical([1.0, True, 0.5])
    ('2', '[1, true, 0.5]')
    """

    def shortest(text: str) -> float:
        number = float(text)
        return int(number) if number.is_integer() else number

    return json.dumps(json.loads(json.dumps(value), parse_float=shortest))


def _read(stages: Mapping[str, Any]) -> Run | str:
    outs = {out["path"]: out["md5"] for stage in stages.values() for out in stage.get("outs", ())}
    deps: dict[str, str] = {}
    params: dict[str, Any] = {}
    entries: dict[str, Mapping[str, Any]] = {}
    if SCORES not in outs:
        return f"dvc.lock has no {SCORES}: the analyze stage was not run"
    for name, stage in stages.items():
        for dep in stage.get("deps", ()):
            if outs.get(dep["path"], dep["md5"]) != dep["md5"]:
                return f"stage {name} was not run again after {dep['path']} changed"
            deps[dep["path"]] = dep["md5"]
        for file, content in stage.get("params", {}).items():
            if file != "params.yaml":
                entries[file] = content
            for param, value in leaves(content, "" if file == "params.yaml" else f"{file}:"):
                if canonical(params.setdefault(param, value)) != canonical(value):
                    other = params[param]
                    return f"stage {name} was run with {param}={value}, another with {other}"
    if missing := [name for name in _NEEDED if name not in params]:
        return f"dvc.lock records no {', '.join(missing)}"
    mode, seed, sample = str(params["trace_mode"]), int(params["seed"]), params.get("sample_seed")
    return Run(
        model=str(params["model"]),
        dataset=str(params["dataset"]),
        regime=DosedRegime(mode, params.get("corruption") if mode == "mixed" else None),
        replicate=Replicate(seed, seed if sample is None else int(sample)),
        params=params,
        code={path: md5 for path, md5 in deps.items() if path.startswith(_CODE)},
        files=outs | {path: md5 for path, md5 in deps.items() if not path.startswith(_CODE)},
        entries=entries,
    )
