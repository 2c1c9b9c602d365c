"""The launcher for SLURM, on a real one that the tests start."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from slurm_cluster import SlurmCluster, slurm_cluster
from toy import wait_for

from tracekd.errors import TracekdError
from tracekd.grid.launchers import GridTask, TaskState
from tracekd.grid.settings import Resources, SlurmOptions
from tracekd.grid.slurm import SlurmLauncher

ROOT = Path(__file__).resolve().parents[2]
ONE_GPU = Resources(gpus=1, hours=0.5)

# In place of `grid.py work`: writes what it was given, and ends when it is told to.
TASK = """
import json, os, signal, sys, time
from pathlib import Path
sys.path.insert(0, {src!r})
from tracekd.grid.settings import SlurmOptions
from tracekd.grid.slurm import SlurmLauncher
command, folder, index = sys.argv[1:]
note = Path(folder) / f"{{index}}.json"
seen = json.loads(note.read_text()) if note.exists() else []
keys = ("CUDA_VISIBLE_DEVICES", "SLURM_CPUS_PER_TASK")
def write(event):
    given = {{key: os.environ.get(key) for key in keys}}
    seen.append({{"event": event, "cwd": os.getcwd()}} | given)
    note.write_text(json.dumps(seen))
def stop(signum, frame):
    write(signal.Signals(signum).name)
    if signum == signal.SIGUSR1:
        SlurmLauncher(SlurmOptions()).requeue()
    sys.exit(1)
signal.signal(signal.SIGUSR1, stop)
signal.signal(signal.SIGTERM, stop)
write(command)
while not Path(folder, "go").exists():
    time.sleep(0.05)
write("done")
"""


@pytest.fixture(scope="module")
def cluster() -> Iterator[SlurmCluster]:
    with slurm_cluster() as started:
        yield started


@pytest.fixture
def slurm(cluster: SlurmCluster, monkeypatch: pytest.MonkeyPatch) -> Iterator[SlurmCluster]:
    """The cluster, to which this process's commands go; without jobs, before and after."""
    monkeypatch.setenv("SLURM_CONF", str(cluster.conf))
    yield cluster
    cluster("scancel", "--user=root")
    cluster.wait_until_empty()


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A checkout whose path a shell or sbatch would read in its own way."""
    root = tmp_path / "it's 100%j $HOME"
    (root / "stages").mkdir(parents=True)
    (root / "stages/grid.py").write_text(TASK.format(src=str(ROOT / "src")))
    (root / "grid/logs").mkdir(parents=True)
    return root


def tasks(*indices: int, resources: Resources = ONE_GPU) -> list[GridTask]:
    return [GridTask(index, f"cell-{index}", resources, {}) for index in indices]


def events(root: Path, index: int) -> list[str]:
    path = root / f"grid/{index}.json"
    return [row["event"] for row in json.loads(path.read_text())] if path.exists() else []


@pytest.mark.slow
def test_tasks_run_with_what_they_need_and_their_index(slurm: SlurmCluster, root: Path) -> None:
    launcher = SlurmLauncher(SlurmOptions(partition="main"))
    more = tasks(1003, resources=Resources(gpus=1, cores=2))
    jobs = launcher.submit(root, root / "grid", [*tasks(0, 2, 1001), *more])
    assert sorted(jobs.values()) == [[0, 2], [1001], [1003]]
    slurm.wait_until("RUNNING")
    states = launcher.states(root / "grid", jobs)
    assert sorted(states) == [0, 2, 1001, 1003]
    assert {state.note for state in states.values() if state.phase == "running"} <= {"one", "two"}
    (root / "grid/go").touch()
    slurm.wait_until_empty()
    for index in (0, 2, 1001, 1003):
        assert events(root, index) == ["work", "done"]
        note = json.loads((root / f"grid/{index}.json").read_text())[0]
        cores = "2" if index == 1003 else "1"
        assert (note["cwd"], note["CUDA_VISIBLE_DEVICES"]) == (str(root), "0")
        assert note["SLURM_CPUS_PER_TASK"] == cores
    assert len(list((root / "grid/logs").glob("slurm-*_*.out"))) == 4
    ended = launcher.states(root / "grid", jobs)
    assert set(ended.values()) == {TaskState("gone", "COMPLETED")}
    [again] = launcher.submit(root, root / "grid", tasks(0))
    assert launcher.states(root / "grid", jobs | {again: [0]})[0].phase != "gone"


@pytest.mark.slow
def test_a_task_whose_time_ends_puts_itself_in_the_queue_again(
    slurm: SlurmCluster, root: Path
) -> None:
    minute = Resources(hours=1 / 60)  # less than the two minutes of warning: SLURM warns at once
    [job] = SlurmLauncher(SlurmOptions()).submit(root, root / "grid", tasks(7, resources=minute))
    wait_for(lambda: "SIGUSR1" in events(root, 7), 60)
    state = SlurmLauncher(SlurmOptions()).states(root / "grid", {job: [7]})[7]
    assert state.phase in ("waiting", "running")
    wait_for(lambda: events(root, 7).count("work") == 2)
    (root / "grid/go").touch()
    slurm.wait_until_empty()
    assert events(root, 7)[-1] == "done"


@pytest.mark.slow
def test_cancelled_tasks_end_with_sigterm(slurm: SlurmCluster, root: Path) -> None:
    launcher = SlurmLauncher(SlurmOptions(at_once=1))
    [job] = launcher.submit(root, root / "grid", tasks(0, 1))
    wait_for(lambda: events(root, 0) == ["work"])
    states = launcher.states(root / "grid", {job: [0, 1]})
    assert states[1] == TaskState("waiting", "JobArrayTaskLimit")
    launcher.cancel(root / "grid", job)
    slurm.wait_until_empty()
    assert (events(root, 0), events(root, 1)) == (["work", "SIGTERM"], [])
    states = launcher.states(root / "grid", {job: [0, 1]})
    assert states.get(0) == TaskState("gone", "CANCELLED")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("options", "resources", "said"),
    [
        (SlurmOptions(partition="nosuch"), ONE_GPU, "invalid partition specified: nosuch"),
        (SlurmOptions(partition="closed"), ONE_GPU, "Required partition not available"),
        (SlurmOptions(), Resources(gpus=2), "Requested node configuration is not available"),
        (SlurmOptions(extra={"nosuch": 1}), ONE_GPU, "unrecognized option '--nosuch=1'"),
        (SlurmOptions(template="nosuch.sh"), ONE_GPU, r"nosuch\.sh is not there; copy .*slurm\.sh"),
    ],
)
def test_what_slurm_refuses_is_said_before_submission(
    slurm: SlurmCluster, options: SlurmOptions, resources: Resources, said: str
) -> None:
    with pytest.raises(TracekdError, match=said):
        SlurmLauncher(options).check([ONE_GPU, resources])
    assert slurm.jobs() == []


@pytest.mark.slow
def test_nothing_of_a_grid_is_submitted_if_slurm_refuses_a_part(
    slurm: SlurmCluster, root: Path
) -> None:
    refused = tasks(1, resources=Resources(gpus=2))
    with pytest.raises(TracekdError, match="Requested node configuration"):
        SlurmLauncher(SlurmOptions()).submit(root, root / "grid", [*tasks(0), *refused])
    slurm.wait_until_empty(5)


@pytest.mark.slow
def test_jobs_for_drained_nodes_are_accepted_with_a_warning(
    slurm: SlurmCluster, capfd: pytest.CaptureFixture[str]
) -> None:
    slurm("scontrol", "update", "NodeName=one,two", "State=DRAIN", "Reason=test")
    try:
        SlurmLauncher(SlurmOptions()).check([ONE_GPU])
    finally:
        slurm("scontrol", "update", "NodeName=one,two", "State=RESUME")
    assert "could not start such a task now: sbatch: allocation failure" in capfd.readouterr().err


def test_a_machine_without_slurm(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(TracekdError, match="no sbatch on PATH; submit from a machine of the"):
        SlurmLauncher(SlurmOptions()).check([ONE_GPU])
    with pytest.raises(TracekdError, match="no squeue on PATH"):
        SlurmLauncher(SlurmOptions()).states(Path(), {})
