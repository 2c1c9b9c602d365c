"""dvc.lock -> what was run: the parameters, code, questions and scores of one experiment.

The lock counts, not params.yaml, which may have been edited since.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

SCORES = "data/scores.parquet"
_CARD = "metrics/run.json"
_QUESTIONS = "data/decomposed/test.parquet"
_CODE = ("src/", "stages/")
_NEEDED = ("model", "dataset", "trace_mode", "seed", "data_seed")


@dataclass(frozen=True)
class Run:
    """What made a table of scores.

    Attributes:
        params: every parameter in params.yaml, flat ("train.epochs"), and in the chosen entries of
            the other settings files ("datasets.yaml:babi.reader").
        scores: MD5 of the table of scores.
        questions: MD5 of the test questions with their gold steps; "" if none is recorded.
        code: path -> MD5 of each file or folder of code.
        card: MD5 of the run card of all stages; "" if there is none.
    """

    params: Mapping[str, Any]
    scores: str
    questions: str
    code: Mapping[str, str]
    card: str


def read_lock(text: str) -> Run | str:
    """Return the run that a dvc.lock describes, or why its scores cannot be trusted.

    If stages disagree, the run stopped halfway or a single stage was run again.
    """
    try:
        # Not `pure`: the parser in C is several times faster, and a lock has hundreds of lines.
        stages = (YAML(typ="safe").load(text) or {})["stages"]
        return _read(stages)
    except (YAMLError, ValueError, KeyError, TypeError, AttributeError) as error:
        return f"dvc.lock does not come from this pipeline ({type(error).__name__}: {error})"


def canonical(value: Any) -> str:
    """Return a parameter as JSON, with the same text for equal numbers; booleans are not numbers.

    >>> canonical(2.0), canonical([1.0, True, 0.5])
    ('2', '[1, true, 0.5]')
    """

    def plain(part: Any) -> Any:
        if isinstance(part, Mapping):
            return {name: plain(item) for name, item in part.items()}
        if isinstance(part, list):
            return [plain(item) for item in part]
        return int(part) if isinstance(part, float) and part.is_integer() else part

    return json.dumps(plain(value))


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
            if canonical(params.setdefault(param, value)) != canonical(value):
                return f"stage {name} was run with {param}={value}, another with {params[param]}"
    if missing := [name for name in _NEEDED if name not in params]:
        return f"dvc.lock records no {', '.join(missing)}"
    return Run(
        params=params,
        scores=outs[SCORES],
        questions=next((md5 for _, path, md5 in deps if path == _QUESTIONS), ""),
        code={path: md5 for _, path, md5 in deps if path.startswith(_CODE)},
        card=outs.get(_CARD, ""),
    )


def _params(files: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for file, content in files.items():
        yield from _leaves(content, "" if file == "params.yaml" else f"{file}:")


def _leaves(tree: Mapping[str, Any], prefix: str) -> Iterator[tuple[str, Any]]:
    for name, value in tree.items():
        if isinstance(value, Mapping):
            yield from _leaves(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value
