"""Our numbers beside the published ones."""

import pytest

from tracekd.comparison import published
from tracekd.statistics.values import Undefined


def results(accuracy, n):
    estimate = {"mean": accuracy, "low": accuracy - 0.01, "high": accuracy + 0.01}
    figures = {"n": n, "answer": estimate, "link": {"right_right": 1}}
    classes = ("equal", *published.load_published()["mix"]["babi"])
    figures["by_class"] = {name: {"n": n, **estimate} for name in classes}
    return {
        "llama on cotemp": {"model": "llama", "dataset": "cotemp", "regimes": {"none": figures}},
        "llama on babi": {"model": "llama", "dataset": "babi", "regimes": {"correct": figures}},
    }


def test_the_published_data_agree_with_themselves():
    content = published.load_published()
    for dataset, models in content["trace_answer"].items():
        for regimes in models.values():
            for cells in regimes.values():
                # The published counts miss a row or two here and there.
                assert sum(content["questions"][dataset].values()) - sum(cells) in range(31)
    assert set(content["accuracy"]["cotemp"]) == set(content["models"])


def test_a_class_is_compared_with_an_interval():
    found = published.beside(results(0.5, 100))["accuracy"]["cotemp, Llama-3.2-1B-Instruct, none"]
    ours = found["equal"]["ours"]["llama on cotemp"]
    assert found["equal"]["published"] == pytest.approx(0.724)
    assert ours["difference"] == pytest.approx(-0.224)
    assert ours["difference_low"] < -0.224 < ours["difference_high"] < 0
    assert ours["differs"]
    assert "differs" not in found["mix"]["ours"]["llama on cotemp"]


def test_an_accuracy_over_all_classes_is_compared_in_the_mix_of_the_published_one():
    ran = results(0.95, 100)
    figures = ran["llama on babi"]["regimes"]["correct"]
    low = {"n": 100, "mean": 0.5, "low": 0.4, "high": 0.6}
    figures["by_class"] |= {"basic-induction": low, "two-arg-relations": low}
    found = published.beside(ran)["accuracy"]["babi, Llama-3.2-1B-Instruct, correct"]
    ours = found["all"]["ours"]["llama on babi"]
    assert ours["mean"] == pytest.approx((200 * 0.5 + 176 * 0.95) / 376)
    assert ours["differs"]
    del figures["by_class"]["counting"]
    found = published.beside(ran)["accuracy"]["babi, Llama-3.2-1B-Instruct, correct"]
    absent = Undefined("no test question of class counting")
    assert found["all"]["ours"]["llama on babi"] == {"mean": absent}


def test_an_accuracy_over_an_unknown_mix_of_classes_is_not_comparable():
    ran = results(0.95, 100)
    ran["llama on marco"] = {**ran["llama on babi"], "dataset": "marco"}
    found = published.beside(ran)["accuracy"]["marco, Llama-3.2-1B-Instruct, correct"]
    ours = found["all"]["ours"]["llama on marco"]
    assert ours["mean"] == 0.95
    assert isinstance(ours["differs"], Undefined)


def test_what_was_not_run_has_no_numbers_of_ours():
    found = published.beside({})["accuracy"]["cotemp, Qwen3-8B, correct"]
    assert list(found) == ["equal", "overlap", "mix"]
    assert found["mix"] == {"published": pytest.approx(0.549), "published_n": 113, "ours": {}}


def test_published_counts_of_trace_and_answer_are_measured_as_ours_are():
    found = published.beside(results(0.5, 9))["trace_answer"]
    llama = found["cotemp, Llama-3.2-1B-Instruct, correct"]["published"]
    expected = 950 * (174 * 345 - 187 * 244) ** 2 / (361 * 589 * 418 * 532)
    assert llama["chi_square"] == pytest.approx(expected)
    ours = found["babi, Llama-3.2-1B-Instruct, correct"]["ours"]
    assert ours == {"llama on babi": {"right_right": 1}}
