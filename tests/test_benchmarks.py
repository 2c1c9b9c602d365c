import doctest
import importlib
import json
import re
import sys
from pathlib import Path

import pytest
from checkout import checkout
from typer.testing import CliRunner

from tracekd.datasets.readers import marco

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / "benchmarks"
BENCHMARKS = ("train", "inference", "marco", "pipeline")


@pytest.fixture
def load(monkeypatch):
    monkeypatch.syspath_prepend(FOLDER)
    before = set(sys.modules)

    yield lambda name: importlib.import_module(name)
    for name in set(sys.modules) - before:
        if Path(getattr(sys.modules[name], "__file__", None) or "x").parent == FOLDER:
            del sys.modules[name]


@pytest.mark.parametrize("name", BENCHMARKS)
def test_help_tells_what_is_measured(load, name):
    import typer

    app = typer.Typer()
    app.command()(load(name).main)
    shown = CliRunner().invoke(app, ["--help"])
    assert shown.exit_code == 0
    assert "one JSON line" in re.sub(r"[\s│]+", " ", shown.output)


@pytest.mark.parametrize("name", ["_pairing", "inference"])
def test_examples_in_docstrings_hold(load, name):
    tried = doctest.testmod(load(name))
    assert (tried.failed, tried.attempted > 0) == (0, True)


def test_measured_is_the_command_and_not_its_parent(load):
    pairing = load("_pairing")
    ballast = bytearray(300 * 2**20)
    measured = pairing.measure([sys.executable, "-c", "print('heard')"])
    assert len(ballast) > measured["peak_memory_bytes"] > 2**20
    assert measured["seconds"] > 0
    with pytest.raises(pairing.FailedError, match="nothing there"):
        pairing.measure([sys.executable, "-c", "raise SystemExit('nothing there')"])


def test_contestants_take_turns_and_an_optional_one_may_leave(load, tmp_path, monkeypatch, capsys):
    pairing = load("_pairing")
    script = tmp_path / "script.py"
    script.write_text(
        "import sys\n"
        f"sys.path.insert(0, {str(FOLDER)!r})\n"
        "import _pairing\n"
        "name = sys.argv[-1]\n"
        "if name == 'absent':\n"
        "    sys.exit('not installed')\n"
        "def play(number):\n"
        "    print('noise')\n"
        "    return {'number': number, 'name': name}\n"
        "_pairing.serve(lambda: print('noise') or play)\n"
    )
    monkeypatch.setattr(sys, "argv", [str(script)])
    played, left = pairing.play(["one", "absent", "two"], 2, optional=["absent"])
    assert {name: [kept["number"] for kept in rounds] for name, rounds in played.items()} == {
        "one": [0, 1],
        "two": [0, 1],
    }
    assert all(kept["peak_memory_bytes"] > 0 for kept in played["one"])
    assert left["absent"].endswith("not installed")
    order = re.findall(r"round (\d) of 2: (\w+)", capsys.readouterr().err)
    assert order == [
        (str(n), name) for n in range(3) for name in (["one", "two"], ["two", "one"])[n % 2]
    ]
    with pytest.raises(pairing.FailedError, match="not installed"):
        pairing.play(["absent"], 1)


def test_last_line_is_json(load, capsys):
    load("_pairing").conclude("x", {"rounds": 3}, {"ratio": 2.5})
    last = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert (last["benchmark"], last["results"]) == ("x", {"ratio": 2.5})


@pytest.mark.parametrize("layout", ["columns", "lines"])
def test_generated_files_are_read_without_a_rejection(load, tmp_path, layout):
    benchmark = load("marco")
    write = benchmark.write_columns if layout == "columns" else benchmark.write_lines
    for name, count in (("train_v2.1.json", 60), ("dev_v2.1.json", 50)):
        write(count, tmp_path / name)
    loaded = marco.read(tmp_path, {})
    assert not loaded.rejected
    sizes = {split: len(table) for split, table in loaded.splits.items()}
    assert sizes == {"train": 60, "test": 50}
    first = next(benchmark.records(60, "train_v2.1.json"))
    assert loaded.splits["train"]["context"][0].to_list() == first["passages"]["passage_text"]


def test_operations_are_counted_by_hand(load):
    import torch

    compute = load("_compute")

    class Model(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = torch.nn.Linear(4, 4, bias=False)
            self.head = torch.nn.Linear(4, 10, bias=False)
            self.config = type(
                "Config",
                (),
                {"num_attention_heads": 2, "hidden_size": 4, "num_hidden_layers": 1},
            )

        def get_output_embeddings(self):
            return self.head

    assert compute.layer_weights(Model()) == (16, 40)
    # (4 * 16 + 6 * 8) * 3 tokens + 4 * 40 * 2 supervised + 6 * 4 * 3 ** 2
    assert compute.training_operations(Model(), 8, [(3, 2)]) == 336 + 320 + 216
    # 2 * 16 * 5 + 2 * 40 * 2 + 2 * 4 * 5 ** 2
    assert compute.generation_operations(Model(), [(3, 2)]) == 160 + 160 + 200


@pytest.fixture(scope="module")
def examples(tmp_path_factory):
    """A checkout with the data of a tiny run."""
    project = checkout(tmp_path_factory.mktemp("benchmarks"))
    project.dvc("repro", "build-sft")
    return project


@pytest.mark.slow
@pytest.mark.parametrize(
    "command",
    [
        "train.py --model tiny_llama --steps 2 --rounds 1",
        "train.py --model tiny_llama --steps 2 --reference",
        "marco.py --questions 200 --chosen 60",
        "pipeline.py --rounds 1",
    ],
)
def test_a_small_benchmark_comes_to_its_line_of_json(examples, command):
    if command.startswith("train.py") and "--reference" not in command:
        pytest.importorskip("trl", reason="the peer is not installed (pip install -e '.[peers]')")
    script, *options = command.split()
    done = examples.run(sys.executable, f"benchmarks/{script}", *options)
    told = json.loads(done.stdout.splitlines()[-1])
    assert told["benchmark"].split()[0] == script.removesuffix(".py")
    assert told["results"]
