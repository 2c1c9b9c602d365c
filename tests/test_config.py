from pathlib import Path

import pytest
import yaml

from tracekd.config import (
    DatasetSpec,
    ModelSpec,
    Params,
    cache_folder,
    load_dataset,
    load_model,
    load_params,
    parse_settings,
    project_root,
)
from tracekd.errors import TracekdError

ROOT = Path(__file__).resolve().parents[1]


def changed(tmp_path: Path, change: dict[str, object]) -> Path:
    content = yaml.safe_load((ROOT / "params.yaml").read_text())
    for key, value in change.items():
        place = content
        *parents, last = key.split(".")
        for parent in parents:
            place = place[parent]
        place[last] = value
    path = tmp_path / "params.yaml"
    path.write_text(yaml.safe_dump(content))
    return path


def test_every_shipped_entry_is_valid() -> None:
    load_params(ROOT / "params.yaml")
    for name in yaml.safe_load((ROOT / "models.yaml").read_text()):
        load_model(ROOT / "models.yaml", name)
    for name in yaml.safe_load((ROOT / "datasets.yaml").read_text()):
        load_dataset(ROOT / "datasets.yaml", name)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"sead": 1}, "params.yaml: sead: unknown key; did you mean seed"),
        ({"train.epoch": 1}, "params.yaml: train.epoch: unknown key; did you mean epochs"),
        ({"corruption": 1.5}, "params.yaml: corruption: .*less than or equal to 1; found 1.5"),
        ({"train.lora_dropout": 1.0}, "params.yaml: train.lora_dropout: .*less than 1; found 1.0"),
        ({"probes.enabled": 2}, "params.yaml: probes.enabled: .*found 2"),
        ({"probes.limit": True}, "params.yaml: probes.limit: .*not true or false"),
        ({"prepare.train": 0}, "params.yaml: prepare.train: .*found 0"),
        ({"prompt.template": "{question}"}, "must contain {context} exactly once"),
        ({"dataset": "$(touch x)"}, r"params.yaml: dataset: .*pattern.*found '\$\(touch x\)'"),
        ({"model": "../../etc"}, "params.yaml: model: .*pattern"),
        ({"train": 3}, "params.yaml: train: .*found 3"),
        ({"train.batch_size": "2"}, "params.yaml: train.batch_size: must be a number, not text"),
        (
            {"probes.enabled": "on"},
            "params.yaml: probes.enabled: must be true or false; found 'on'",
        ),
        ({"probes.enabled": 1}, "params.yaml: probes.enabled: must be true or false; found 1"),
    ],
)
def test_a_wrong_param_is_named_with_its_remedy(
    tmp_path: Path, change: dict[str, object], message: str
) -> None:
    with pytest.raises(TracekdError, match=message):
        load_params(changed(tmp_path, change))


def test_a_missing_param_is_named() -> None:
    with pytest.raises(TracekdError, match="here: seed: missing"):
        parse_settings(Params, {"model": "a"}, "here")


def test_unknown_entries_come_with_the_nearest_names() -> None:
    with pytest.raises(TracekdError, match="unknown model 'qwen'; did you mean qwen3"):
        load_model(ROOT / "models.yaml", "qwen")
    with pytest.raises(TracekdError, match="unknown data set 'bab'; did you mean babi"):
        load_dataset(ROOT / "datasets.yaml", "bab")


def test_a_model_has_exactly_one_source() -> None:
    hub = {"repo": "a/b", "revision": "0" * 40}
    made = {"template": "llama", "config": {}}
    wrong: list[dict[str, object]] = [
        {},
        {"sha256": "0" * 64},
        {"hub": hub, "random": made},
        {"path": "mine", "random": made},
    ]
    for sources in wrong:
        with pytest.raises(TracekdError, match="exactly one of hub, wheel, random and path"):
            parse_settings(ModelSpec, {"max_length": 8, **sources}, "here")
    right: list[dict[str, object]] = [{"hub": hub}, {"path": "mine"}, {"path": "mine", "hub": hub}]
    for sources in right:
        assert parse_settings(ModelSpec, {"max_length": 8, **sources}, "here").random is None


def test_a_number_that_yaml_takes_for_text_is_a_number(tmp_path: Path) -> None:
    path = changed(tmp_path, {})
    path.write_text(path.read_text().replace("learning_rate: 0.002", "learning_rate: 2e-3"))
    assert load_params(path).train.learning_rate == 0.002


def test_a_branch_is_not_a_pinned_revision() -> None:
    hub = {"repo": "a/b", "revision": "main"}
    with pytest.raises(TracekdError, match=r"here: hub\.revision: must be the 40 .*found 'main'"):
        parse_settings(ModelSpec, {"max_length": 8, "hub": hub}, "here")


def test_a_class_sentence_needs_its_slot() -> None:
    entry = yaml.safe_load((ROOT / "datasets.yaml").read_text())["babi_sim"]
    with pytest.raises(TracekdError, match=r"class_sentence: .*{class} exactly once"):
        parse_settings(DatasetSpec, entry | {"class_sentence": "No slot."}, "here")


@pytest.mark.parametrize("content", ["a: [", "\x00", "- 1"])
def test_what_is_not_a_yaml_mapping_is_one_clear_error(tmp_path: Path, content: str) -> None:
    path = tmp_path / "params.yaml"
    path.write_text(content)
    with pytest.raises(TracekdError, match=r"params.yaml: (not valid YAML|expected a mapping)"):
        load_params(path)


def test_a_missing_file_says_where_to_stand(tmp_path: Path) -> None:
    with pytest.raises(TracekdError, match="run from the project's root"):
        load_params(tmp_path / "params.yaml")


def test_folders_follow_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))
    assert project_root() == tmp_path
    monkeypatch.setenv("TRACEKD_CACHE", str(tmp_path / "cache"))
    assert cache_folder() == tmp_path / "cache"
    monkeypatch.delenv("TRACEKD_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_folder() == tmp_path / "tracekd"
