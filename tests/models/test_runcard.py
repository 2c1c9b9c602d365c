from tracekd.files import read_json
from tracekd.models.runcard import RunCard, versions


def test_an_extra_that_is_not_installed_has_no_version(tmp_path):
    assert list(versions(["torch", "tracekd-no-such"])) == ["torch"]
    RunCard().write(tmp_path / "card.json")
    assert {"torch", "polars"} <= set(read_json(tmp_path / "card.json")["packages"])


def test_the_version_of_vllm_is_noted_where_it_is_installed(monkeypatch, tmp_path):
    monkeypatch.setattr("tracekd.models.runcard.version", lambda package: f"1.0 of {package}")
    RunCard().write(tmp_path / "card.json")
    assert read_json(tmp_path / "card.json")["packages"]["vllm"] == "1.0 of vllm"
