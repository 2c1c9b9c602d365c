import os
import signal
import subprocess
import sys
import time

import pytest

from tracekd.progress import Stopped, StopRequest, progress_folder

KEY = {"seed": 0, "data": ["q/1"]}
RESUME = f"""
from tracekd.progress import progress_folder
with progress_folder("train", {KEY}) as folder:
    print(folder.joinpath("step").read_text())
"""


@pytest.fixture(autouse=True)
def root(monkeypatch, tmp_path):
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))
    return tmp_path


def test_a_failed_job_leaves_its_folder_to_the_same_job_and_no_other():
    with pytest.raises(RuntimeError), progress_folder("train", KEY) as folder:
        (folder / "step").write_text("7")
        raise RuntimeError
    with progress_folder("train", KEY | {"seed": 1}) as other:
        assert not (other / "step").exists()
    with progress_folder("train", dict(reversed(KEY.items()))) as folder:
        assert (folder / "step").read_text() == "7"
    assert not folder.exists(), "deleted on success"


def test_a_second_process_with_the_same_job_waits_and_goes_on_from_the_first_ones_result(root):
    pipe = subprocess.PIPE
    with progress_folder("train", KEY) as folder:
        (folder / "step").write_text("7")
        second = subprocess.Popen([sys.executable, "-c", RESUME], stdout=pipe, stderr=pipe)
        while not list((root / ".checkpoints").glob("*.waiting-*")):
            assert second.poll() is None, "it ended without waiting"
            time.sleep(0.05)
    out, err = second.communicate()
    assert (second.returncode, out) == (0, b"7\n")
    assert b"train: waiting for another process that runs the same job" in err
    assert not list((root / ".checkpoints").iterdir()), "the last one deletes everything"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_first_signal_is_recorded_and_another_ctrl_c_stops_at_once(number):
    before = signal.getsignal(number)
    with StopRequest() as stop:
        stop.check("nothing")
        os.kill(os.getpid(), number)
        assert stop.signal == number
        os.kill(os.getpid(), signal.SIGTERM)  # passed on by another process: the same request
        with pytest.raises(Stopped):
            os.kill(os.getpid(), signal.SIGINT)
    assert signal.getsignal(number) == before


def test_a_stop_request_ends_with_the_shells_exit_code(capsys):
    with StopRequest() as stop:
        os.kill(os.getpid(), signal.SIGTERM)
        with pytest.raises(Stopped) as stopped:
            stop.check("3 of 9 batches")
    assert stopped.value.code == 128 + signal.SIGTERM
    assert "SIGTERM: 3 of 9 batches kept; run again to resume" in capsys.readouterr().err
