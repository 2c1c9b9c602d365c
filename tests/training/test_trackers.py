"""Trackers beside DVCLive: tensorboard for real, the others by name."""

import pytest
from training_runs import encoded

from tracekd.errors import TracekdError
from tracekd.training.trackers import require_trackers


def test_tensorboard_gets_every_number_that_dvclive_gets_and_the_settings(
    workshop, tmp_path, monkeypatch
) -> None:
    event_accumulator = pytest.importorskip(
        "tensorboard.backend.event_processing.event_accumulator",
        reason="tensorboard is not installed (pip install -e '.[test]')",
    )
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))
    monkeypatch.setenv("DVC_EXP_NAME", "mossy-oak")
    workshop.fit(workshop.student(), encoded(4), report_to=["tensorboard"])
    log = event_accumulator.EventAccumulator(str(tmp_path / "runs/mossy-oak/tracekd"))
    log.Reload()
    found = {event.step: event.value for event in log.Scalars("train/loss")}
    lines = (workshop.log / "plots/metrics/train/loss.tsv").read_text().splitlines()[1:]
    expected = {int(step): float(loss) for step, loss in (line.split("\t") for line in lines)}
    assert found == pytest.approx(expected)
    assert [event.step for event in log.Scalars("validation/loss")] == [0, 2, 4]
    (settings,) = (tmp_path / "runs").rglob("hparams.yml")
    assert {"seed: 0", "batch_size: 2"} <= set(settings.read_text().splitlines())


def test_no_tracker_runs_unless_it_is_named(workshop, tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))
    workshop.fit(workshop.student(), encoded(2))
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize("name", ["tensorbord", "clearml"])  # unknown, and not installed
def test_a_tracker_that_cannot_run_is_refused_before_a_model_is_loaded(name) -> None:
    with pytest.raises(TracekdError, match=f"report_to: {name} is no tracker .* not installed;"):
        require_trackers([name])
