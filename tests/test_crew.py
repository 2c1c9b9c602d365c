import gc
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracekd.config import TrainParams, load_model
from tracekd.crew import Crew, crew_size, share_out, shared_zeros
from tracekd.errors import TracekdError
from tracekd.models.devices import Device, tune_process
from tracekd.models.loading import add_adapter, load_base, load_encoder
from tracekd.training.run import encode_rows, fine_tune

ROOT = Path(__file__).resolve().parents[1]
SPEC = load_model(ROOT / "models.yaml", "tiny_llama")
ROWS = [
    {
        "id": f"t/{number}",
        "system": "You are helpful.",
        "prompt": f"{'Mary is here. ' * (number % 5)}Where is Mary?",
        "completion": f"<answer>{place}</answer>",
        "answer_start": 0,
    }
    for number, place in enumerate(["kitchen", "garden", "office", "hallway"] * 3)
]
pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="crews are forked on Linux only")


@pytest.fixture(scope="module")
def device():
    tune_process()
    import torch

    return Device(torch.device("cpu"), torch.float32)


@pytest.fixture
def two_threads(device, set_threads):
    set_threads(2)


@pytest.fixture
def trained(device, tmp_path, monkeypatch):
    """Train on ROWS with so many threads; return the weights and what the run did."""
    import torch

    monkeypatch.setenv("TRACEKD_CACHE", str(tmp_path / "cache"))

    def train(threads, rows=ROWS, corrupt=None, **changes):
        settings = {"epochs": 2, "batch_size": 4, "learning_rate": 1e-2, "lora_rank": 4}
        settings |= {"lora_alpha": 8, "lora_dropout": 0.0, "warmup": 0.1, "evaluations": 1}
        params = TrainParams(**{**settings, **changes})
        model = add_adapter(load_base("tiny_llama", SPEC, device), params, 3)
        if corrupt:
            corrupt(model)
        examples = encode_rows(load_encoder("tiny_llama", SPEC), rows)
        log = tmp_path / str(len(list(tmp_path.iterdir())))
        before = torch.get_num_threads()
        torch.set_num_threads(threads)
        try:
            course = fine_tune(
                *(model, examples, examples, params, 0, device, 0, log, tmp_path / "progress")
            )
        finally:
            torch.set_num_threads(before)
        weights = torch.cat([w.flatten() for w in model.parameters() if w.requires_grad])
        return weights.detach(), course

    return train


@given(st.lists(st.integers(1, 999), min_size=1, max_size=40), st.integers(1, 9))
def test_shares_hold_each_row_once_and_differ_by_a_row_at_most(lengths, shares):
    parts = share_out(lengths, shares)
    assert sorted(row for part in parts for row in part) == list(range(len(lengths)))
    assert len(parts) == min(shares, len(lengths))
    assert all(parts)
    tokens = [sum(lengths[row] for row in part) for part in parts]
    assert max(tokens) - min(tokens) <= max(lengths)


def test_longest_row_goes_first_and_each_to_the_least_loaded_share():
    assert share_out([5, 9, 4, 1], 2) == [[1, 3], [0, 2]]
    assert share_out([5, 9], 4) == [[1], [0]]


def test_crew_of_two_trains_as_one_process_does(trained):
    import torch

    alone, course_alone = trained(1)
    shared, course = trained(2)
    torch.testing.assert_close(shared, alone, atol=2e-4, rtol=0)
    assert course.steps == course_alone.steps == 6
    assert course.last["loss"] == pytest.approx(course_alone.last["loss"], abs=1e-4)
    for validated, expected in zip(course.validations, course_alone.validations, strict=True):
        assert validated == pytest.approx(expected, abs=1e-4)
    assert course.crew_memory > 0 == course_alone.crew_memory


@pytest.mark.parametrize("changes", [{}, {"lora_dropout": 0.3}, {"accumulate": 2}])
def test_crew_ends_with_the_same_bytes_each_time(trained, changes):
    import torch

    assert torch.equal(trained(2, **changes)[0], trained(2, **changes)[0])


def test_incomplete_batch_of_one_row_needs_no_worker(trained):
    import torch

    torch.testing.assert_close(trained(2, ROWS[:9])[0], trained(1, ROWS[:9])[0], atol=2e-4, rtol=0)


def test_fault_in_a_worker_is_told_as_one_in_this_process(trained):
    parent = os.getpid()

    def corrupt(model):
        def poison(*_):
            if model.training and os.getpid() != parent:
                model.base_model.model.model.norm.weight.data.fill_(float("nan"))

        model.register_forward_pre_hook(poison)

    with pytest.raises(TracekdError, match=r"step 1: the loss is nan; the batch holds t/"):
        trained(2, corrupt=corrupt)


def test_error_and_memory_come_back_from_a_worker(two_threads):
    import torch

    shared = shared_zeros(2)

    def work(worker, request):
        if request == "fail":
            raise TracekdError("as told")
        shared[worker] = request
        return request * 2

    crew = Crew(2, work)
    try:
        assert crew.share(lambda: "own", [5, 7]) == ("own", [10, 14])
        assert shared.tolist() == [5.0, 7.0]
        assert crew.share(torch.get_num_threads, [1]) == (1, [2])
        assert torch.get_num_threads() == 2
        assert shared.tolist() == [1.0, 7.0]
        with pytest.raises(TracekdError, match="as told"):
            crew.share(lambda: None, ["fail"])
    finally:
        crew.close()


def test_killed_worker_is_an_error_that_says_what_to_do(two_threads):
    crew = Crew(1, lambda *_: os.kill(os.getpid(), signal.SIGKILL))
    with pytest.raises(TracekdError, match=r"was killed, probably for want of memory; run again"):
        crew.share(lambda: None, [1])


def test_answer_that_nobody_has_read_is_not_taken_for_a_later_one(two_threads):
    crew = Crew(1, lambda _, request: request)

    def fail():
        raise ValueError("in this process")

    with pytest.raises(ValueError, match="in this process"):
        crew.share(fail, ["first"])
    with pytest.raises(RuntimeError, match="this crew has ended"):
        crew.share(lambda: None, ["second"])
    assert not any(_runs(pid) for pid in crew._pids)


def test_signals_to_all_processes_leave_the_decision_to_the_parent(two_threads):
    crew = Crew(1, lambda _, request: request)
    try:
        for number in (signal.SIGINT, signal.SIGTERM):
            assert crew.share(lambda: None, [1]) == (None, [1])
            os.kill(crew._pids[0], number)
        assert crew.share(lambda: None, [2]) == (None, [2])
    finally:
        crew.close()


def test_workers_end_when_nothing_refers_to_the_crew(two_threads):
    crew = Crew(1, lambda _, request: request)
    worker = crew._pids[0]
    assert _runs(worker)
    del crew
    gc.collect()
    assert not _runs(worker)


def test_workers_end_when_their_parent_is_killed():
    program = (
        "from tracekd.crew import Crew\n"
        "crew = Crew(2, lambda _, request: request)\n"
        "print(*crew._pids, flush=True)\n"
        "import time; time.sleep(60)"
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", program],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT / "src")},
    )
    workers = [int(pid) for pid in parent.stdout.readline().split()]
    assert len(workers) == 2
    parent.kill()
    parent.wait()
    for _ in range(100):
        if not any(Path(f"/proc/{pid}/status").exists() for pid in workers):
            break
        time.sleep(0.1)
    assert not any(_runs(pid) for pid in workers)


def _runs(pid):
    status = Path(f"/proc/{pid}/status")
    return status.exists() and "State:\tZ" not in status.read_text()


def test_size_is_one_process_for_each_thread(two_threads):
    import torch

    assert crew_size(torch.device("cpu")) == 2
    assert crew_size(torch.device("meta")) == 1


def test_shared_memory_is_zero_and_seen_by_a_forked_process():
    place = shared_zeros(4)
    assert place.tolist() == [0.0] * 4
    pid = os.fork()
    if pid == 0:
        place[2] = 7.0
        os._exit(0)
    os.waitpid(pid, 0)
    assert place.tolist() == [0.0, 0.0, 7.0, 0.0]
