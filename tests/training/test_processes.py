"""Two gloo processes take the steps of one, and end together."""

import subprocess
import sys
import time
from pathlib import Path

import pytest
import together
from hypothesis import given
from hypothesis import strategies as st
from training_runs import spec

from tracekd.errors import TracekdError
from tracekd.models.devices import Device
from tracekd.models.loading import load_base, load_student
from tracekd.progress import Stopped
from tracekd.training import processes
from tracekd.training.processes import Ranks, launch, process_count

TESTS = Path(__file__).parent


def slow(*values):
    return pytest.param(*values, marks=pytest.mark.slow)


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    """One process: an undisturbed run, and one that stopped after a step."""
    folder = tmp_path_factory.mktemp("alone")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TRACEKD_CACHE", str(tmp_path_factory.getbasetemp() / "model-cache"))
        patch.setenv("TRACEKD_CHECKPOINT_SECONDS", "0")
        losses = together.fit_all(folder)
        together.fit_all(folder / "resumed", stop_at=1)
    return folder, losses


def test_two_processes_resume_what_one_began_and_train_as_one(alone):
    folder, expected = alone
    losses = launch(2, together.fit_all, folder / "resumed")
    for kind in ("lora", "full"):
        assert losses[kind] == approximately(expected[kind])
        same_weights(folder / "resumed" / kind, folder / kind)


@pytest.mark.slow
def test_one_process_resumes_what_two_began(alone, tmp_path):
    folder, expected = alone
    launch(2, together.fit_all, tmp_path, 2)
    for kind in ("lora", "full"):
        (checkpoint,) = (tmp_path / kind / "progress").iterdir()
        assert checkpoint.name == "step-2"
    losses = together.fit_all(tmp_path)
    for kind in ("lora", "full"):
        assert losses[kind] == approximately(expected[kind])
        same_weights(tmp_path / kind, folder / kind)


def approximately(result):
    return {name: pytest.approx(value, rel=1e-5) for name, value in result.items()}


def same_weights(one, other):
    import torch

    found, expected = together.weights(one), together.weights(other)
    assert found.keys() == expected.keys()
    for name, weight in expected.items():
        torch.testing.assert_close(found[name], weight, atol=2e-5, rtol=0, msg=name)


@given(st.lists(st.integers(1, 99), min_size=1, max_size=50), st.integers(2, 5))
def test_every_row_is_in_one_share_and_shares_are_balanced(lengths, count):
    shares = Ranks(0, count).share(range(len(lengths)), lengths)
    assert sorted(row for share in shares for row in share) == list(range(len(lengths)))
    tokens = [sum(lengths[row] for row in share) for share in shares]
    assert max(tokens) - min(tokens) <= max(lengths)


def test_sharded_weights_need_as_many_passes_everywhere():
    lengths = [40, 30, 20]
    for even, own in ((False, []), (True, [([2], 0)])):
        first, second, third, fourth = (
            Ranks(rank, 4).passes([0, 1, 2], lengths, 1, even) for rank in range(4)
        )
        assert [first, second, third] == [[([0], 1)], [([1], 1)], [([2], 1)]]
        assert fourth == own
    assert Ranks(0, 1).passes([2, 0, 1], lengths, 10**6, False) == [([0, 1, 2], 1)]


@pytest.mark.parametrize(
    ("how", "error", "message"),
    [
        ("asked", Stopped, "143"),
        slow("error", TracekdError, "^row 7: is wrong$"),
        slow(
            "killed", TracekdError, "process 1 of 2 was ended by SIGKILL; if nobody did that, the"
        ),
        slow("bug", RuntimeError, "(?s)Traceback.*KeyError: 'a bug'"),
    ],
)
def test_all_processes_end_where_one_fails_or_the_stage_is_asked_to_stop(
    tmp_path, how, error, message
):
    started = time.monotonic()
    with pytest.raises(error, match=message):
        launch(2, together.fail, how, tmp_path)
    assert time.monotonic() - started < 60
    numbers = [int(path.name) for path in tmp_path.iterdir() if path.name.isdecimal()]
    assert len(numbers) == 2
    assert not any(running(number) for number in numbers)
    stopped = {path.name.split("-")[2] for path in tmp_path.glob("stopped-*")}
    assert len(stopped) == (how == "asked"), "all processes stop at the same step"


@pytest.mark.slow
def test_no_process_outlives_the_stage(tmp_path):
    code = (
        "import sys\n"
        f"sys.path.insert(0, {str(TESTS)!r})\n"
        "import together\n"
        "from tracekd.training.processes import launch\n"
        "if __name__ == '__main__':\n"
        f"    launch(2, together.fail, 'nobody', {str(tmp_path / 'pids')!r})\n"
    )
    (tmp_path / "pids").mkdir()
    (tmp_path / "stage.py").write_text(code)
    stage = subprocess.Popen([sys.executable, tmp_path / "stage.py"])
    await_(lambda: len(list((tmp_path / "pids").iterdir())) == 2)
    stage.kill()
    stage.wait()
    numbers = [int(path.name) for path in (tmp_path / "pids").iterdir()]
    await_(lambda: not any(running(number) for number in numbers))


def await_(condition):
    end = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.05)


def running(number):
    """Whether a process runs; one that has ended may be left for its parent to collect."""
    try:
        return "\nState:\tZ" not in Path(f"/proc/{number}/status").read_text()
    except FileNotFoundError:
        return False


@pytest.mark.slow
@pytest.mark.parametrize("method", ["lora", "full"])
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_two_processes_write_one_student_that_loads(tmp_path, monkeypatch, method, dtype):
    import torch

    monkeypatch.setenv("TRACEKD_DTYPE", dtype)
    facts = launch(2, together.train_stage, tmp_path, method)
    assert (facts["processes"], facts["steps"]) == (2, 6)
    assert list((tmp_path / ".checkpoints").iterdir()) == []
    device = Device(torch.device("cpu"), getattr(torch, dtype))
    monkeypatch.chdir(tmp_path)
    student = load_student(spec(), tmp_path / "student", device)
    base = load_base(spec(), device)
    assert student.dtype == device.dtype
    difference = [
        float((one - other).abs().max())
        for one, other in zip(student.parameters(), base.parameters(), strict=True)
    ]
    assert 0 < max(difference) < 0.1


def test_one_process_for_each_gpu_unless_the_user_says_how_many(monkeypatch):
    monkeypatch.delenv("TRACEKD_PROCESSES", raising=False)
    monkeypatch.setattr(processes.torch.cuda, "device_count", lambda: 0)
    assert process_count() == 1
    monkeypatch.setattr(processes.torch.cuda, "device_count", lambda: 8)
    assert process_count() == 8
    monkeypatch.setenv("TRACEKD_PROCESSES", "2")
    assert process_count() == 2
    monkeypatch.setenv("TRACEKD_PROCESSES", "9")
    with pytest.raises(TracekdError, match="at most 8, the number of visible GPUs; found '9'"):
        process_count()
    monkeypatch.delenv("TRACEKD_PROCESSES")
    monkeypatch.setenv("TRACEKD_DEVICE", "cpu")
    assert process_count() == 1


@pytest.mark.parametrize("name", ["WORLD_SIZE", "ACCELERATE_USE_DEEPSPEED"])
def test_other_launchers_are_refused(monkeypatch, name):
    monkeypatch.setenv(name, "2")
    with pytest.raises(TracekdError, match=f"{name} is set, .* starts its own processes"):
        process_count()
