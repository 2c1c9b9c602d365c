"""The stage commands themselves: what they import, how fast they answer, what they leave."""

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
#: Seconds of the processor in which a user expects an answer.
QUICK = 0.7


def own_files(project: Project, loaded: list[str]) -> set[str]:
    """Files of the checkout that were imported, without packages' empty faces."""
    inside = [Path(name) for name in loaded if Path(name).is_relative_to(project.path)]
    return {
        str(path.relative_to(project.path))
        for path in inside
        if path.name != "__init__.py" or _does_something(path)
    }


def _does_something(path: Path) -> bool:
    kinds = (ast.Import, ast.ImportFrom, ast.FunctionDef, ast.ClassDef)
    return any(isinstance(node, kinds) for node in ast.walk(ast.parse(path.read_text())))


@pytest.mark.parametrize("name", STAGES)
def test_a_stages_deps_are_the_modules_that_its_run_imports(
    baseline: Project, imports: Path, name: str
) -> None:
    stage = STAGES[name]
    script = stage["cmd"].split()[1]
    notes = [json.loads(note.read_text()) for note in imports.glob(f"{Path(script).name}-*.json")]
    loaded = sorted({file for note in notes for file in note})
    assert loaded
    imported = own_files(baseline, loaded) | {script}
    listed = {
        dep
        for dep in stage["deps"]
        if not dep.startswith(("data/", "models/", "metrics/", "plots/"))
    }
    folders = {dep for dep in listed if (ROOT / dep).is_dir()}
    covered = {file for file in imported if any(file.startswith(f"{dep}/") for dep in folders)}
    assert imported - covered == listed - folders
    assert all(any(file.startswith(f"{dep}/") for file in covered) for dep in folders)
    if name not in ("train", "infer"):
        assert not any("/torch/" in file for file in loaded), (
            "only train and infer may import torch"
        )


@pytest.mark.parametrize("script", SCRIPTS)
def test_help_is_quick_and_says_what_is_read_and_written(project: Project, script: str) -> None:
    done, times = None, []
    while len(times) < 3 and min(times, default=1) >= QUICK:  # again only where it was slow
        before = children_seconds()
        done = project.run(sys.executable, f"stages/{script}", "--help")
        times.append(children_seconds() - before)
    assert min(times) < QUICK, times
    assert done is not None
    text = done.stdout.lower()
    assert "reads" in text
    assert "writes" in text


@pytest.mark.parametrize("script", SCRIPTS)
def test_a_stage_script_is_short(script: str) -> None:
    assert len((ROOT / "stages" / script).read_text().splitlines()) < 60


def test_train_pins_a_model_folder_and_trains_nothing(project: Project, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    for file in ("config.json", "model.safetensors"):
        (tmp_path / "mine" / file).write_text("{}")
    models = tmp_path / "models.yaml"
    models.write_text("own:\n  max_length: 8\n")
    pin = ("--models", str(models), "--pin", "own", "--path", str(tmp_path / "mine"))
    done = project.run(sys.executable, "stages/train.py", *pin)
    entry = yaml.safe_load(models.read_text())["own"]
    assert entry["path"] == str(tmp_path / "mine")
    assert f"own: sha256 {entry['sha256']} written to {models}" in done.stdout


def test_an_unknown_backend_is_told_before_training(project: Project, tmp_path: Path) -> None:
    params = yaml.safe_load((project.path / "params.yaml").read_text())
    params["infer"]["backend"] = "vlm"
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(params))
    options = ("--params", str(tmp_path / "params.yaml"), "--out", str(tmp_path / "sft"))
    done = project.run(sys.executable, "stages/build_sft.py", *options, check=False)
    assert "infer.backend: unknown backend 'vlm'; did you mean vllm?" in done.stderr
    assert done.returncode == 1
    assert not (tmp_path / "sft").exists()
