import json
import shutil
from pathlib import Path

import pytest
from training_runs import PARAMS, rows, spec

from tracekd.config import AdapterSource
from tracekd.errors import TracekdError
from tracekd.files import sha256_file
from tracekd.models.devices import choose_device
from tracekd.models.loading import load_student
from tracekd.models.sources import pin_start
from tracekd.training import loop, run

DATA = {"train": rows(6), "validation": rows(2, "validation")}
#: LoRA of rank 4 on an m x n matrix has 4 (m + n) weights: 512 for q and o each, 384 for k and v,
#: 768 for gate, up and down; twice, since there are two layers.
ADAPTER = 2 * (2 * 512 + 2 * 384 + 3 * 768)
WEIGHTS = {"lora": ADAPTER, "qlora": ADAPTER, "full": 110464}


@pytest.fixture(autouse=True)
def project(monkeypatch, tmp_path):
    monkeypatch.setenv("TRACEKD_CHECKPOINT_SECONDS", "0")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def train(data=DATA, **changes):
    """Train as the stage does; return its facts and the hash of every file that it wrote."""
    if changes["method"] == "qlora":
        pytest.importorskip("bitsandbytes", reason="not installed (pip install -e '.[qlora]')")
    folder = Path("run").resolve()
    shutil.rmtree(folder, ignore_errors=True)  # as DVC deletes outs before it runs a stage
    params = PARAMS.model_copy(update=changes)
    facts = run.train(spec(), data, params, 5, folder / "student", folder / "log")
    files = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    return facts, {str(path.relative_to(folder)): sha256_file(path) for path in files}


def note():
    return json.loads(Path("run/student/training.json").read_text())


@pytest.mark.parametrize("method", WEIGHTS)
def test_a_killed_run_of_each_method_ends_with_the_bytes_of_an_undisturbed_one(
    method, project, monkeypatch
):
    facts, undisturbed = train(method=method)
    assert facts["trained_weights"] == note()["trained_weights"] == WEIGHTS[method]
    assert note()["method"] == method
    assert note()["validation"][-1]["loss"] < note()["validation"][0]["loss"]
    with monkeypatch.context() as patch:
        original = loop.require_finite

        def kill(value, what, where, batch):
            original(value, what, where, batch)
            if where == "step 4":
                raise KeyboardInterrupt

        patch.setattr(loop, "require_finite", kill)
        with pytest.raises(KeyboardInterrupt):
            train(method=method)
    assert [path.name for path in project.glob(".checkpoints/*/step-*")] == ["step-3"]
    assert train(method=method)[1] == undisturbed
    assert load_student(spec(), Path("run/student"), choose_device())


def test_the_untuned_student_is_a_note_with_the_loss_before_training():
    too_long = [row | {"prompt": "Mary is here. " * 999} for row in rows(2)]
    facts, files = train(DATA | {"train": too_long}, method="none")
    assert set(files) == {"student/training.json"}
    assert (note()["method"], facts["trained_weights"]) == ("none", 0)
    (untuned,) = note()["validation"]
    assert Path("run/log").is_dir()
    train(method="lora")
    assert untuned == pytest.approx(note()["validation"][0], rel=1e-3)


def test_training_continues_from_an_adapter(project):
    train(method="lora", learning_rate=1e-2)
    first = note()["validation"]
    shutil.move("run/student", "first")
    (project / "params.yaml").write_text("train: {start: null}\n")
    start = AdapterSource(path="first", sha256=pin_start(project / "params.yaml", "first"))
    train(method="lora", start=start, learning_rate=1e-2)
    second = note()["validation"]
    assert second[0] == pytest.approx(first[-1], rel=1e-3)
    assert second[-1]["loss"] < first[-1]["loss"]


def test_an_adapter_that_is_absent_stops_the_stage_before_a_model_is_loaded(monkeypatch):
    monkeypatch.setattr(run, "load_base", lambda *_: pytest.fail("a model was loaded"))
    start = AdapterSource(path="nowhere", sha256="0" * 64)
    with pytest.raises(TracekdError, match=r"train\.start: path: .*nowhere has no adapter_config"):
        train(method="lora", start=start)
