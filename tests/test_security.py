"""What settings and data cannot reach.

Ruff's rules S (in CI) forbid eval, pickle, shells, unsafe YAML and torch.load; the rest is here.
"""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tracekd.config import load_params
from tracekd.errors import TracekdError

ROOT = Path(__file__).resolve().parents[1]
SOURCES = {
    path.relative_to(ROOT).as_posix(): path.read_text(encoding="utf-8")
    for folder in ("src", "stages", "benchmarks")
    for path in (ROOT / folder).rglob("*.py")
}
#: The environment variables that the source reads or sets; none holds a secret.
ENVIRONMENT = {
    *("DVC_ROOT", "TRACEKD_ROOT", "TRACEKD_CACHE", "TRACEKD_CHECKPOINT_SECONDS", "TRACEKD_DTYPE"),
    *("TRACEKD_PROCESSES", "RANK", "LOCAL_RANK", "WORLD_SIZE", "LOCAL_WORLD_SIZE"),
    *("ACCELERATE_USE_FSDP", "ACCELERATE_USE_DEEPSPEED", "OMP_NUM_THREADS"),
    *("TRACEKD_DEVICE", "TRACEKD_ROOT", "CUDA_VISIBLE_DEVICES", "DVC_EXP_NAME"),
    *("XDG_CACHE_HOME", "HF_HUB_OFFLINE", "TORCHINDUCTOR_CACHE_DIR", "CXX", "GOMP_SPINCOUNT"),
}
#: Modules that import others by a name from a settings file, which `config` has checked.
IMPORT_BY_NAME = {
    "src/tracekd/datasets/__init__.py",
    "src/tracekd/scoring/answers/__init__.py",
    "src/tracekd/generation/backends/__init__.py",
}


def test_code_of_a_model_repository_never_runs_and_weights_are_safetensors() -> None:
    for name, source in SOURCES.items():
        assert "trust_remote_code" not in source, name
        # An adapter is loaded by PEFT from a folder that the train stage wrote, as safetensors.
        for call in re.findall(r"(?<!Peft)Model\w*\.from_pretrained\([^)]*\)[^)]*\)", source):
            assert "use_safetensors=True" in call, f"{name}: {call}"


def test_modules_are_imported_by_name_only_where_config_has_checked_the_name() -> None:
    by_name = {name for name, source in SOURCES.items() if "import_module(" in source}
    assert by_name <= IMPORT_BY_NAME


def test_only_known_environment_variables_are_used() -> None:
    for name, source in SOURCES.items():
        # They pass theirs on to the commands that they start.
        if name.startswith(("benchmarks/", "src/tracekd/grid/", "src/tracekd/repository.py")):
            continue
        assert "getenv" not in source, name
        if name == "src/tracekd/teacher/endpoint.py":
            # The key of an endpoint, in the variable that its entry names: one use, in one request.
            assert source.count("os.environ") == source.count('os.environ.get(name, "")') == 1
            continue
        for use in re.findall(r"os\.environ(.{0,40})", source):
            variable = re.match(r"""(?:\.get\(|\.setdefault\(|\[)["'](\w+)""", use)
            assert variable is not None, f"{name}: os.environ{use}"
            assert variable[1] in ENVIRONMENT, f"{name}: {variable[1]}"


def test_no_setting_reaches_a_command_or_a_path_of_the_pipeline() -> None:
    pipeline = yaml.safe_load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))
    assert set(pipeline) == {"stages"}
    for name, stage in pipeline["stages"].items():
        for key, value in stage.items():
            # DVC looks an entry of a settings file up by a param; nothing runs it.
            assert key == "params" or "${" not in str(value), f"{name}: {key}"
        assert re.fullmatch(r"python stages/\w+\.py", stage["cmd"]), name


@pytest.mark.parametrize("key", ["model", "dataset"])
@pytest.mark.parametrize("value", ["$(touch x)", "a; touch x", "../..", "/etc", "a/b", "a\nb", ""])
def test_a_key_is_neither_a_command_nor_a_path(tmp_path: Path, key: str, value: str) -> None:
    settings = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    path = tmp_path / "params.yaml"
    path.write_text(yaml.safe_dump({**settings, key: value}))
    with pytest.raises(TracekdError, match=f"params.yaml: {key}: "):
        load_params(path)


def test_a_hostile_param_runs_nothing_writes_nothing_and_prints_no_secret(tmp_path: Path) -> None:
    settings = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    (tmp_path / "params.yaml").write_text(yaml.safe_dump({**settings, "dataset": "$(touch x)"}))
    secret = "hf_" + "s" * 34
    done = subprocess.run(
        [sys.executable, ROOT / "stages" / "prepare.py"],
        cwd=tmp_path,
        env=os.environ | {"HF_TOKEN": secret},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert done.stderr.startswith("error: ")
    assert secret not in done.stdout + done.stderr
    assert [found.name for found in tmp_path.iterdir()] == ["params.yaml"]


def test_no_result_contains_a_secret_of_the_environment() -> None:
    for path in (ROOT / "metrics").glob("*.json"):
        text = path.read_text(encoding="utf-8")
        for variable, value in os.environ.items():
            if re.search("TOKEN|SECRET|PASSWORD|KEY", variable) and len(value) > 8:
                assert value not in text, (path.name, variable)
