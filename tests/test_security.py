"""What the source may not do, found by reading all of it; and what settings cannot reach."""

import ast
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from tracekd.config import load_params
from tracekd.errors import TracekdError

ROOT = Path(__file__).resolve().parents[1]
FOLDERS = ("src", "stages", "benchmarks", ".ci")
SOURCES = sorted(path for folder in FOLDERS for path in (ROOT / folder).rglob("*.py"))

#: They run what they read.
MODULES = frozenset(
    {"pickle", "cPickle", "marshal", "shelve", "dill", "cloudpickle", "joblib", "pty"}
)
BUILTINS = frozenset({"eval", "exec", "compile", "__import__", "breakpoint"})
CALLS = frozenset({
    "os.system", "os.popen", "os.execv", "os.execvp", "os.spawnv", "subprocess.getoutput",
    "subprocess.getstatusoutput", "torch.load", "yaml.unsafe_load", "yaml.full_load",
    "yaml.load_all", "shutil.unpack_archive", "tempfile.mktemp", "pd.read_pickle", "runpy.run_path",
    "ssl._create_unverified_context",
})  # fmt: skip
#: With any value but the one given.
KEYWORDS = {
    "shell": False, "trust_remote_code": False, "use_safetensors": True, "allow_pickle": False,
    "weights_only": True, "verify": True,
}  # fmt: skip
#: The names of environment variables that the source reads or sets; none holds a secret.
ENVIRONMENT = frozenset({
    "DVC_ROOT", "TRACEKD_CACHE", "TRACEKD_CHECKPOINT_SECONDS", "XDG_CACHE_HOME",
    "OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "MALLOC_ARENA_MAX", "MALLOC_TRIM_THRESHOLD_",
    "RANK", "LOCAL_RANK", "WORLD_SIZE", "POLARS_MAX_THREADS", "_RJEM_MALLOC_CONF",
    "OPENBLAS_NUM_THREADS", "CC", "TRACEKD_NATIVE",
})  # fmt: skip
#: Import by name only from the fixed tables of readers and of backends.
IMPORTS_BY_NAME = {
    "src/tracekd/datasets/__init__.py",
    "src/tracekd/generation/backends/__init__.py",
}


_LOADER = re.compile(r"\w*Loader\b")


def faults(source: str, name: str = "x.py") -> list[str]:
    """Return what is wrong with Python source, each as "file:line: what"."""
    nodes = list(ast.walk(ast.parse(source)))
    loaders = {"yaml.SafeLoader", "yaml.CSafeLoader"}
    for node in nodes:
        if isinstance(node, ast.ClassDef) and loaders & set(map(ast.unparse, node.bases)):
            loaders.add(node.name)
        elif isinstance(node, ast.Assign):
            named = set(_LOADER.findall(ast.unparse(node.value)))
            if named and named <= {"SafeLoader", "CSafeLoader"}:
                loaders |= set(map(ast.unparse, node.targets))
    found = [
        *((node.lineno, what) for node in nodes for what in _import_faults(node)),
        *((node.lineno, what) for node in nodes for what in _call_faults(node, name, loaders)),
        *(
            (line, f"os.environ: {what}")
            for line, what in _environment_faults(nodes)
            if not name.startswith("benchmarks/")  # they hand theirs on to the commands they time
        ),
    ]  # type: ignore[attr-defined]
    return [f"{name}:{line}: {what}" for line, what in sorted(found)]


def _import_faults(node: ast.AST) -> Iterator[str]:
    if isinstance(node, (ast.Import, ast.ImportFrom)):
        origin = [getattr(node, "module", None) or "", *(alias.name for alias in node.names)]
        yield from (part for part in origin if part.partition(".")[0] in MODULES)
    if isinstance(node, ast.Constant) and node.value == "trust_remote_code":
        yield "trust_remote_code"


def _call_faults(node: ast.AST, name: str, safe_loaders: set[str]) -> Iterator[str]:
    if not isinstance(node, ast.Call):
        return
    called = ast.unparse(node.func)
    if called in BUILTINS or called in CALLS or called.endswith(".extractall"):
        yield called
    if called.endswith("import_module") and name not in IMPORTS_BY_NAME:
        yield called
    if called == "yaml.load":
        loader = next((k.value for k in node.keywords if k.arg == "Loader"), None)
        if loader is None or ast.unparse(loader) not in safe_loaders:
            yield "yaml.load without a safe loader"
    if called == "YAML" and (node.args or node.keywords):
        yield "YAML with another than the round-trip loader"
    if re.fullmatch(r"subprocess\.\w+", called) and isinstance(
        node.args[0], (ast.JoinedStr, ast.Constant)
    ):
        yield f"{called} of a string, not of a list"
    for keyword in node.keywords:
        if keyword.arg in KEYWORDS and not (
            isinstance(keyword.value, ast.Constant) and keyword.value.value is KEYWORDS[keyword.arg]
        ):
            yield f"{keyword.arg}={ast.unparse(keyword.value)}"


def _environment_faults(nodes: list[ast.AST]) -> Iterator[tuple[int, str]]:
    """Give each use of the environment but of the variables in ENVIRONMENT, by their names."""
    allowed = set()
    for node in nodes:
        if isinstance(node, ast.Subscript):
            key, source = node.slice, node.value
        elif isinstance(node, ast.Compare):
            key, source = node.left, node.comparators[0]
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.args:
            key, source = node.args[0], node.func.value
        else:
            continue
        if isinstance(key, ast.Constant) and key.value in ENVIRONMENT:
            allowed.add(id(source))
    for node in nodes:
        if isinstance(node, ast.Attribute) and ast.unparse(node) == "os.environ":
            if id(node) not in allowed:
                yield node.lineno, "a variable that is not listed, or all of them"
        elif isinstance(node, ast.Attribute) and ast.unparse(node) == "os.getenv":
            yield node.lineno, "read it with os.environ.get"


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_source_runs_what_it_reads(path: Path) -> None:
    name = path.relative_to(ROOT).as_posix()
    assert faults(path.read_text(encoding="utf-8"), name) == []


@pytest.mark.parametrize(
    "planted",
    [
        "eval(text)",
        "exec(text)",
        "import pickle",
        "from marshal import loads",
        "import joblib.memory",
        "os.system(command)",
        "subprocess.run(command, shell=True)",
        "subprocess.run(command, shell=flag)",
        "subprocess.run(f'ls {name}')",
        "yaml.load(text)",
        "yaml.load(text, Loader=yaml.Loader)",
        "class L(yaml.FullLoader): pass\nyaml.load(text, Loader=L)",
        "LOADER = getattr(yaml, 'CLoader', yaml.SafeLoader)\nyaml.load(text, Loader=LOADER)",
        "YAML(typ='unsafe')",
        "torch.load(path)",
        "AutoModel.from_pretrained(path, trust_remote_code=True)",
        "AutoModel.from_pretrained(path, **{'trust_remote_code': True})",
        "AutoModel.from_pretrained(path, use_safetensors=False)",
        "np.load(path, allow_pickle=True)",
        "httpx.get(url, verify=False)",
        "zipfile.ZipFile(path).extractall(folder)",
        "importlib.import_module(name)",
        "print(os.environ)",
        "print(dict(os.environ))",
        "os.environ['HF_TOKEN']",
        "os.environ.get(name)",
        "os.getenv('HOME')",
    ],
)
def test_each_forbidden_thing_is_found(planted: str) -> None:
    assert len(faults(planted)) == 1, faults(planted)


@pytest.mark.parametrize(
    "allowed",
    [
        "re.compile(pattern)",
        "model.eval()",
        "subprocess.run([sys.executable, '-m', 'pip'], check=False)",
        "class L(yaml.SafeLoader): pass\nyaml.load(text, Loader=L)",
        "LOADER = getattr(yaml, 'CSafeLoader', yaml.SafeLoader)\nyaml.load(text, Loader=LOADER)",
        "os.environ.get('DVC_ROOT', '.')",
        "'DVC_ROOT' in os.environ",
    ],
)
def test_what_is_harmless_is_let_be(allowed: str) -> None:
    assert faults(allowed) == []


def test_no_setting_stands_in_a_command_or_a_path_of_the_pipeline() -> None:
    pipeline = yaml.safe_load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))
    assert set(pipeline) <= {"stages", "plots", "metrics", "params", "artifacts"}
    for name, stage in pipeline["stages"].items():
        for key, value in stage.items():
            # Parameters may name an entry of a settings file: DVC looks it up, nothing runs it.
            assert key == "params" or "${" not in str(value), f"{name}: {key}"
        assert re.fullmatch(r"python stages/\w+\.py", stage["cmd"]), name


@pytest.mark.parametrize("key", ["model", "dataset"])
@pytest.mark.parametrize(
    "value",
    [
        "$(touch x)",
        "`touch x`",
        "a; touch x",
        "../..",
        "/etc/passwd",
        "a/b",
        "a\nb",
        "a b",
        "",
        ".",
    ],
)
def test_a_key_is_neither_a_command_nor_a_path(tmp_path: Path, key: str, value: str) -> None:
    settings = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    path = tmp_path / "params.yaml"
    path.write_text(yaml.safe_dump({**settings, key: value}))
    with pytest.raises(TracekdError, match=f"params.yaml: {key}: "):
        load_params(path)


def test_a_hostile_parameter_runs_nothing_and_writes_nothing(tmp_path: Path) -> None:
    settings = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    path = tmp_path / "params.yaml"
    path.write_text(yaml.safe_dump({**settings, "dataset": "$(touch x)"}))
    command = [sys.executable, ROOT / "stages" / "prepare.py", "--params", path]
    secret = "hf_" + "s" * 34
    done = subprocess.run(
        [*command, "--datasets", ROOT / "datasets.yaml"],
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


@pytest.mark.parametrize("name", ["run_train.json", "run_infer.json", "metrics.json"])
def test_no_result_holds_the_environment(name: str) -> None:
    path = ROOT / "metrics" / name
    if not path.is_file():
        pytest.skip("the pipeline has not run in this checkout")
    text = path.read_text(encoding="utf-8")
    for variable, value in os.environ.items():
        if re.search("TOKEN|SECRET|PASSWORD|KEY", variable) and len(value) > 8:
            assert value not in text, variable
