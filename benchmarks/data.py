"""The data stages at the size of MS MARCO: questions per second, memory, and how both grow."""

import os
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Annotated, Any, Literal

import typer
import yaml

from _pairing import ROOT, Round, conclude, exponent, gigabytes, measure, say, show
from tracekd.cli import run

#: Of v2.1: 101,093 dev questions to 808,731 for training.
_TRAIN_PER_DEV = 8
_STAGES = ("prepare", "decompose", "build-sft")


def main(
    sizes: Annotated[
        str, typer.Option(help="Training questions, a size each; v2.1 has 808731.")
    ] = "10000,50000",
    layout: Annotated[
        Literal["columns", "lines"],
        typer.Option(help="As published (one object of columns), or native JSON lines."),
    ] = "columns",
    predictions: Annotated[int, typer.Option(help="For analyze; 0 leaves it out.")] = 20_000,
    scratch: Annotated[
        Path | None, typer.Option(help="Folder for the generated files; 14 GB at full size.")
    ] = None,
    generate: Annotated[str, typer.Option(hidden=True)] = "",
) -> None:
    """Generate MS MARCO v2.1 files and run the real stage commands on them.

    An eighth as many dev questions, the test split, come on top of each size and are counted as
    questions. Prints two tables and, last, one JSON line. Seconds and peak memory are each
    stage's own process; generating and pinning the files is not counted.
    """
    counts = [int(size) for size in sizes.split(",")]
    if generate:
        _generate(generate, counts[0], Path(str(scratch)))
        return
    found, analyzed = {}, None
    with tempfile.TemporaryDirectory(dir=scratch) as folder:
        for count in counts:
            found[count] = _run_stages(count, layout, Path(folder, str(count)))
        if predictions:
            analyzed = _run_analyze(predictions, Path(folder, "analyze"))
    _report(found, analyzed, predictions, {"sizes": counts, "layout": layout})


def _generate(what: str, count: int, folder: Path) -> None:
    import _marco

    folder.mkdir(parents=True, exist_ok=True)
    if what == "predictions":
        spec = yaml.safe_load((ROOT / "datasets.yaml").read_text())["marco"]
        _marco.write_predictions(count, folder, spec["class_sentence"])
        return
    write = _marco.write_columns if what == "columns" else _marco.write_lines
    write(count, folder / "train_v2.1.json")
    write(max(50, count // _TRAIN_PER_DEV), folder / "dev_v2.1.json")


def _made(what: str, count: int, folder: Path) -> None:
    """Generate in a process of its own, so that this one stays small."""
    say(f"generating {count:,} {what}")
    command = [sys.executable, str(ROOT / "benchmarks/data.py"), "--generate", what]
    measure([*command, "--sizes", str(count), "--scratch", str(folder)])
    os.sync()  # else the disk is still busy with these files while the stages run


def _run_stages(count: int, layout: str, home: Path) -> dict[str, Round]:
    raw, datasets, params = home / "raw", home / "datasets.yaml", home / "params.yaml"
    _made(layout, count, raw)
    datasets.write_text((ROOT / "datasets.yaml").read_text(encoding="utf-8"), encoding="utf-8")
    _write_params(params)
    _stage("prepare", "--pin", "marco", "--path", str(raw), "--datasets", str(datasets))
    settings = ("--params", str(params), "--datasets", str(datasets))
    places = {name: home / name for name in ("prepared", "decomposed", "sft")}
    options: dict[str, tuple[str, ...]] = {
        "prepare": (),
        "decompose": ("--prepared", str(places["prepared"])),
        "build-sft": tuple(
            text for name in ("prepared", "decomposed") for text in (f"--{name}", str(places[name]))
        ),
    }
    done: dict[str, Round] = {}
    for stage, out in zip(_STAGES, places.values(), strict=True):
        say(f"{stage} on {count:,} training questions")
        done[stage] = _stage(stage, *settings, *options[stage], "--out", str(out))
    questions = count + max(50, count // _TRAIN_PER_DEV)
    raw_bytes = sum(path.stat().st_size for path in raw.iterdir())
    shutil.rmtree(home)
    return {**done, "_": {"questions": questions, "raw_bytes": raw_bytes}}


def _run_analyze(count: int, home: Path) -> Round:
    _made("predictions", count, home)
    _write_params(home / "params.yaml")
    say(f"analyze on {count:,} predictions")
    return _stage(
        *("analyze", "--params", str(home / "params.yaml")),
        *("--datasets", str(ROOT / "datasets.yaml")),
        *("--questions", str(home / "decomposed.parquet")),
        *("--predictions", str(home / "predictions.parquet")),
        *("--probed", str(home / "probes.parquet"), "--train-log", str(home / "none")),
        *("--scores", str(home / "scores.parquet")),
        *("--metrics", str(home / "metrics"), "--plots", str(home / "plots")),
    )


def _write_params(path: Path) -> None:
    params = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    params |= {"dataset": "marco", "trace_mode": "correct"}
    params["prepare"] = dict.fromkeys(params["prepare"])
    path.write_text(yaml.safe_dump(params, sort_keys=False), encoding="utf-8")


def _stage(name: str, *options: str) -> Round:
    script = ROOT / "stages" / f"{name.replace('-', '_')}.py"
    return measure([sys.executable, str(script), *options])


def _exponents(found: dict[int, dict[str, Round]], key: str) -> dict[str, float | None]:
    spent = {stage: [done[stage][key] for done in found.values()] for stage in _STAGES}
    spent["all"] = [sum(stages) for stages in zip(*spent.values(), strict=True)]
    return {stage: exponent(list(found), values) for stage, values in spent.items()}


def _report(
    found: dict[int, dict[str, Round]],
    analyzed: Round | None,
    predictions: int,
    settings: dict[str, Any],
) -> None:
    rows = []
    for count, done in found.items():
        questions = done["_"]["questions"]
        seconds = [done[stage]["seconds"] for stage in _STAGES]
        rows.append(
            {
                "train questions": count,
                "raw GB": done["_"]["raw_bytes"] / 1e9,
                **{f"{stage} s": done[stage]["seconds"] for stage in _STAGES},
                "CPU s": sum(done[stage]["cpu_seconds"] for stage in _STAGES),
                "questions/s": questions / sum(seconds),
                **{
                    f"{stage} GiB": gigabytes(done[stage]["peak_memory_bytes"]) for stage in _STAGES
                },
            }
        )
    show(rows)
    exponents = {key: _exponents(found, key) for key in ("seconds", "cpu_seconds")}
    if len(found) > 1:
        print("\nexponent of the number of questions")
        show([{"of": key, **fitted} for key, fitted in exponents.items()])
    if analyzed is not None:
        print()
        show(
            [
                {
                    "predictions": predictions,
                    "analyze s": analyzed["seconds"],
                    "predictions/s": predictions / analyzed["seconds"],
                    "analyze GiB": gigabytes(analyzed["peak_memory_bytes"]),
                }
            ]
        )
    results = {
        "stages": found,
        "table": rows,
        "exponents": exponents,
        "analyze": {**analyzed, "predictions": predictions} if analyzed else None,
    }
    conclude("data", settings, results)


if __name__ == "__main__":
    run(main)
