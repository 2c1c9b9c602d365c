from pathlib import Path

import pytest
import yaml

from tracekd.config import (
    DatasetSpec,
    ModelSpec,
    Params,
    TeacherSpec,
    cache_folder,
    load_dataset,
    load_model,
    load_params,
    load_teacher,
    parse_settings,
    project_root,
    write_entry,
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


def test_the_training_sample_follows_the_seed_unless_it_has_its_own(tmp_path: Path) -> None:
    drawn = [
        load_params(changed(tmp_path, {"seed": 3, "sample_seed": own})).sampled_by
        for own in (None, 0, 7)
    ]
    assert drawn == [3, 0, 7]


def test_every_shipped_entry_is_valid() -> None:
    load_params(ROOT / "params.yaml")
    for name in yaml.safe_load((ROOT / "models.yaml").read_text()):
        load_model(ROOT / "models.yaml", name)
    for name in yaml.safe_load((ROOT / "datasets.yaml").read_text()):
        load_dataset(ROOT / "datasets.yaml", name)
    for name in yaml.safe_load((ROOT / "teachers.yaml").read_text()):
        load_teacher(ROOT / "teachers.yaml", name)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"sead": 1}, "params.yaml: sead: unknown key; did you mean seed"),
        ({"train.epoch": 1}, "params.yaml: train.epoch: unknown key; did you mean epochs"),
        ({"corruption": 1.5}, "params.yaml: corruption: .*less than or equal to 1; found 1.5"),
        ({"train.lora.dropout": 1.0}, "params.yaml: train.lora.dropout: .*less than 1; found 1.0"),
        ({"train.lora.rnk": 4}, "params.yaml: train.lora.rnk: unknown key; did you mean rank"),
        ({"train.method": "dora"}, "params.yaml: train.method: .*'full' or 'none'; found 'dora'"),
        ({"train.lora.targets": []}, r"train.lora.targets: must be all-linear or a list of module"),
        ({"train.lora.targets": "q"}, r"train.lora.targets: must be all-linear or .*; found 'q'"),
        ({"train.start": {"repo": "a/b"}}, "train.start: needs repo and revision, or path and sha"),
        ({"train.start": "a/b"}, "params.yaml: train.start: .*found 'a/b'"),
        (
            {"train.method": "full", "train.start": {"path": "a", "sha256": "0" * 64}},
            "params.yaml: train: start is an adapter, which method: full does not train",
        ),
        ({"probes.enabled": 2}, "params.yaml: probes.enabled: .*found 2"),
        ({"probes.limit": True}, "params.yaml: probes.limit: .*valid integer; found True"),
        ({"prepare.train": 0}, "params.yaml: prepare.train: .*found 0"),
        (
            {"prompt.template": "{question}"},
            r"prompt.template: must be text that contains \{context\} and",
        ),
        ({"train": 3}, "params.yaml: train: .*found 3"),
        ({"train.batch_size": "2"}, "params.yaml: train.batch_size: .*valid integer; found '2'"),
        (
            {"probes.enabled": "on"},
            "params.yaml: probes.enabled: .*valid boolean; found 'on'",
        ),
        ({"infer.backend": "vlm"}, "infer.backend: .*generation/backends; did you mean vllm"),
        ({"teacher.keep": "best"}, "params.yaml: teacher.keep: .*'first_right'; found 'best'"),
        ({"infer.backend": "../x"}, "infer.backend: must be the name of a module"),
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
    with pytest.raises(
        TracekdError, match=r"params\.yaml: model: .*has no entry 'qwen'.*did you mean qwen3"
    ):
        load_model(ROOT / "models.yaml", "qwen")
    with pytest.raises(
        TracekdError, match=r"params\.yaml: dataset: .*has no entry 'bab'.*did you mean babi"
    ):
        load_dataset(ROOT / "datasets.yaml", "bab")


def test_keys_of_a_dataset_that_contradict_each_other_are_refused() -> None:
    hub = {"repo": "a/b", "revision": "0" * 40}
    file = {"a.json": {"url": "https://a/a.json", "git_hash": "0" * 40}}
    for keys, message in (
        ({"hub": hub, "files": file}, "files and hub are two sources"),
        ({"sha256": "0" * 64}, "sha256 pins path, which is null"),
    ):
        with pytest.raises(TracekdError, match=message):
            parse_settings(DatasetSpec, {"name": "mine", "reader": "jsonl", **keys}, "here")


def test_a_teacher_has_one_source_and_prompts_with_their_slots() -> None:
    endpoint = {"base_url": "http://localhost/v1", "model": "m"}
    prompts = {"trace": "{context} {question}"}
    for keys, message in (
        ({}, "needs an endpoint, a model, or the path of a file"),
        ({"endpoint": endpoint, "path": "x", "prompts": prompts}, "three sources; keep one"),
        ({"endpoint": endpoint}, "needs one for trace or steps"),
        ({"model": "m", "prompts": {"trace": "{context}"}}, r"trace: must contain \{question\}"),
        (
            {"model": "m", "prompts": {"steps": "{context}{question}", "summary": "{trace}"}},
            "need a prompt for trace too",
        ),
        ({"path": "x", "prompts": prompts}, "a file of traces is not asked"),
        ({"model": "m", "prompts": prompts, "budget": {"tokens": 9}}, "only for an endpoint"),
    ):
        with pytest.raises(TracekdError, match=message):
            parse_settings(TeacherSpec, {"name": "mine", **keys}, "here")


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
            parse_settings(ModelSpec, {"name": "mine", "max_length": 8, **sources}, "here")
    right: list[dict[str, object]] = [{"hub": hub}, {"path": "mine"}, {"path": "mine", "hub": hub}]
    for sources in right:
        assert (
            parse_settings(ModelSpec, {"name": "mine", "max_length": 8, **sources}, "here").random
            is None
        )


def test_a_number_in_scientific_notation_is_a_number(tmp_path: Path) -> None:
    path = changed(tmp_path, {})
    path.write_text(path.read_text().replace("learning_rate: 0.003", "learning_rate: 2e-3"))
    assert load_params(path).train.learning_rate == 0.002


def test_a_branch_is_not_a_pinned_revision() -> None:
    hub = {"repo": "a/b", "revision": "main"}
    with pytest.raises(TracekdError, match=r"here: hub\.revision: must be the 40 .*found 'main'"):
        parse_settings(ModelSpec, {"name": "mine", "max_length": 8, "hub": hub}, "here")


def test_an_entry_names_modules_that_exist_and_needs_little_more_than_a_reader() -> None:
    spec = parse_settings(DatasetSpec, {"name": "mine", "reader": "jsonl"}, "here")
    assert (spec.answer_metric, spec.answers, spec.facts["paper"]) == (
        *("exact_match", "all", "annotated"),
    )
    wrong = {"name": "mine", "reader": "jsonlines", "answer_metric": "exact"}
    with pytest.raises(TracekdError, match=r"here: reader: .*found 'jsonlines'") as caught:
        parse_settings(DatasetSpec, wrong, "here")
    assert "here: answer_metric: must be the name of a module" in str(caught.value)


def test_an_entry_is_written_back_with_its_comments(tmp_path: Path) -> None:
    path = tmp_path / "datasets.yaml"
    path.write_text("# one\nmine:  # two\n  path: null\n  hub: null\n# three\nother: {a: 'b'}\n")
    write_entry(path, "mine", {"path": "data/x", "sha256": "0f"})
    assert path.read_text() == (
        "# one\nmine:  # two\n  path: data/x\n  sha256: 0f\n  hub: null\n# three\nother: {a: 'b'}\n"
    )


def test_a_class_sentence_needs_its_slot() -> None:
    entry = yaml.safe_load((ROOT / "datasets.yaml").read_text())["babi_sim"]
    with pytest.raises(TracekdError, match=r"class_sentence: .*{class} exactly once"):
        parse_settings(DatasetSpec, entry | {"name": "mine", "class_sentence": "No slot."}, "here")


@pytest.mark.parametrize("content", ["a: [", "\x00", "- 1", "seed: 0\nseed: 1", "a: 2001-99-99"])
def test_what_is_not_a_yaml_mapping_with_unique_keys_is_one_clear_error(
    tmp_path: Path, content: str
) -> None:
    path = tmp_path / "params.yaml"
    path.write_text(content)
    with pytest.raises(TracekdError, match=r"params.yaml: (not valid YAML|expected a mapping)"):
        load_params(path)


def test_a_missing_file_says_where_to_run_the_command(tmp_path: Path) -> None:
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
