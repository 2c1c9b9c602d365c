import json

from tracekd.models import runcard


def test_card_has_facts_seconds_and_the_versions_of_what_is_installed(monkeypatch, tmp_path):
    monkeypatch.setattr("tracekd.progress.version", lambda package: f"{package} 1")
    runcard.RunCard().write(tmp_path / "run_train.json", {"steps": 2})
    written = json.loads((tmp_path / "run_train.json").read_text())
    assert written["steps"] == 2
    assert written["seconds"] >= 0
    assert written["packages"]["torch"] == "torch 1"
    assert written["packages"]["vllm"] == "vllm 1"


def test_cards_of_all_stages_are_joined(tmp_path):
    for stage in ("train", "infer"):
        (tmp_path / f"run_{stage}.json").write_text(json.dumps({"made_by": stage}))
    runcard.join(tmp_path)
    joined = json.loads((tmp_path / "run.json").read_text())
    assert joined == {"infer": {"made_by": "infer"}, "train": {"made_by": "train"}}
