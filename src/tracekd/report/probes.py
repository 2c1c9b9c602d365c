"""What probes show: their names, and the finding of one experiment."""

from collections.abc import Mapping
from typing import Any

from tracekd.probing.plans import CUTS
from tracekd.report.style import find, percent

#: Probe -> its name in a picture: traces of others first, then variants of the student's own.
NAMES = {
    "gold": "correct trace",
    "incorrect": "incorrect trace",
    "shuffled": "another question's trace",
    "filler": "filler of the same length",
    "empty": "empty trace",
    "own": "student's own trace",
    "corrected_class": "own, class corrected",
    "corrected_facts": "own, facts corrected",
    "corrupted_class": "own, class corrupted",
    "corrupted_facts": "own, facts corrupted",
    **{f"own_cut_{share}": f"own, first {share} %" for share in reversed(CUTS)},
}


def probe_finding(details: Mapping[str, Any]) -> str | None:
    """Return in one sentence what a wrong trace in place of the correct one does to accuracy.

    None if no question was asked with both.
    """
    effect = find(details, "probes.effects.gold_to_incorrect") or {}
    if effect.get("accuracy_change") is None:
        return None
    gold, wrong = (
        percent(details["probes"]["by_probe"][probe]["accuracy"], 0)
        for probe in ("gold", "incorrect")
    )
    shares = f"{gold} right given the correct trace, {wrong} given an incorrect one"
    low, high = effect["accuracy_change_low"], effect["accuracy_change_high"]
    if low is None or low <= 0 <= high:
        return f"Replacing the correct trace has no clear effect on accuracy: {shares}"
    verb = "lowers" if high < 0 else "raises"
    return f"An incorrect trace in place of the correct one {verb} accuracy: {shares}"
