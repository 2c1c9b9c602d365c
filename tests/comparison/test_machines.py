"""Experiments made on other devices, in other number formats or by other backends are told."""

from typing import Any

from repository import PARAMS, Repository, scores

from tracekd.comparison import report, results
from tracekd.comparison.effects import BASELINES
from tracekd.comparison.experiments import collect
from tracekd.comparison.grid import arrange
from tracekd.comparison.locks import flat
from tracekd.comparison.scores import load

TABLE = scores([True, False])


def card(backend: str = "transformers", **machine: Any) -> dict[str, Any]:
    """A run card as the stages leave it, of what was made on a CPU unless it says otherwise."""
    own = {"device": "cpu", "device_name": "x86_64", "dtype": "bfloat16", "threads": 2}
    machine = own | machine
    return {
        "train": {"seconds": 1.5, "made_from": {"machine": machine}},
        "infer": {"made_from": {"machine": machine, "infer": {"backend": backend}}},
    }


def compared(repository: Repository) -> dict[str, Any]:
    found = collect(repository.save().path)
    loaded = load(arrange(found.experiments), repository.cache)
    return results.compare(found, loaded, flat(PARAMS), BASELINES, paper=False)[0]


def test_experiments_on_other_devices_and_backends_are_named_and_still_pooled(
    repository: Repository,
) -> None:
    repository.experiment("cpu-0", TABLE, card=card())
    repository.experiment("cpu-1", TABLE, card=card(threads=1), seed=1)
    gpu = card("vllm", device="cuda", device_name="NVIDIA H100")
    repository.experiment("gpu-2", TABLE, card=gpu, seed=2)
    found = compared(repository)
    here = "device cpu, device_name x86_64"
    there = "device cuda, device_name NVIDIA H100"
    assert found["other_machines"] == {
        "small on worlds": {
            f"train on {here}; infer on backend transformers, {here}": ["cpu-0", "cpu-1"],
            f"train on {there}; infer on backend vllm, {there}": ["gpu-2"],
        }
    }
    assert found["results"]["small on worlds"]["regimes"]["correct"]["seeds"] == [0, 1, 2]
    text = report.markdown(found)
    assert "## Experiments made on different machines or backends\n\n- small on worlds; " in text
    assert "infer on backend vllm, device cuda, device_name NVIDIA H100: gpu-2" in text


def test_another_number_format_is_told_alone(repository: Repository) -> None:
    repository.experiment("a", TABLE, card=card())
    repository.experiment("b", TABLE, card=card(dtype="float32"), trace_mode="none")
    (groups,) = compared(repository)["other_machines"].values()
    assert groups == {
        "train on dtype float32; infer on dtype float32": ["b"],
        "train on dtype bfloat16; infer on dtype bfloat16": ["a"],
    }


def test_one_machine_is_not_worth_a_section(repository: Repository) -> None:
    repository.experiment("a", TABLE, card=card())
    repository.experiment("b", TABLE, card=card(threads=1), seed=1)
    repository.experiment("without", TABLE, seed=2)
    repository.experiment("strange", TABLE, seed=3, card=["no card"])
    found = compared(repository)
    assert found["other_machines"] == {}
    assert "different machines" not in report.markdown(found)


def test_other_settings_are_not_pooled_and_not_told(repository: Repository) -> None:
    repository.experiment("a", TABLE, card=card())
    repository.experiment("b", TABLE, card=card(device="cuda"), model="large")
    assert compared(repository)["other_machines"] == {}
