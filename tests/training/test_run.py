import json

import pytest
from training_runs import PARAMS, A, B, rows, spec

from tracekd.errors import TracekdError
from tracekd.files import sha256_file
from tracekd.training.run import train, within_length

DATA = {"train": rows(6), "validation": rows(2, "validation")}


def test_two_runs_write_the_same_files(monkeypatch, tmp_path):
    hashes = []
    for run in ("first", "second"):
        folder = tmp_path / run
        folder.mkdir()
        monkeypatch.chdir(folder)
        facts = train(spec(), DATA, PARAMS, 5, folder / "student", folder / "log")
        files = [p for p in sorted(folder.rglob("*")) if p.is_file() and "base" not in str(p)]
        hashes.append({str(p.relative_to(folder)): sha256_file(p) for p in files})
    assert hashes[0] == hashes[1]
    assert {"student/adapter_model.safetensors", "student/training.json"} < set(hashes[0])
    assert facts["steps"] == 6
    manifest = json.loads((folder / "student/training.json").read_text())
    assert manifest["examples"] == {"train": 6, "validation": 2}
    assert manifest["dropped_too_long"] == {"train": [], "validation": []}
    assert manifest["steps"] == 6
    assert str(tmp_path) not in (folder / "student/adapter_config.json").read_text()


def test_a_loss_that_does_not_fall_is_a_warning(monkeypatch, tmp_path, capsys):
    monkeypatch.chdir(tmp_path)
    for rate, warned in ((1e-2, False), (1e-12, True)):
        params = PARAMS.model_copy(update={"learning_rate": rate})
        train(spec(), DATA, params, 5, tmp_path / "student", tmp_path / "log")
        assert ("WARNING: the validation loss did not fall" in capsys.readouterr().err) is warned


def test_training_reads_the_training_rows_and_validation_the_others(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    seen = {}

    def fit(model, training, validation, *_):
        seen.update(train=training, validation=validation)
        raise KeyboardInterrupt

    monkeypatch.setattr("tracekd.training.loop.fit", fit)
    with pytest.raises(KeyboardInterrupt):
        train(spec(), DATA, PARAMS, 5, tmp_path / "student", tmp_path / "log")
    for split, examples in seen.items():
        assert [example.id for example in examples] == [row["id"] for row in DATA[split]]


def test_shots_precede_every_question_or_are_an_error_if_they_leave_no_room(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    seen = []

    def fit(model, training, validation, *_):
        seen.append([len(example.prompt_ids) for example in [*training, *validation]])
        raise KeyboardInterrupt

    monkeypatch.setattr("tracekd.training.loop.fit", fit)
    for shots in ([], rows(2, "more")):
        with pytest.raises(KeyboardInterrupt):
            train(spec(), DATA | {"shots": shots}, PARAMS, 5, tmp_path / "s", tmp_path / "l")
    (added,) = {more - less for less, more in zip(*seen, strict=True)}
    assert added > 50
    shots = rows(99, "more")
    with pytest.raises(TracekdError, match=r"prompt.shots is 99, which take .* 6 questions need"):
        train(spec(), DATA | {"shots": shots}, PARAMS, 5, tmp_path / "s", tmp_path / "l")


def test_too_long_examples_are_an_error_or_a_named_drop():
    with pytest.raises(TracekdError, match=r"1 of 2 examples are longer than 5 tokens; the longe"):
        within_length([A, B], 5, "error")
    assert within_length([A, B], 5, "drop") == ([B], ["a"])
    assert within_length([A, B], 7, "error") == ([A, B], [])
    with pytest.raises(TracekdError, match="none of 2 examples has at most 3 tokens"):
        within_length([A, B], 3, "drop")
