"""The examples of the docs, run as they are printed."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from repository import Repository, predictions, scores

from tracekd import config, records
from tracekd.datasets import sources
from tracekd.models import sources as model_sources

ROOT = Path(__file__).resolve().parents[1]


def example(mark: str, page: str = "extending.md") -> str:
    """Return the code block after a comment in a page of the docs."""
    text = (ROOT / "docs" / page).read_text(encoding="utf-8")
    found = re.search(rf"<!-- {re.escape(mark)} -->\n```\w+\n(.*?)\n```", text, re.DOTALL)
    assert found is not None, mark
    return found[1] + "\n"


def test_questions_in_json_lines_need_an_entry_and_no_code(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))
    (tmp_path / "mine.jsonl").write_text(example("file: mine.jsonl"))
    entries = tmp_path / "datasets.yaml"
    entries.write_text(example("entry: datasets.yaml"))
    sources.pin("mine", entries, "mine.jsonl")
    spec = config.load_dataset(entries, "mine")
    loaded = sources.load(spec, wanted=None)  # type: ignore[arg-type]  # no simulator
    assert {split: len(rows) for split, rows in loaded.splits.items()} == {"train": 2, "test": 2}


def test_a_model_in_a_folder_needs_an_entry_and_no_code(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))
    folder = tmp_path / "FOLDER"
    folder.mkdir()
    for name in ("config.json", "model.safetensors"):
        (folder / name).write_text("{}")
    entries = tmp_path / "models.yaml"
    entries.write_text(example("entry: models.yaml"))
    pinned = model_sources.pin("mine", entries, "FOLDER")
    assert model_sources.locate(config.load_model(entries, "mine")) == folder
    assert config.load_model(entries, "mine").sha256 == pinned


def test_the_prompt_of_the_guide_is_read_as_it_is_given(tmp_path: Path) -> None:
    value = re.search(r"'prompt\.template=\"(.*)\"'", example("prompt"))
    assert value is not None
    params = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    params["prompt"]["template"] = value[1]
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(params))
    assert config.load_params(tmp_path / "params.yaml").prompt.template == "{context} {question}"


@pytest.mark.parametrize(
    ("mark", "folder", "use"),
    [
        (
            "metric: first_word",
            "scoring/answers",
            "from tracekd.scoring.answers import Attempt, metric\n"
            "judge = metric('first_word').judge\n"
            "print(judge(Attempt('q', [], ['Kitchen now'], None, 'kitchen', ['kitchen'])).correct)",
        ),
        (
            "backend: stubborn",
            "generation/backends",
            "from tracekd.generation.backends import Student, backend_module\n"
            "make = backend_module('stubborn').make\n"
            "student = Student(None, None, None, frozenset({7}), 9)\n"
            "print(make(student).generate([[1, 2]], [3]) == [[7]])",
        ),
    ],
)
def test_a_metric_or_backend_is_one_file(tmp_path: Path, mark: str, folder: str, use: str) -> None:
    name = mark.partition(": ")[2]
    copy = tmp_path / "src"
    subprocess.run(["cp", "-r", ROOT / "src", copy], check=True)
    (copy / "tracekd" / folder / f"{name}.py").write_text(example(mark))
    names = f"from tracekd.config import module_names; print(module_names('{folder}'))"
    done = subprocess.run(
        [sys.executable, "-c", f"{names}\n{use}"],
        env={"PYTHONPATH": str(copy), "PATH": ""},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    known, right = done.stdout.splitlines()
    assert name in known
    assert right == "True"


def test_the_notebook_of_the_guide_runs(tmp_path: Path) -> None:
    made = Repository(tmp_path)
    texts = made.keep(predictions(["a student wrote this"] * 4), records.PREDICTIONS)
    for seed in range(3):
        for regime, right in (("none", [True] * 4), ("correct", [False, True, False, seed > 1])):
            chosen = {"trace_mode": regime, "model": "smollm2", "dataset": "babi_sim", "seed": seed}
            files = {"data/predictions.parquet": texts}
            made.experiment(f"{regime}-{seed}", scores(right, right), **chosen, files=files)
    done = subprocess.run(
        [sys.executable, "-c", example("notebook", "analysis.md")],
        cwd=made.save().path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "a student wrote this" in done.stdout
    assert "-0.666667" in done.stdout  # eight of twelve answers, lost


def test_links_of_the_docs_lead_somewhere() -> None:
    pages = [ROOT / "README.md", *(ROOT / "docs").glob("*.md"), ROOT / "CONTRIBUTING.md"]
    for page in pages:
        text = page.read_text(encoding="utf-8")
        for target, anchor in re.findall(r"\]\((?!https?:)([^)#]*)(#[^)]*)?\)", text):
            path = page.parent / target if target else page
            assert path.exists(), f"{page.name}: {target}"
            if anchor:
                headings = re.findall(r"^#+ (.*)$", path.read_text(encoding="utf-8"), re.MULTILINE)
                slugs = {re.sub(r"[^\w -]", "", h).lower().replace(" ", "-") for h in headings}
                assert anchor[1:] in slugs, f"{page.name}: {target}{anchor}"


def test_commands_of_the_docs_use_existing_stages_params_and_entries() -> None:
    params = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    entries = {
        kind: set(yaml.safe_load((ROOT / f"{kind}s.yaml").read_text(encoding="utf-8"))) | {"mine"}
        for kind in ("model", "dataset")
    }
    for page in [ROOT / "README.md", *(ROOT / "docs").glob("*.md")]:
        text = page.read_text(encoding="utf-8")
        for script in re.findall(r"python ((?:stages|benchmarks|docs|tests)/\w+\.py)", text):
            assert (ROOT / script).is_file(), f"{page.name}: {script}"
        for key, value in re.findall(r"-S '?([\w.]+)=([\w.,-]*)", text):
            place = params
            for part in key.split("."):
                assert part in place, f"{page.name}: -S {key}"
                place = place[part]
            if key in entries and value:
                assert set(value.split(",")) <= entries[key], f"{page.name}: -S {key}={value}"


def test_readme_is_short_and_its_lines_are_too() -> None:
    lines = (ROOT / "README.md").read_text(encoding="utf-8").splitlines()
    assert len(lines) <= 150
    assert max(map(len, lines)) <= 110
