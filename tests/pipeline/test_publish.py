"""A run of the pipeline itself, published."""

import json

from checkout import Project
from transformers import AutoModelForCausalLM, AutoTokenizer


def test_the_last_run_is_published_from_the_cache(baseline: Project) -> None:
    before = files(baseline)
    done = baseline.run_warm("publish", "--to", "../published", "--merge")
    assert done == (0, "workspace: student in ../published\n")
    assert files(baseline) == before
    folder = baseline.path.parent / "published"
    AutoModelForCausalLM.from_pretrained(folder)
    assert AutoTokenizer.from_pretrained(folder).chat_template
    card = (folder / "README.md").read_text()
    accuracy = json.loads((baseline.path / "metrics/metrics.json").read_text())["answer"][
        "accuracy"
    ]
    assert f"{'answers right':<32} {100 * accuracy:>6.1f} %" in card
    for part in ("tiny_llama on babi_sim, regime correct, seed 0", "simulated by `babi_sim`"):
        assert part in card
    for path in folder.iterdir():
        assert str(baseline.path).encode() not in path.read_bytes(), path.name


def files(project: Project) -> list[str]:
    """Return what git sees beside the last commit, but for compiled modules."""
    lines = project.run("git", "status", "--porcelain", "--ignored").stdout.splitlines()
    return [line for line in lines if "__pycache__" not in line]
