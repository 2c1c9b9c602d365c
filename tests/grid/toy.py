"""A DVC project with quick stages in place of this project's, and its real settings and grid."""

import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml
from checkout import ROOT, Project

STAGES = {
    "prepare": {"params": ["dataset", "data_seed"], "outs": ["data/prepared"]},
    "teach": {"deps": ["data/prepared"], "params": ["teacher.name"], "outs": ["data/teacher"]},
    "train": {
        "deps": ["data/teacher"],
        "params": ["trace_mode", "seed"],
        "outs": ["models/student"],
    },
    "analyze": {
        "deps": ["models/student"],
        "params": ["model", "dataset", "data_seed", "trace_mode", "seed"],
        "outs": ["metrics/run.json", "data/scores.parquet"],
    },
}
# Each stage writes its inputs, and a line into `ran` of the user's checkout. train has four steps;
# it waits before the third while there is a file `hold`, and keeps its step when it is stopped.
SCRIPT = """
import json, os, signal, sys, time
from pathlib import Path
root, name = Path(os.environ["TRACEKD_ROOT"]), Path(sys.argv[0]).stem
params, out = Path("params.yaml").read_text(), Path({out!r})
deps = "".join(p.read_text() for d in {deps!r} for p in sorted(Path(d).iterdir()))
with (root / "ran").open("a") as ran:
    ran.write(name + "\\n")
if name == "train":
    lines = [line for line in params.splitlines() if line.startswith(("trace_mode", "seed"))]
    kept = root / ".checkpoints" / "-".join(lines).replace(" ", "")
    asked = []
    signal.signal(signal.SIGTERM, lambda *_: asked.append(1))
    print("ready", flush=True)
    for step in range(int(kept.read_text()) if kept.exists() else 0, 4):
        print(f"training: 25%|## | {{step}}/4 [00:01<00:03, 1 step/s]", file=sys.stderr)
        with (root / "ran").open("a") as ran:
            ran.write(f"step {{step}}\\n")
        while step == 2 and (root / "hold").exists() and not asked:
            time.sleep(0.05)
        if asked:
            kept.parent.mkdir(exist_ok=True)
            kept.write_text(str(step))
            sys.exit(143)
    deps += "".join(lines)
if (root / "broken").exists() and name == "analyze":
    sys.exit("no luck")
if name == "analyze":
    Path("metrics/metrics.json").write_text(json.dumps({{"made of": deps}}))
    out.write_text(json.dumps({{"train": {{"seconds": 7200}}}}))
    Path("data/scores.parquet").write_text("scores" + deps)
else:
    out.mkdir(parents=True)
    (out / "a").write_text(name + deps)
    (out / "b").write_text("b" + params if name == "prepare" else "b")
"""


class Toy(Project):
    """A checkout with a bare git remote and a folder as DVC's remote beside it."""

    def grid(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        return self.run(sys.executable, "stages/grid.py", *arguments, check=check)

    def work(self, index: int, check: bool = True) -> subprocess.CompletedProcess[str]:
        return self.grid("work", str(self.folder), str(index), check=check)

    def settings(self, **values: Any) -> None:
        """Write grid.yaml, and commit what has changed."""
        (self.path / "grid.yaml").write_text(yaml.safe_dump({"publish_minutes": 0} | values))
        self.run("git", "add", "-A")
        self.run("git", "commit", "-qm", "Settings", "--allow-empty")

    @property
    def folder(self) -> Path:
        (found,) = (self.path / ".grid").glob("*/")
        return found

    def ran(self) -> list[str]:
        """Return the stages and steps of train that ran, in order."""
        file = self.path / "ran"
        return file.read_text().splitlines() if file.exists() else []

    def refs(self) -> list[str]:
        """Return the names of the experiments on the git remote."""
        listed = self.run("git", "ls-remote", "origin", "refs/exps/*").stdout
        return sorted(line.rpartition("/")[2] for line in listed.splitlines())


def toy(folder: Path) -> Toy:
    """Make the project in a folder and commit it."""
    path = folder / "project"
    (path / "stages").mkdir(parents=True)
    for name in ("params.yaml", "models.yaml", "datasets.yaml", "teachers.yaml"):
        shutil.copyfile(ROOT / name, path / name)
    for name in ("grid.py", "_stage.py"):
        shutil.copyfile(ROOT / "stages" / name, path / "stages" / name)
    stages: dict[str, Any] = {}
    for name, stage in STAGES.items():
        script = SCRIPT.format(out=stage["outs"][0], deps=stage.get("deps", []))
        (path / f"stages/{name}.py").write_text(script)
        deps = [f"stages/{name}.py", *stage.get("deps", [])]
        stages[name] = stage | {"cmd": f"python stages/{name}.py", "deps": deps}
    stages["analyze"]["metrics"] = [{"metrics/metrics.json": {"cache": False}}]
    (path / "dvc.yaml").write_text(yaml.safe_dump({"stages": stages}, sort_keys=False))
    (path / "metrics").mkdir()
    (path / "metrics/.gitignore").write_text("/run.json\n")
    ignored = "/data\n/models\n/src\n/.grid\n/ran\n/hold\n/broken\n/.checkpoints\n"
    (path / ".gitignore").write_text(ignored + "__pycache__\n")
    (path / "src").symlink_to(ROOT / "src")
    project = Toy(path)
    project.run("git", "init", "-q", "-b", "main")
    project.run("git", "init", "-q", "--bare", str(folder / "remote.git"))
    project.run("git", "remote", "add", "origin", "../remote.git")
    project.run("dvc", "init", "-q")
    project.run("dvc", "remote", "add", "-q", "-d", "store", "../store")
    project.settings(axes={"trace_mode": ["none", "correct"], "seed": "0..1"})
    return project


def wait_for(happened: Callable[[], Any], seconds: float = 300) -> None:
    """Wait until something is true."""
    deadline = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < deadline
        time.sleep(0.1)
