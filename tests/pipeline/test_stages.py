"""The stage commands: what they import, how fast they answer, what they print."""

import ast
import json
import sys
from pathlib import Path

import pytest
import yaml
from checkout import ROOT, Project, children_seconds

STAGES = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]
SCRIPTS = sorted(
    path.name for path in (ROOT / "stages").glob("*.py") if not path.name.startswith("_")
)
SLOW_STAGES = {"train", "infer", "probe"}
#: Processor seconds in which a user expects an answer.
QUICK = 0.7


@pytest.mark.parametrize("name", STAGES)
def test_a_stage_depends_on_what_its_run_imports(
    baseline: Project, imports: Path, name: str
) -> None:
    stage = STAGES[name]
    script = Path(stage["cmd"].split()[1])
    notes = [json.loads(note.read_text()) for note in imports.glob(f"{script.name}-*.json")]
    loaded = {file for note in notes for file in note}
    imported = own_files(baseline, loaded) | {str(script)}
    listed = {dep for dep in stage["deps"] if dep.startswith(("src/", "stages/"))}
    used = {dep for dep in listed if any(is_in(file, dep) for file in imported)}
    missing = {file for file in imported if not any(is_in(file, dep) for dep in listed)}
    assert missing == set(), "not among the deps of this stage in dvc.yaml"
    if name in SLOW_STAGES:
        assert listed == used, "an edit of an unused dep would rerun this stage"
    else:
        assert not any("/torch/" in file for file in loaded)


def test_no_dep_lies_within_an_out() -> None:
    """`dvc exp run` fails on such a dep if the out, as last committed, is not on this machine."""
    outs = {str(out) for stage in STAGES.values() for out in stage["outs"]}
    deps = {dep for stage in STAGES.values() for dep in stage["deps"]} - outs
    assert [dep for dep in deps if any(is_in(dep, out) for out in outs)] == []


def own_files(project: Project, loaded: set[str]) -> set[str]:
    """Return the files of the checkout that were imported, except packages without code.

    The code in that of `tracekd` itself serves notebooks: stages import nothing through it.
    """
    paths = [Path(name) for name in loaded if Path(name).is_relative_to(project.path)]
    return {
        str(path.relative_to(project.path))
        for path in paths
        if path.name != "__init__.py" or (path.parent.name != "tracekd" and has_code(path))
    }


def has_code(path: Path) -> bool:
    kinds = (ast.Import, ast.ImportFrom, ast.FunctionDef, ast.ClassDef)
    return any(isinstance(node, kinds) for node in ast.walk(ast.parse(path.read_text())))


def is_in(file: str, dep: str) -> bool:
    return file == dep or file.startswith(f"{dep}/")


@pytest.mark.parametrize("script", SCRIPTS)
def test_help_is_quick_and_lists_what_is_read_and_written(project: Project, script: str) -> None:
    times: list[float] = []
    while len(times) < 3 and min(times, default=1) >= QUICK:  # again only if it was slow
        before = children_seconds()
        text = project.run(sys.executable, f"stages/{script}", "--help").stdout.lower()
        times.append(children_seconds() - before)
    assert min(times) < QUICK, times
    assert "reads" in text
    assert "writes" in text


@pytest.mark.parametrize("script", SCRIPTS)
def test_a_stage_script_is_short(script: str) -> None:
    assert len((ROOT / "stages" / script).read_text().splitlines()) <= 60


def test_train_pins_a_model_folder_and_trains_nothing(project: Project, tmp_path: Path) -> None:
    folder = tmp_path / "mine"
    folder.mkdir()
    for file in ("config.json", "model.safetensors"):
        (folder / file).write_text("{}")
    models = project.path / "models.yaml"
    before = models.read_text()
    models.write_text("mine:\n  max_length: 8\n")
    try:
        done = project.run(
            *(sys.executable, "stages/train.py", "--pin", "mine", "--path", str(folder))
        )
        entry = yaml.safe_load(models.read_text())["mine"]
    finally:
        models.write_text(before)
    assert entry["path"] == str(folder)
    assert entry["sha256"] in done.stdout
