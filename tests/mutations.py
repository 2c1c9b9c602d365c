"""Plants known faults in a copy of the project, one at a time, and prints which test finds each.

    python tests/mutations.py [NAME ...]

A fault that no test finds is a result that could be wrong unnoticed. Each is a replacement of
a text that must occur exactly once in its file, so that none of them silently stops being planted.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[1]
#: A fault may make a test run for ever.
SECONDS = 900


def main(wanted: list[str]) -> int:
    """Plant each fault (or those whose name holds one of `wanted`); return 1 if one survives."""
    listed = yaml.safe_load((ROOT / "tests/faults.yaml").read_text(encoding="utf-8"))
    faults = [one for one in listed if not wanted or any(part in one["name"] for part in wanted)]
    survivors, sound = 0, list[list[str]]()
    with tempfile.TemporaryDirectory(prefix="tracekd-") as folder:
        copy = Path(folder)
        copy_project(copy)
        print("| fault | file | found by |\n|---|---|---|", flush=True)
        for fault in faults:
            if fault["tests"] not in sound and (found := failing_test(copy, fault["tests"])):
                raise SystemExit(f"without any fault, this test fails already: {found}")
            sound.append(fault["tests"])
            caught = plant(copy, fault)
            survivors += caught is None
            test = f"`{caught}`" if caught else "**nothing**"
            print(f"| {fault['name']} | `{fault['file']}` | {test} |", flush=True)
    return int(survivors > 0)


def copy_project(target: Path) -> None:
    """Copy this checkout's own files as they are now."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for name in listed.split("\0"):
        if (ROOT / name).is_file():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, target / name)


def plant(copy: Path, fault: dict[str, Any]) -> str | None:
    """Return the first test that fails with the fault in place, and take it out again."""
    path = copy / "src/tracekd" / fault["file"]
    before = path.read_text(encoding="utf-8")
    if (count := before.count(fault["old"])) != 1:
        raise SystemExit(f"{fault['name']}: its text occurs {count} times in {fault['file']}")
    path.write_text(before.replace(fault["old"], fault["new"]), encoding="utf-8")
    try:
        return failing_test(copy, fault["tests"])
    finally:
        path.write_text(before, encoding="utf-8")


def failing_test(copy: Path, tests: list[str]) -> str | None:
    """Return the first failing test of some files, run on the copy's own source, or None."""
    own = {"PYTHONPATH": str(copy / "src"), "PYTHONDONTWRITEBYTECODE": "1", "COLUMNS": "300"}
    command = [sys.executable, "-m", "pytest", "-x", "-p", "no:cacheprovider", "--tb=no", "-rfE"]
    command += [f"tests/{name}" for name in tests]
    options: dict[str, Any] = {"cwd": copy, "env": os.environ | own, "timeout": SECONDS}
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, **options)
    except subprocess.TimeoutExpired:
        return f"{', '.join(tests)}: no end after {SECONDS} s"
    failed = re.search(r"^(?:FAILED|ERROR) tests/(\S+)", done.stdout, re.MULTILINE)
    if done.returncode == 0:
        return None
    if failed is None:
        raise SystemExit(f"pytest itself failed:\n{done.stdout}\n{done.stderr}")
    return failed[1].partition("[")[0]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
