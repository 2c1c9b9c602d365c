import pytest
from training_runs import encoded, trained_weights

from tracekd.errors import TracekdError
from tracekd.training.collation import epoch_order


def test_a_step_in_several_passes_is_the_step_of_the_whole_batch(workshop, monkeypatch):
    import torch

    examples, ends = encoded(4), []
    for tokens in (10**6, 1):
        monkeypatch.setattr("tracekd.training.memory._TOKENS", tokens)
        model = workshop.student(dropout=0)
        workshop.fit(model, examples, batch_size=4, dropout=0, warmup=0, epochs=1)
        ends.append(trained_weights(model))
    torch.testing.assert_close(ends[0], ends[1], atol=2e-5, rtol=0)


def test_training_lowers_the_loss_and_logs_it_apart(workshop):
    examples = encoded(4, "tiny_qwen3")
    changes = {"epochs": 15, "batch_size": 4, "learning_rate": 2e-2, "dropout": 0}
    result = workshop.fit(workshop.student("tiny_qwen3", **changes), examples, **changes)
    assert result.steps == 15
    assert len(result.validations) == 3
    assert result.validations[-1]["loss"] < result.validations[0]["loss"] - 0.5
    assert set(result.last) == {"loss", "loss_trace", "loss_answer"}
    log = sorted(str(p.relative_to(workshop.log)) for p in workshop.log.rglob("*") if p.is_file())
    assert log == [
        "metrics.json",
        *(f"plots/metrics/train/{n}.tsv" for n in ("learning_rate", "loss")),
        *(f"plots/metrics/train/{n}.tsv" for n in ("loss_answer", "loss_trace")),
        *(f"plots/metrics/validation/{n}.tsv" for n in ("loss", "loss_answer", "loss_trace")),
    ]

    def steps(name):
        lines = (workshop.log / f"plots/metrics/{name}.tsv").read_text().splitlines()
        return lines[0], [line.split("\t")[0] for line in lines[1:]]

    assert steps("train/loss") == ("step\tloss", [str(n) for n in range(1, 16)])
    assert steps("validation/loss") == ("step\tloss", ["0", "8", "15"])


def test_learning_rate_rises_to_its_peak_and_falls_by_a_cosine(workshop):
    changes = {"epochs": 1, "batch_size": 1, "warmup": 0.5, "learning_rate": 1e-3}
    workshop.fit(workshop.student(), encoded(4), **changes)
    lines = (workshop.log / "plots/metrics/train/learning_rate.tsv").read_text().splitlines()
    rates = [float(line.split("\t")[1]) for line in lines[1:]]
    assert rates == pytest.approx([0, 5e-4, 1e-3, 5e-4])


def test_loss_is_the_mean_over_all_tokens_of_a_step_not_over_its_examples(workshop):
    examples = encoded(2)
    assert len(examples[0].completion_ids) != len(examples[1].completion_ids)
    model = workshop.student(dropout=0)
    result = workshop.fit(model, examples, epochs=1, dropout=0, evaluations=1)
    assert result.last["loss"] == pytest.approx(result.validations[0]["loss"], rel=1e-5)


@pytest.mark.parametrize(("count", "dropout"), [(8, 0), (1, 0.5)])
def test_seed_decides_the_order_of_examples_and_the_dropout(workshop, count, dropout):
    # The same adapter at first: without dropout only the order is left to the seed, or the reverse.
    changes = {"dropout": dropout, "warmup": 0, "batch_size": 1, "learning_rate": 1e-2}
    one, same, other = (
        workshop.fit(workshop.student(**changes), encoded(count), seed, **changes).last
        for seed in (1, 1, 2)
    )
    assert one == same
    assert one != other


def test_a_loss_that_is_not_finite_stops_with_step_and_ids(workshop):
    import torch

    examples, model = encoded(4), workshop.student()
    norm, calls = model.base_model.model.model.norm, []

    def break_weights(module, _):
        calls.append(module.training)
        if len([mode for mode in calls if mode]) > 1:  # after the trial pass
            norm.weight.data.fill_(torch.nan)

    model.register_forward_pre_hook(break_weights)
    with pytest.raises(TracekdError) as caught:
        workshop.fit(model, examples)
    (first, *_) = epoch_order([len(example) for example in examples], 2, 0, 0)
    ids = ", ".join(examples[row].id for row in first)
    assert str(caught.value).startswith(f"step 1: the loss is nan; the batch contains {ids};")


def test_a_gradient_that_is_not_finite_stops_before_the_weights_change(workshop):
    import torch

    model = workshop.student()
    weight = next(w for n, w in model.named_parameters() if "lora_B" in n)
    weight.register_hook(lambda gradient: gradient * torch.inf)
    with pytest.raises(TracekdError, match=r"step 1: the gradient is (inf|nan); the batch conta"):
        workshop.fit(model, encoded(2))
    assert not weight.any()


def test_a_mark_that_another_run_has_deleted_is_no_error(workshop, monkeypatch):
    def gone():
        raise FileNotFoundError("DVCLIVE_STEP_COMPLETED")

    monkeypatch.setattr("dvclive.live.cleanup_dvclive_step_completed", gone)
    assert workshop.fit(workshop.student(), encoded(2), epochs=1).steps == 1
