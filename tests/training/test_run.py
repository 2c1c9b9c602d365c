import json
import math
import os
import warnings
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracekd.bars import LongRunWarning, long_run_message
from tracekd.config import TrainParams, load_model
from tracekd.errors import TracekdError
from tracekd.files import sha256_file
from tracekd.models.devices import Device, tune_process
from tracekd.models.encoding import Encoded
from tracekd.models.loading import add_adapter, load_base, load_encoder
from tracekd.training.collation import IGNORED, collate, epoch_order, length_batches, split_batch
from tracekd.training.run import encode_rows, fine_tune, train_adapter, within_length

ROOT = Path(__file__).resolve().parents[2]
PARAMS = TrainParams(
    epochs=2,
    batch_size=2,
    learning_rate=1e-3,
    warmup=0.1,
    lora_rank=4,
    lora_alpha=8,
    lora_dropout=0.1,
    evaluations=2,
)


@pytest.fixture(autouse=True)
def cache(monkeypatch, tmp_path_factory):
    monkeypatch.setenv("TRACEKD_CACHE", str(tmp_path_factory.getbasetemp() / "model-cache"))


@pytest.fixture(scope="module", autouse=True)
def exact():
    tune_process()
    import torch

    # For models this small a second thread only waits for the first.
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield Device(torch.device("cpu"), torch.float32)
    torch.set_num_threads(threads)


def spec(name):
    return load_model(ROOT / "models.yaml", name)


def rows(count, split="train"):
    places = ["kitchen", "garden", "office"]
    made = []
    for number in range(count):
        place = places[number % 3]
        trace = f"<think>\n- Mary went to the {place}.\n</think>\n" if number % 2 else ""
        made.append(
            {
                "id": f"t/{split}/{number}",
                "system": "You are helpful.",
                "prompt": "Mary is here. " * (number % 4) + f"Mary went to the {place}. Where?",
                "completion": f"{trace}<answer>{place}</answer>",
                "answer_start": len(trace),
            }
        )
    return made


def student(name, exact, **changes):
    params = PARAMS.model_copy(update=changes)
    return add_adapter(load_base(name, spec(name), exact), params, seed=3), params


A = Encoded("a", [1, 2, 3], [4, 5, 6, 9], 2)
B = Encoded("b", [1, 9], [7, 9], 0)


def test_batch_is_the_drawn_one():
    batch = collate([A, B], [7, 5], pad_id=9)
    none = IGNORED
    assert batch["input_ids"].tolist() == [[1, 2, 3, 4, 5, 6, 9], [1, 9, 7, 9, 9, 9, 9]]
    assert batch["labels"].tolist() == [
        [none, none, none, 4, 5, 6, 9],
        [none, none, 7, 9, none, none, none],
    ]
    assert batch["in_answer"].int().tolist() == [[0, 0, 0, 0, 0, 1, 1], [0, 0, 1, 1, 0, 0, 0]]
    assert batch["rows"].tolist() == [7, 5]


def test_parts_of_a_batch_are_its_rows_without_the_padding():
    parts = split_batch(collate([A, B, B], [0, 1, 2], pad_id=9), 14)
    assert [part["input_ids"].tolist() for part in parts] == [
        [[1, 2, 3, 4, 5, 6, 9], [1, 9, 7, 9, 9, 9, 9]],
        [[1, 9, 7, 9]],
    ]
    assert [part["rows"].tolist() for part in parts] == [[0, 1], [2]]
    assert len(split_batch(collate([A, B], [0, 1], pad_id=9), 3)) == 2


def test_widths_are_multiples_of_what_is_asked_for():
    batch = collate([A, B, B], [0, 1, 2], pad_id=9, multiple=5)
    assert batch["input_ids"].shape == batch["labels"].shape == (3, 10)
    assert batch["labels"][0].tolist() == [IGNORED] * 3 + [4, 5, 6, 9] + [IGNORED] * 3
    parts = split_batch(batch, 20, multiple=5)
    assert [part["input_ids"].shape for part in parts] == [(2, 10), (1, 5)]
    assert collate([A], [0], pad_id=9, multiple=7)["input_ids"].shape == (1, 7)


@given(st.lists(st.integers(1, 99), max_size=200), st.integers(1, 9), st.integers(0, 3))
def test_epoch_order_visits_each_row_once(lengths, batch_size, epoch):
    order = epoch_order(lengths, batch_size, 0, epoch)
    assert sorted(order) == list(range(len(lengths)))
    assert order == epoch_order(lengths, batch_size, 0, epoch)


def test_epoch_order_groups_like_lengths_and_changes_with_epoch_and_seed():
    lengths = [10, 200] * 8
    order = epoch_order(lengths, 4, 0, 0)
    for start in range(0, 16, 4):
        assert len({lengths[row] for row in order[start : start + 4]}) == 1
    assert order != epoch_order(lengths, 4, 0, 1)
    assert order != epoch_order(lengths, 4, 1, 0)


def test_length_batches_start_with_the_longest():
    assert length_batches([1, 5, 3, 4], 2) == [[1, 3], [2, 0]]


@pytest.mark.parametrize("name", ["tiny_llama", "tiny_qwen3"])
def test_loss_of_a_batch_is_that_of_its_rows(name, exact):
    import torch
    from torch.nn.functional import cross_entropy

    from tracekd.training.losses import mean_losses, supervised_losses

    model, _ = student(name, exact)
    model.eval()
    encoded = encode_rows(load_encoder(name, spec(name)), rows(6))
    losses, in_answer = supervised_losses(model, collate(encoded, range(6), pad_id=0))
    expected, parts = [], []
    for example in encoded:
        ids = torch.tensor([example.prompt_ids + example.completion_ids])
        logits = model(input_ids=ids).logits[0]
        first = len(example.prompt_ids) - 1
        expected.append(cross_entropy(logits[first:-1], ids[0, first + 1 :], reduction="none"))
        parts += [place >= example.answer_index for place in range(len(example.completion_ids))]
    torch.testing.assert_close(losses, torch.cat(expected), atol=1e-5, rtol=1e-5)
    assert in_answer.tolist() == parts
    totals = mean_losses(model, encoded, 4, pad_id=0)
    assert totals.answer_tokens == sum(parts)
    assert totals.trace_tokens == len(parts) - sum(parts)
    assert math.isclose(totals.means()["loss"], float(losses.detach().mean()), rel_tol=1e-5)


def test_step_in_parts_or_accumulated_is_the_step_of_the_whole_batch(exact, tmp_path, monkeypatch):
    import torch

    encoded = encode_rows(load_encoder("tiny_llama", spec("tiny_llama")), rows(4))
    ends = []
    for size, passes, tokens in ((4, 1, 10**6), (1, 4, 10**6), (4, 1, 1)):
        monkeypatch.setattr("tracekd.training.loop._TOKENS_PER_PASS", {"cpu": tokens})
        model, params = student(
            "tiny_llama", exact, batch_size=size, accumulate=passes, lora_dropout=0, warmup=0
        )
        params = params.model_copy(update={"epochs": 1})
        log = tmp_path / str(len(ends))
        fine_tune(model, encoded, encoded, params, 0, exact, 0, log, tmp_path)
        ends.append(torch.cat([w.flatten() for w in model.parameters() if w.requires_grad]))
    torch.testing.assert_close(ends[0], ends[1], atol=2e-5, rtol=0)
    torch.testing.assert_close(ends[0], ends[2], atol=2e-5, rtol=0)


def test_training_lowers_the_loss_and_logs_it_apart(exact, tmp_path):
    encoded = encode_rows(load_encoder("tiny_qwen3", spec("tiny_qwen3")), rows(4))
    model, params = student(
        "tiny_qwen3", exact, epochs=15, batch_size=4, learning_rate=2e-2, lora_dropout=0
    )
    course = fine_tune(
        model, encoded, encoded, params, 0, exact, 0, tmp_path / "log", tmp_path / "progress"
    )
    assert course.steps == 15
    assert len(course.validations) == 3
    assert course.validations[-1]["loss"] < course.validations[0]["loss"] - 0.5
    assert set(course.last) == {"loss", "loss_trace", "loss_answer"}
    log = sorted(
        str(p.relative_to(tmp_path / "log")) for p in (tmp_path / "log").rglob("*") if p.is_file()
    )
    assert log == [
        "metrics.json",
        *(f"plots/metrics/train/{n}.tsv" for n in ("learning_rate", "loss")),
        *(f"plots/metrics/train/{n}.tsv" for n in ("loss_answer", "loss_trace")),
        *(f"plots/metrics/validation/{n}.tsv" for n in ("loss", "loss_answer", "loss_trace")),
    ]
    steps = (tmp_path / "log/plots/metrics/train/loss.tsv").read_text().splitlines()
    assert steps[0] == "step\tloss"
    assert [line.split("\t")[0] for line in steps[1:]] == [str(n) for n in range(1, 16)]
    validated = (tmp_path / "log/plots/metrics/validation/loss.tsv").read_text().splitlines()
    assert [line.split("\t")[0] for line in validated[1:]] == ["0", "8", "15"]


def test_a_run_ends_well_where_another_of_the_checkout_ends_in_the_same_moment(
    monkeypatch, exact, tmp_path
):
    encoded = encode_rows(load_encoder("tiny_llama", spec("tiny_llama")), rows(2))
    model, params = student("tiny_llama", exact, epochs=1, batch_size=2)
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))
    remove, marks = os.remove, []

    def another_was_first(path):
        if Path(path).name == "DVCLIVE_STEP_COMPLETED":
            remove(path)
            marks.append(path)
        remove(path)

    monkeypatch.setattr("dvclive.vscode.os.remove", another_was_first)
    folders = tmp_path / "log", tmp_path / "progress"
    assert fine_tune(model, encoded, encoded, params, 0, exact, 0, *folders).steps == 1
    assert len(marks) == 1


def test_two_runs_end_with_the_same_files(monkeypatch, tmp_path):
    data = {"train": rows(6), "validation": rows(2, "validation")}
    hashes = []
    for run in ("first", "second"):
        folder = tmp_path / run
        folder.mkdir()
        monkeypatch.chdir(folder)
        facts = train_adapter(
            *("tiny_llama", spec("tiny_llama"), PARAMS, 5, data),
            *(folder / "adapter", folder / "log", folder),
        )
        files = [p for p in sorted(folder.rglob("*")) if p.is_file() and "base" not in str(p)]
        hashes.append({str(p.relative_to(folder)): sha256_file(p) for p in files})
    assert hashes[0] == hashes[1]
    assert {"adapter/adapter_model.safetensors", "adapter/training.json"} < set(hashes[0])
    assert facts["steps"] == 6
    manifest = json.loads((folder / "adapter/training.json").read_text())
    assert manifest["examples"] == {"train": 6, "validation": 2}
    assert manifest["dropped_too_long"] == {"train": [], "validation": []}
    assert str(tmp_path) not in (folder / "adapter/adapter_config.json").read_text()


def test_loss_that_does_not_fall_is_a_loud_warning(monkeypatch, tmp_path, capsys):
    monkeypatch.chdir(tmp_path)
    data = {"train": rows(4), "validation": rows(2, "validation")}
    for rate, warned in ((1e-2, False), (1e-12, True)):
        params = PARAMS.model_copy(update={"learning_rate": rate})
        train_adapter(
            *("tiny_llama", spec("tiny_llama"), params, 5, data),
            *(tmp_path / "adapter", tmp_path / "log", tmp_path),
        )
        assert ("WARNING: the loss on validation did not fall" in capsys.readouterr().err) is warned


def test_seed_decides_the_adapter(exact):
    import torch

    base = load_base("tiny_llama", spec("tiny_llama"), exact)
    first = add_adapter(base, PARAMS, 1).state_dict()
    base = load_base("tiny_llama", spec("tiny_llama"), exact)
    second = add_adapter(base, PARAMS, 2).state_dict()
    assert any(not torch.equal(first[key], second[key]) for key in first if "lora_A" in key)


def test_seed_decides_the_order_of_examples(exact, tmp_path):
    encoded = encode_rows(load_encoder("tiny_llama", spec("tiny_llama")), rows(8))
    ends = []
    for seed in (1, 1, 2):
        # The same adapter in the beginning and no dropout: only the order is left to the seed.
        model, params = student("tiny_llama", exact, lora_dropout=0)
        log = tmp_path / str(len(ends))
        ends.append(fine_tune(model, encoded, encoded, params, seed, exact, 0, log, tmp_path).last)
    assert ends[0] == ends[1]
    assert ends[0] != ends[2]


def test_loss_that_is_no_number_stops_with_step_and_ids(exact, tmp_path):
    import torch

    encoded = encode_rows(load_encoder("tiny_llama", spec("tiny_llama")), rows(4))
    model, params = student("tiny_llama", exact, evaluations=1)
    norm = model.base_model.model.model.norm

    def break_weights(module, _):  # once validation has passed: the first batch meets it
        if module.training:
            norm.weight.data.fill_(torch.nan)

    model.register_forward_pre_hook(break_weights)
    with pytest.raises(TracekdError) as caught:
        fine_tune(
            model, encoded, encoded, params, 0, exact, 0, tmp_path / "log", tmp_path / "progress"
        )
    order = epoch_order([len(example) for example in encoded], 2, 0, 0)
    ids = ", ".join(encoded[row].id for row in order[:2])
    assert str(caught.value).startswith(f"step 1: the loss is nan; the batch holds {ids};")


def test_gradient_that_is_no_number_stops_before_the_weights_change(exact, tmp_path):
    import torch

    encoded = encode_rows(load_encoder("tiny_llama", spec("tiny_llama")), rows(2))
    model, params = student("tiny_llama", exact)
    weight = next(w for n, w in model.named_parameters() if "lora_B" in n)
    weight.register_hook(lambda gradient: gradient * torch.inf)
    with pytest.raises(TracekdError, match=r"step 1: a gradient is not finite; the batch holds t/"):
        fine_tune(
            model, encoded, encoded, params, 0, exact, 0, tmp_path / "log", tmp_path / "progress"
        )
    assert not weight.any()


def test_too_long_examples_are_an_error_or_a_named_drop():
    with pytest.raises(TracekdError, match=r"1 of 2 examples are longer than 5 tokens, a with 7"):
        within_length([A, B], 5, "error")
    assert within_length([A, B], 5, "drop") == ([B], ["a"])
    assert within_length([A, B], 7, "error") == ([A, B], [])
    with pytest.raises(TracekdError, match="none of 2 examples has at most 3 tokens"):
        within_length([A, B], 3, "drop")


def test_long_run_is_announced_once_and_a_short_one_never():
    assert long_run_message("training", 3000, "cpu") is None
    message = long_run_message("training", 7200, "cpu")
    assert message is not None
    assert message.startswith("training will take about 2.0 hours on this machine (cpu);")
    with warnings.catch_warnings():
        warning = LongRunWarning("training", 10**12, "cpu")
        said = [warning.step() for _ in range(10)]
    assert [index for index, text in enumerate(said, 1) if text] == [6]
