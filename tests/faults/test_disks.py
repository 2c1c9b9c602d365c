"""Disks that are full, folders and files that may not be used, clocks that go back.

Each ends in one sentence for the reader; earlier outputs are as they were, nothing is half-written.
"""

import contextlib
import os
import resource
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from checkout import Project, checkout, environment, stages_run
from driver import Pipeline

from tracekd.files import sha256_file
from tracekd.training.callbacks import last_checkpoint

#: Option -> path of what a stage writes, and the same for what the user keeps from earlier runs.
OUTPUTS = {
    "prepare": {"--out": "data/prepared"},
    "decompose": {"--out": "data/decomposed"},
    "build_sft": {"--out": "data/sft"},
    "train": {
        "--adapter": "models/adapter",
        "--log": "plots/train",
        "--card": "metrics/run_train.json",
    },
    "infer": {
        "--out": "data/predictions.parquet",
        "--probes": "data/probes.parquet",
        "--card": "metrics/run_infer.json",
    },
    "analyze": {"--scores": "data/scores.parquet", "--metrics": "metrics", "--plots": "plots"},
}
QUICK = ("prepare", "decompose", "build_sft")
STAGES = [pytest.param(name, marks=() if name in QUICK else pytest.mark.slow) for name in OUTPUTS]
#: Without these, root is refused what other users are refused.
WITHOUT_POWERS = ("setpriv", "--bounding-set=-dac_override,-dac_read_search")


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A checkout in which the three stages without a model have run."""
    project = checkout(tmp_path_factory.mktemp("data"))
    for name in QUICK:
        project.run(sys.executable, f"stages/{name}.py")
    return project


@pytest.fixture
def project(request: pytest.FixtureRequest) -> Project:
    """A checkout with the inputs and earlier outputs of the stage under test."""
    stage = request.node.callspec.params["stage"]
    if stage in QUICK:
        found: Project = request.getfixturevalue("data")
        return found
    pipeline: Pipeline = request.getfixturevalue("pipeline")
    return Project(pipeline.before["done"])


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """An empty file system of 4 MiB."""
    with mounted(tmp_path / "disk", "-t", "tmpfs", "-o", "size=4m", "tmpfs") as folder:
        yield folder


class mounted:  # noqa: N801
    """A folder at which something is mounted during a block; skips where that is not allowed."""

    def __init__(self, folder: Path, *arguments: str) -> None:
        self.folder, self.arguments = folder, arguments

    def __enter__(self) -> Path:
        self.folder.mkdir(exist_ok=True)
        command = ["mount", *self.arguments, str(self.folder)]
        if shutil.which("mount") is None or subprocess.run(command, check=False).returncode:
            pytest.skip("needs the right to mount a file system")
        return self.folder

    def __exit__(self, *_: object) -> None:
        subprocess.run(["umount", str(self.folder)], check=True)


def earlier_outputs(project: Project, stage: str, target: Path) -> list[str]:
    """Copy a stage's earlier outputs to `target`; return the options that make it write there."""
    options = []
    for option, name in OUTPUTS[stage].items():
        source, copy = project.path / name, target / name
        copy.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, copy, dirs_exist_ok=True)
        else:
            shutil.copy2(source, copy)
        options += [option, str(copy)]
    return options


def run_stage(
    project: Project,
    stage: str,
    *options: str,
    prefix: tuple[str, ...] = (),
    root: Path | None = None,
    most_bytes: int | None = None,
) -> "subprocess.CompletedProcess[str]":
    def limit() -> None:
        if most_bytes is not None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (most_bytes, most_bytes))

    return subprocess.run(
        [*prefix, sys.executable, f"stages/{stage}.py", *options],
        cwd=project.path,
        env=environment() | {"DVC_ROOT": str(root or project.path)},
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=limit,
    )


def contents(folder: Path) -> dict[str, str]:
    """Return the hash of every file but the live log's; an unfinished one would be among them."""
    files = {str(path.relative_to(folder)): path for path in folder.rglob("*") if path.is_file()}
    return {
        name: sha256_file(path)
        for name, path in files.items()
        if name != "filling" and not name.startswith(("plots/train/", ".checkpoints/"))
    }


def check_one_sentence(done: "subprocess.CompletedProcess[str]", *words: str) -> None:
    errors = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert done.returncode == 1, done.stderr
    assert "Traceback" not in done.stderr, done.stderr
    assert len(errors) == 1, done.stderr
    for word in words:
        assert word in errors[0]


def fill(disk: Path) -> None:
    """Leave no room for a byte."""
    with (disk / "filling").open("wb", buffering=0) as filling, contextlib.suppress(OSError):
        while True:
            filling.write(bytes(1 << 16))
    assert shutil.disk_usage(disk).free == 0


@pytest.mark.parametrize("stage", STAGES)
def test_full_disk(project: Project, stage: str, disk: Path, tmp_path: Path) -> None:
    options = earlier_outputs(project, stage, disk)
    before = contents(disk)
    fill(disk)
    done = run_stage(project, stage, *options, root=tmp_path)
    check_one_sentence(done, "No space left on device", "free some space and run again")
    assert contents(disk) == before
    (disk / "filling").unlink()
    again = run_stage(project, stage, *options, root=tmp_path)
    assert again.returncode == 0, again.stderr


@pytest.mark.slow
@pytest.mark.parametrize("stage", ["train", "infer"])
def test_full_disk_where_progress_is_kept(
    project: Project, stage: str, disk: Path, tmp_path: Path
) -> None:
    options = earlier_outputs(project, stage, tmp_path / "outputs")
    before = contents(tmp_path / "outputs")
    fill(disk)
    done = run_stage(project, stage, *options, root=disk)
    check_one_sentence(done, "No space left on device", "free some space and run again")
    assert contents(tmp_path / "outputs") == before
    (disk / "filling").unlink()
    again = run_stage(project, stage, *options, root=disk)
    assert again.returncode == 0, again.stderr
    assert list((disk / ".checkpoints").iterdir()) == []


@pytest.mark.parametrize("stage", STAGES)
def test_files_limited_in_size(project: Project, stage: str, tmp_path: Path) -> None:
    options = earlier_outputs(project, stage, tmp_path)
    before = contents(tmp_path)
    done = run_stage(project, stage, *options, root=tmp_path, most_bytes=512)
    # DVCLive opens DVC's database, which does not tell why it cannot write.
    reason = "could not be written" if stage == "train" else "File too large"
    check_one_sentence(done, reason, "the size of files (ulimit -f)")
    assert contents(tmp_path) == before


def test_a_checkpoint_that_pytorch_cannot_write_is_told(tmp_path: Path) -> None:
    code = (
        "import resource, torch; from tracekd.cli import run\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (9000, 9000))\n"
        "def main(): torch.save(torch.zeros(9000), 'optimizer.pt')\n"
        "run(main)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    check_one_sentence(done, "a file could not be written", "the size of files (ulimit -f)")


@pytest.mark.parametrize("stage", STAGES)
def test_read_only_folder(project: Project, stage: str, tmp_path: Path) -> None:
    inside = tmp_path / "disk"
    options = earlier_outputs(project, stage, inside)
    before = contents(inside)
    with mounted(inside, "--bind", str(inside)):
        subprocess.run(["mount", "-o", "remount,bind,ro", str(inside)], check=True)
        done = run_stage(project, stage, *options, root=tmp_path)
    check_one_sentence(done, "Read-only file system", "choose another or remount it")
    assert contents(inside) == before


def refused() -> tuple[str, ...]:
    """Return what to put before a command so that permissions count; skips where nothing does."""
    if os.geteuid() != 0:
        return ()
    if (
        shutil.which("setpriv") is None
        or subprocess.run([*WITHOUT_POWERS, "true"], check=False, capture_output=True).returncode
    ):
        pytest.skip("root is refused nothing, and setpriv (util-linux) is not there or not allowed")
    return WITHOUT_POWERS


@pytest.mark.parametrize("stage", ["decompose", "build_sft"])
def test_unreadable_file(project: Project, stage: str, tmp_path: Path) -> None:
    option, source = {
        "decompose": ("--prepared", "data/prepared"),
        "build_sft": ("--decomposed", "data/decomposed"),
    }[stage]
    shutil.copytree(project.path / source, tmp_path / "in")
    options = earlier_outputs(project, stage, tmp_path)
    before = contents(tmp_path)
    (tmp_path / "in/train.parquet").chmod(0)
    done = run_stage(project, stage, option, str(tmp_path / "in"), *options, prefix=refused())
    check_one_sentence(done, str(tmp_path / "in/train.parquet"), "ermission denied")
    (tmp_path / "in/train.parquet").chmod(0o644)
    assert contents(tmp_path) == before


@pytest.mark.parametrize("stage", QUICK)
def test_folder_without_permission(project: Project, stage: str, tmp_path: Path) -> None:
    options = earlier_outputs(project, stage, tmp_path)
    before = contents(tmp_path)
    (tmp_path / "data").chmod(0o500)
    try:
        done = run_stage(project, stage, *options, prefix=refused())
    finally:
        (tmp_path / "data").chmod(0o700)
    check_one_sentence(done, "Permission denied", "give yourself permission")
    assert contents(tmp_path) == before


def test_the_latest_checkpoint_is_that_of_the_last_step_whatever_the_clock_says(
    tmp_path: Path,
) -> None:
    for step, clock in ((9, 2_000_000_000), (10, 1_000_000_000), (2, 1_500_000_000)):
        folder = tmp_path / f"checkpoint-{step}"
        folder.mkdir()
        (folder / "monitor.json").write_text("{}")
        for path in (folder / "monitor.json", folder):
            os.utime(path, (clock, clock))
    (tmp_path / "checkpoint-11").mkdir()
    assert last_checkpoint(tmp_path) == tmp_path / "checkpoint-10"


@pytest.mark.slow
@pytest.mark.parametrize("clock", [946_684_800, 4_102_444_800], ids=["2000", "2100"])
def test_files_of_another_time_run_nothing_again(
    pipeline: Pipeline, clock: int, tmp_path: Path
) -> None:
    """As after a clock was set back: what counts is content, not when it was written."""
    project = pipeline.copy("done", tmp_path / "project")
    for folder in ("data", "models", "metrics", "plots", "src", "stages"):
        for path in (project.path / folder).rglob("*"):
            os.utime(path, (clock, clock))
    assert stages_run(project.dvc("repro")) == []
