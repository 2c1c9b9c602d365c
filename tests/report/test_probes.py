import pytest

from tracekd.report.probes import probe_finding


def effect(low, high, change=0.1):
    found = {"accuracy_change": change, "accuracy_change_low": low, "accuracy_change_high": high}
    by_probe = {"gold": {"accuracy": 0.56}, "incorrect": {"accuracy": 0.13}}
    return {"probes": {"effects": {"gold_to_incorrect": found}, "by_probe": by_probe}}


@pytest.mark.parametrize(
    ("low", "high", "finding"),
    [
        (-0.5, -0.1, "An incorrect trace in place of the correct one lowers accuracy: "),
        (-0.5, 0.0, "Replacing the correct trace has no clear effect on accuracy: "),
        (None, None, "Replacing the correct trace has no clear effect on accuracy: "),
    ],
)
def test_the_finding_goes_no_further_than_the_interval(low, high, finding):
    shares = "56 % right given the correct trace, 13 % given an incorrect one"
    assert probe_finding(effect(low, high)) == finding + shares


def test_without_probes_or_without_both_traces_there_is_no_finding():
    assert probe_finding({}) is probe_finding(effect(None, None, change=None)) is None
