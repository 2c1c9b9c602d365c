"""Which cells a grid has, what they are called, and which are refused."""

import shutil
from pathlib import Path
from typing import Any

import pytest
from checkout import ROOT, Project

from tracekd.errors import TracekdError
from tracekd.grid.cells import GridCell, read_cells
from tracekd.grid.settings import GridSettings, Resources


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The settings of this project, in a repository with one file of code."""
    folder = tmp_path_factory.mktemp("settings")
    for name in ("params.yaml", "models.yaml", "datasets.yaml", "teachers.yaml"):
        shutil.copyfile(ROOT / name, folder / name)
    stage = "stages: {train: {cmd: python train.py, deps: [train.py, models.yaml, data/sft]}}\n"
    (folder / "dvc.yaml").write_text(stage)
    (folder / "train.py").write_text("print(1)\n")
    with (folder / "teachers.yaml").open("a") as teachers:
        teachers.write('steps: {model: smollm2, prompts: {steps: "{context} {question}"}}\n')
    Project(folder).run("git", "init", "-q")
    Project(folder).commit("Settings")
    return folder


def cells(root: Path, axes: Any, **settings: Any) -> list[GridCell]:
    return read_cells(root, GridSettings(axes=axes, **settings), "grid.yaml")


def test_cells_are_all_combinations_in_the_order_of_the_axes(root: Path) -> None:
    found = cells(root, {"trace_mode": ["none", "correct"], "seed": "0..1", "model": "qwen3"})
    assert [tuple(cell.values.values()) for cell in found] == [
        ("none", 0, "qwen3"),
        ("none", 1, "qwen3"),
        ("correct", 0, "qwen3"),
        ("correct", 1, "qwen3"),
    ]
    assert found[0].name.startswith("qwen3-babi_sim-none-0-")
    assert found[0].params.seed == 0


def test_a_list_of_axes_makes_one_grid_without_duplicates(root: Path) -> None:
    doses = {"trace_mode": "mixed", "corruption": [0.25, 1], "seed": ["0..1", 5]}
    found = cells(root, [{"seed": "0..1"}, doses, {"seed": 1, "trace_mode": "correct"}])
    assert len(found) == 2 + 6, "correct is the regime of params.yaml"
    assert found[2].name.startswith("smollm2-babi_sim-mixed-0.25-0-")


def test_excluded_cells_have_all_the_values(root: Path) -> None:
    axes = {"trace_mode": ["none", "correct"], "seed": "0..3"}
    found = cells(root, axes, exclude=[{"trace_mode": "none", "seed": "2..3"}])
    assert len(found) == 6
    with pytest.raises(TracekdError, match="exclude: sead is no axis; did you mean seed"):
        cells(root, axes, exclude=[{"sead": 1}])


def test_resources_are_those_of_the_model_or_the_default(root: Path) -> None:
    large, small = Resources(gpus=4), Resources(cores=2)
    axes = {"model": ["qwen3", "smollm2"]}
    found = cells(root, axes, resources={"qwen3": large, "default": small})
    assert [cell.resources for cell in found] == [large, small]


def test_a_name_follows_settings_and_code_alone(root: Path, tmp_path: Path) -> None:
    folder = tmp_path / "copy"
    shutil.copytree(root, folder)

    def name() -> str:
        return cells(folder, {"seed": 0})[0].name

    before = name()
    (folder / "README.md").write_text("A readme.\n")
    params = (folder / "params.yaml").read_text()
    (folder / "params.yaml").write_text(params.replace("batch_size: 2 ", "batch_size: 2   # "))
    models = (folder / "models.yaml").read_text()
    (folder / "models.yaml").write_text(models.replace("max_length: 4096", "max_length: 4095"))
    Project(folder).commit("Remarks")
    assert name() == before, "neither a remark nor another model's entry"
    for file, old, new in (
        ("train.py", "print(1)", "print(2)"),
        ("models.yaml", "max_length: 8192", "max_length: 8191"),
        ("params.yaml", "epochs: 1", "epochs: 2"),
    ):
        (folder / file).write_text((folder / file).read_text().replace(old, new, 1))
        Project(folder).commit(file)
        assert name() != before, file
        before = name()


@pytest.mark.parametrize(
    ("axes", "message"),
    [
        ({"sead": [0]}, r"grid.yaml: sead: unknown key; did you mean seed"),
        ({"train.epoch": [1]}, r"train.epoch: unknown key; did you mean epochs"),
        ({"seed": ["zero"]}, r"grid.yaml: seed: .*found 'zero'"),
        ({"model": ["llam"]}, r"models.yaml has no entry 'llam'.*did you mean llama"),
        ({"trace_mode": ["corect"]}, r"unknown regime 'corect'; did you mean correct"),
        ({"trace_mode": ["teacher"]}, r"needs a teacher that writes a trace; .*none does not"),
        ({"teacher.match": [True]}, r"needs a teacher that writes a trace"),
        ({"trace_mode": "teacher", "teacher.name": "steps"}, r"writes a trace; .*steps does not"),
        (
            {"trace_mode": ["teacher_steps"], "teacher.name": ["none"], "seed": "0..99"},
            r"writes a steps; .*\n  \(cell trace_mode=teacher_steps, teacher.name=none, seed=0\)",
        ),
        ({"seed": []}, r"no cell"),
        ({"model.name": ["smollm2"]}, r"grid.yaml: model: .*found {'name': 'smollm2'}"),
        ({"seed": "0..99999"}, r"more than 20000 cells"),
        ({"train": [{"epochs": 1}]}, r"train.batch_size: missing"),
    ],
)
def test_a_cell_that_cannot_be_is_refused(root: Path, axes: Any, message: str) -> None:
    with pytest.raises(TracekdError, match=message):
        cells(root, axes)


def test_a_teacher_that_writes_such_traces_is_accepted(root: Path) -> None:
    axes = {"trace_mode": ["teacher", "teacher_steps", "none"], "teacher.name": "self"}
    assert len(cells(root, axes, exclude=[{"trace_mode": "none"}])) == 2
    assert len(cells(root, {"trace_mode": "teacher_summary", "teacher.name": "r1"})) == 1
    assert len(cells(root, {"teacher.match": True, "teacher.name": "steps"})) == 1
