"""dvc.lock -> what was really run: the parameters, the code and the scores of one experiment.

The lock, not params.yaml, says what made the scores: params.yaml may have been edited since.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import yaml

SCORES = "data/scores.parquet"
CARD = "metrics/run.json"
QUESTIONS = "data/decomposed/test.parquet"
#: The loader in C is ten times as fast; a lock has hundreds of lines.
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_CODE = ("src/", "stages/")
_NEEDED = ("model", "dataset", "trace_mode", "seed", "data_seed")


@dataclass(frozen=True)
class Run:
    """What a lock says of the run that made its scores.

    Attributes:
        params: every parameter of params.yaml, flat ("train.epochs"), and of the entries of
            datasets.yaml and models.yaml that were chosen ("datasets.yaml:babi.reader").
        scores: MD5 of the table of scores, its address in DVC's cache.
        questions: MD5 of the test questions with their gold steps.
        code: MD5 of each file or folder of code that a stage lists.
        card: MD5 of the run card of all stages; "" if there is none.
    """

    params: Mapping[str, Any]
    scores: str
    questions: str
    code: Mapping[str, str]
    card: str


def read_lock(text: str) -> Run | str:
    """Return the run that a dvc.lock describes, or why its scores can't be trusted.

    A lock whose stages disagree is that of a run that stopped half-way, or of a single stage.
    """
    try:
        stages = (yaml.load(text, Loader=_LOADER) or {})["stages"]  # noqa: S506 (a safe loader)
        return _read(stages)
    except (yaml.YAMLError, KeyError, TypeError, AttributeError) as error:
        return f"dvc.lock is not one of this pipeline ({type(error).__name__}: {error})"


def flat(tree: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return the leaves of nested mappings by their dotted paths.

    >>> flat({"train": {"epochs": 2}, "seed": 0})
    {'train.epochs': 2, 'seed': 0}
    """
    found: dict[str, Any] = {}
    for name, value in tree.items():
        if isinstance(value, Mapping):
            found.update(flat(value, f"{prefix}{name}."))
        else:
            found[f"{prefix}{name}"] = value
    return found


def told(value: Any) -> str:
    """Return a parameter as JSON, the same text for the same value: 2 and 2.0 are one number.

    True and false are not numbers, although Python says that they are 1 and 0.

    >>> told(2.0), told([1.0, True, 0.5])
    ('2', '[1, true, 0.5]')
    """
    return json.dumps(_plain(value))


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {name: _plain(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _read(stages: Mapping[str, Any]) -> Run | str:
    outs = {out["path"]: out["md5"] for stage in stages.values() for out in stage.get("outs", ())}
    deps = [
        (name, dep["path"], dep["md5"])
        for name, stage in stages.items()
        for dep in stage.get("deps", ())
    ]
    if SCORES not in outs:
        return f"dvc.lock has no {SCORES}: the analyze stage was not run"
    for name, path, md5 in deps:
        if outs.get(path, md5) != md5:
            return f"stage {name} was not run again after {path} changed"
    params: dict[str, Any] = {}
    for name, stage in stages.items():
        for param, value in _params(stage.get("params", {})):
            if told(params.setdefault(param, value)) != told(value):
                return f"stage {name} was run with {param}={value}, another with {params[param]}"
    if missing := [name for name in _NEEDED if name not in params]:
        return f"dvc.lock records no {', '.join(missing)}"
    return Run(
        params=params,
        scores=outs[SCORES],
        questions=next((md5 for _, path, md5 in deps if path == QUESTIONS), ""),
        code={path: md5 for _, path, md5 in deps if path.startswith(_CODE)},
        card=outs.get(CARD, ""),
    )


def _params(files: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for file, content in files.items():
        prefix = "" if file == "params.yaml" else f"{file}:"
        yield from flat(content, prefix).items()
