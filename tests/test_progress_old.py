"""Progress that is kept: whole or absent, for the same work only, gone when that is done."""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import polars as pl
import pytest

from tracekd import progress as checkpoints
from tracekd import records, tables
from tracekd.config import InferParams, ProbeParams, TrainParams, load_model, load_params
from tracekd.errors import TracekdError
from tracekd.files import sha256_file
from tracekd.generation.backends.transformers import TransformersBackend
from tracekd.generation.run import answer_rows
from tracekd.models.sources import locate
from tracekd.probes.asking import probe_rows
from tracekd.probes.engine import ProbeEngine
from tracekd.progress import Journal, StopRequest, fingerprint, progress_folder
from tracekd.training import run as training
from tracekd.training.callbacks import Keeper, Monitor, last_checkpoint
from tracekd.training.run import train_adapter

ROOT = Path(__file__).resolve().parents[1]
SPEC = load_model(ROOT / "models.yaml", "tiny_llama")
PARAMS = TrainParams(
    epochs=2, batch_size=2, accumulate=2, learning_rate=1e-2, warmup=0.1, lora_rank=4,
    lora_alpha=8, lora_dropout=0.1, evaluations=2,
)  # fmt: skip
INFER = InferParams(batch_size=3, max_new_tokens=6)
PLACES = ["kitchen", "garden", "office", "hallway"]
ROWS = [
    {
        "id": f"t/{number}",
        "system": "You are helpful.",
        "prompt": f"{'Mary is here. ' * (number % 5)}Mary went to the {PLACES[number % 4]}. Where?",
        "completion": f"<answer>{PLACES[number % 4]}</answer>",
        "answer_start": 0,
    }
    for number in range(14)
]  # fmt: skip

DECOMPOSED = pl.DataFrame(
    [
        {
            "id": row["id"],
            "question": "Where?",
            "context": [f"Mary went to the {PLACES[number % 4]}.", f"John left {number} times."],
            "answers": [PLACES[number % 4]],
            "question_class": ("moves", "stays")[number % 2],
            "subtype": None,
            "gold_facts": [0],
            "source": f"t:{number}",
            "gold_facts": [0],
            "answer_in_facts": True,
        }
        for number, row in enumerate(ROWS)
    ],
    schema=dict(records.DECOMPOSED),
)


@pytest.fixture(autouse=True)
def project(monkeypatch, tmp_path, tmp_path_factory):
    prepared(monkeypatch, tmp_path, tmp_path_factory)
    return tmp_path


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    """Tiny models gain nothing by more, and lose much where other work is at the cores."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """For two seeds, the folder of a run that nothing disturbed, and what it holds."""
    found = {}
    for seed in (5, 6):
        with pytest.MonkeyPatch.context() as patch:
            folder = tmp_path_factory.mktemp("undisturbed")
            prepared(patch, folder, tmp_path_factory)
            found[seed] = Run(folder / "whole", train(folder / "whole", seed))
    return found


class Run(NamedTuple):
    folder: Path
    hashes: dict[str, str]


def prepared(patch, folder, tmp_path_factory):
    patch.setenv("TRACEKD_CACHE", str(tmp_path_factory.getbasetemp() / "model-cache"))
    patch.setattr(training, "_CHECKPOINT_SECONDS", 0.0)
    patch.chdir(folder)


def train(folder, seed=5):
    folder.mkdir(exist_ok=True)
    data = {"train": ROWS[:10], "validation": ROWS[10:]}
    train_adapter(
        "tiny_llama", SPEC, PARAMS, seed, data, folder / "adapter", folder / "log", Path.cwd()
    )
    files = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    return {str(path.relative_to(folder)): sha256_file(path) for path in files}


class Killed(BaseException):
    """What a kill looks like from inside: nothing after it runs."""


@pytest.mark.parametrize(
    ("moment", "step"),
    [
        ("step", 1),
        ("step", 4),
        ("step", 6),  # the last, which saves no checkpoint
        ("save", 4),
        *(
            pytest.param(*more, marks=pytest.mark.slow)
            for more in [("step", 2), ("save", 1), ("save", 2)]
        ),
    ],
)
def test_killed_training_ends_with_the_bytes_of_an_undisturbed_one(
    project, undisturbed, monkeypatch, moment, step
):
    hook = {"step": "on_step_end", "save": "on_save"}[moment]
    original = getattr(Keeper, hook)

    def killed(self, args, state, control, **more):
        if state.global_step == step:
            raise Killed
        original(self, args, state, control, **more)

    with monkeypatch.context() as patch:
        patch.setattr(Keeper, hook, killed)
        with pytest.raises(Killed):
            train(project / "cut")
        shutil.rmtree(project / "cut", ignore_errors=True)  # as DVC does with outs
    assert train(project / "cut") == undisturbed[5].hashes
    assert list((project / ".checkpoints").iterdir()) == []


def kill_at_step(step, patch):
    original = Keeper.on_step_end

    def killed(self, args, state, control, **more):
        if state.global_step == step:
            raise Killed
        original(self, args, state, control, **more)

    patch.setattr(Keeper, "on_step_end", killed)


@pytest.mark.skipif(sys.platform != "linux", reason="crews are forked on Linux only")
def test_killed_training_of_several_processes_ends_with_the_bytes_of_an_undisturbed_one(
    project, monkeypatch
):
    import torch

    torch.set_num_threads(2)
    try:
        whole = train(project / "whole")
        with monkeypatch.context() as patch:
            kill_at_step(4, patch)
            with pytest.raises(Killed):
                train(project / "cut")
        shutil.rmtree(project / "cut")
        assert train(project / "cut") == whole
    finally:
        torch.set_num_threads(1)


def test_training_with_another_seed_does_not_go_on_from_a_killed_one(
    project, undisturbed, monkeypatch
):
    with monkeypatch.context() as patch:
        kill_at_step(5, patch)
        with pytest.raises(Killed):
            train(project / "cut", seed=5)
    shutil.rmtree(project / "cut", ignore_errors=True)
    assert train(project / "cut", seed=6) == undisturbed[6].hashes


def answered(adapter):
    with answer_rows("tiny_llama", SPEC, INFER, ROWS, adapter) as answers:
        return answers.predictions


def test_answers_of_one_adapter_are_not_taken_for_those_of_another(undisturbed, monkeypatch):
    def answers(seed):
        answered(undisturbed[seed].folder / "adapter")

    original, asked = TransformersBackend.generate, []

    def generate(self, prompts, limits):
        asked.append(len(prompts))
        if len(asked) == 3:
            raise Killed
        return original(self, prompts, limits)

    monkeypatch.setattr(TransformersBackend, "generate", generate)
    with pytest.raises(Killed):
        answers(5)
    answers(6)
    assert sum(asked[3:]) == len(ROWS)


def test_going_on_does_not_repeat_steps(project, monkeypatch):
    steps = []
    original = Keeper.on_step_end

    def counted(self, args, state, control, **more):
        steps.append(state.global_step)
        if len(steps) == 4:
            raise Killed
        original(self, args, state, control, **more)

    monkeypatch.setattr(Keeper, "on_step_end", counted)
    with pytest.raises(Killed):
        train(project / "run")
    train(project / "run")
    assert steps == [1, 2, 3, 4, 4, 5, 6]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_stop_request_leaves_a_checkpoint_and_the_shells_status(
    project, undisturbed, monkeypatch, number, capsys
):
    monkeypatch.setattr(training, "_CHECKPOINT_SECONDS", 1e9)
    original = Keeper.on_step_end

    def stopped(self, args, state, control, **more):
        if state.global_step == 3:
            os.kill(os.getpid(), number)
        original(self, args, state, control, **more)

    with monkeypatch.context() as patch:
        patch.setattr(Keeper, "on_step_end", stopped)
        with pytest.raises(SystemExit) as left:
            train(project / "cut")
    assert left.value.code == 128 + number
    assert "3 of 6 steps are kept; run again to go on" in capsys.readouterr().out
    (folder,) = [path for path in (project / ".checkpoints").iterdir() if path.is_dir()]
    checkpoint = last_checkpoint(folder)
    assert checkpoint is not None
    assert checkpoint.name == "checkpoint-3"
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL
    assert train(project / "cut") == undisturbed[5].hashes


def test_second_stop_request_does_not_wait():
    with StopRequest().listening() as stop:
        os.kill(os.getpid(), signal.SIGTERM)
        assert stop.signal == signal.SIGTERM
        with pytest.raises(SystemExit) as left:
            os.kill(os.getpid(), signal.SIGTERM)
    assert left.value.code == 143


def test_killed_inference_keeps_its_answers(project, undisturbed, monkeypatch):
    adapter = undisturbed[5].folder / "adapter"
    expected = answered(adapter)
    asked = []
    original = TransformersBackend.generate

    def generate(self, prompts, limits):
        asked.append(len(prompts))
        if len(asked) == 3:
            raise Killed
        return original(self, prompts, limits)

    monkeypatch.setattr(TransformersBackend, "generate", generate)
    with pytest.raises(Killed):
        answered(adapter)
    (journal,) = (project / ".checkpoints").glob("infer-*/answers.jsonl")
    with journal.open("ab") as torn:
        torn.write(b"[[1, 2")
    assert answered(adapter) == expected
    assert asked == [3, 3, 3, 3, 3, 2]
    assert list((project / ".checkpoints").iterdir()) == []


class Inference:
    """The infer stage's work, with probes, at a few decomposed questions."""

    def __init__(self, folder):
        self.folder = folder
        for split in records.SPLITS:
            schema = records.DECOMPOSED if split == "test" else records.STEPS
            tables.write(DECOMPOSED.select(list(schema)), folder / f"{split}.parquet", schema)

    def run(self, adapter, seed=0, limit=6, batch_size=3):
        settings = load_params(ROOT / "params.yaml").model_copy(
            update={
                "model": "tiny_llama",
                "seed": seed,
                "infer": INFER.model_copy(update={"batch_size": batch_size}),
                "probes": ProbeParams(enabled=True, limit=limit),
            }
        )
        with answer_rows("tiny_llama", SPEC, settings.infer, ROWS, adapter) as answers:
            said = answers.predictions
            table, _ = probe_rows(
                settings, SPEC, "It is: {class}.", self.folder, ROWS, said, adapter,
                answers.progress,
            )  # fmt: skip
        return said, table.to_dicts()


@pytest.fixture
def inference(tmp_path):
    return Inference(tmp_path / "decomposed")


def kill_at_batch(number, patch):
    """Kill in the batch of probes of that number; return a list that grows with every batch."""
    original, asked = ProbeEngine._shared, []

    def share(self, crew, here, shares):
        asked.append(sum(map(len, shares)))
        if len(asked) == number:
            raise Killed
        return original(self, crew, here, shares)

    patch.setattr(ProbeEngine, "_shared", share)
    return asked


def test_inference_killed_at_its_probes_keeps_its_answers_and_the_probes_that_are_done(
    project, undisturbed, inference, monkeypatch
):
    adapter = undisturbed[5].folder / "adapter"
    with monkeypatch.context() as patch:
        whole = kill_at_batch(None, patch)
        expected = inference.run(adapter)
    assert len(whole) > 4
    with monkeypatch.context() as patch, pytest.raises(Killed):
        kill_at_batch(4, patch)
        inference.run(adapter)
    (journal,) = (project / ".checkpoints").glob("infer-*/probes-*.jsonl")
    with journal.open("ab") as torn:
        torn.write(b"[[[1, 2")

    def generate(*_):
        raise AssertionError("answers are asked for again")

    monkeypatch.setattr(TransformersBackend, "generate", generate)
    again = kill_at_batch(None, monkeypatch)
    assert inference.run(adapter) == expected
    assert again == whole[3:]
    assert list((project / ".checkpoints").iterdir()) == []


@pytest.mark.parametrize(
    "other", [{"adapter": 6}, {"seed": 1}, {"limit": 7}, {"batch_size": 4}], ids=str
)
def test_probes_of_one_adapter_or_setting_are_not_taken_for_those_of_another(
    undisturbed, inference, monkeypatch, other
):
    other = {"adapter": 5} | other
    other["adapter"] = undisturbed[other["adapter"]].folder / "adapter"
    with monkeypatch.context() as patch:
        whole = kill_at_batch(None, patch)
        expected = inference.run(**other)
    with monkeypatch.context() as patch, pytest.raises(Killed):
        kill_at_batch(6, patch)
        inference.run(undisturbed[5].folder / "adapter")
    again = kill_at_batch(None, monkeypatch)
    assert inference.run(**other) == expected
    assert again == whole


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("swallowed", [False, True])
def test_stop_request_ends_inference_at_once_and_says_what_is_kept(
    undisturbed, monkeypatch, number, swallowed, capsys
):
    original, asked = TransformersBackend.generate, []

    def generate(self, prompts, limits):
        asked.append(len(prompts))
        if len(asked) == 3:
            # As in a finalizer, whose exceptions Python drops.
            with contextlib.suppress(SystemExit if swallowed else ()):
                os.kill(os.getpid(), number)
        return original(self, prompts, limits)

    monkeypatch.setattr(TransformersBackend, "generate", generate)
    with pytest.raises(SystemExit) as left:
        answered(undisturbed[5].folder / "adapter")
    assert left.value.code == 128 + number
    kept = 2 + swallowed
    assert f"{number.name}: {kept} of 5 batches are kept; run again" in capsys.readouterr().out
    answered(undisturbed[5].folder / "adapter")
    assert len(asked) == 3 + 5 - kept


def test_journal_drops_the_value_that_was_cut_off(tmp_path):
    path = tmp_path / "j"
    with Journal(path) as journal:
        journal.append([1])
        journal.append({"a": 2})
    path.write_bytes(path.read_bytes()[:-1] + b'\n{"b": 3')
    with Journal(path) as journal:
        assert [journal.recall(), journal.recall(), journal.recall()] == [[1], {"a": 2}, None]
        journal.append(4)
        assert journal.recall() is None
    assert path.read_text() == '[1]\n{"a": 2}\n4\n'


def test_second_process_at_the_same_work_is_refused_by_the_first_ones_number(project):
    holder = (
        "from tracekd.progress import progress_folder\n"
        "import sys\n"
        "with progress_folder('train', {'seed': 1}):\n"
        "    print('held', flush=True)\n"
        "    sys.stdin.read()\n"
    )
    first = subprocess.Popen(
        [sys.executable, "-c", holder], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(ROOT / "src")},
    )  # fmt: skip
    assert first.stdout is not None
    assert first.stdout.readline() == b"held\n"
    with (
        pytest.raises(TracekdError, match=rf"train: process {first.pid} is at this very work"),
        progress_folder("train", {"seed": 1}),
    ):
        pass
    with progress_folder("train", {"seed": 2}) as other:
        assert other.is_dir()
    first.kill()
    first.communicate()
    with progress_folder("train", {"seed": 1}) as again:
        assert again.is_dir()
    assert list((project / ".checkpoints").iterdir()) == []


def test_failed_work_keeps_its_folder_and_other_work_does_not_see_it():
    with pytest.raises(RuntimeError), progress_folder("train", {"seed": 1}) as folder:
        (folder / "step").write_text("3")
        raise RuntimeError
    with progress_folder("train", {"seed": 2}) as other:
        assert list(other.iterdir()) == []
    with progress_folder("train", {"seed": 1}) as again:
        assert (again / "step").read_text() == "3"


def test_fingerprint_follows_the_files_and_the_entry(tmp_path):
    model = locate("tiny_llama", SPEC)
    first = fingerprint(SPEC, model)
    assert json.dumps(first) == json.dumps(fingerprint(SPEC, model))
    assert fingerprint(SPEC.model_copy(update={"max_length": 7}), model) != first
    copy = shutil.copytree(model, tmp_path / "copy")
    assert fingerprint(SPEC, copy) == first
    weights = next(copy.glob("*.safetensors"))
    weights.write_bytes(weights.read_bytes()[:-1] + b"x")
    changed = [first, fingerprint(SPEC, copy)]
    for file in ("tokenizer.json", "chat_template.jinja", "generation_config.json"):
        with (copy / file).open("a") as opened:
            opened.write(" ")
        changed.append(fingerprint(SPEC, copy))
    assert len({json.dumps(each) for each in changed}) == 5


def test_fingerprint_follows_compiled_code_and_further_packages(tmp_path, monkeypatch):
    model = locate("tiny_llama", SPEC)
    package = shutil.copytree(ROOT / "src/tracekd", tmp_path / "tracekd")
    monkeypatch.setattr(checkpoints, "__file__", str(package / "checkpoints.py"))
    first = fingerprint(SPEC, model)
    with (package / "kernels/passes.c").open("a") as opened:
        opened.write("//")
    assert fingerprint(SPEC, model)["code"] != first["code"]
    further = fingerprint(SPEC, model, ("pytest", "not-installed"))["packages"]
    assert further == first["packages"] | {"pytest": pytest.__version__}


class Told:
    """What the Trainer tells its callbacks, and what they tell it."""

    should_save = should_training_stop = False

    def __init__(self, step, steps):
        self.global_step, self.max_steps = step, steps


@pytest.mark.parametrize(("step", "ends"), [(7, True), (8, False)])
def test_a_request_in_the_last_step_lets_the_run_end(step, ends):
    # It would otherwise begin an epoch that the schedule does not have when it goes on.
    stop, told = StopRequest(), Told(step, 8)
    stop.signal = signal.SIGTERM
    Keeper(None, stop, 0).on_step_end(None, told, told)
    assert (told.should_save, told.should_training_stop) == (ends, ends)


def test_a_log_that_a_killed_run_has_left_in_a_checkpoint_is_replaced(tmp_path):
    (tmp_path / "log").mkdir()
    (tmp_path / "log/loss.tsv").write_text("new")
    (tmp_path / "checkpoint-1/log").mkdir(parents=True)
    (tmp_path / "checkpoint-1/log/old.tsv").write_text("old")
    Monitor(None, tmp_path / "log", 1, "").keep(tmp_path / "checkpoint-1")
    assert [path.name for path in (tmp_path / "checkpoint-1/log").iterdir()] == ["loss.tsv"]
    assert last_checkpoint(tmp_path) == tmp_path / "checkpoint-1"
