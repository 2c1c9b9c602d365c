"""Simulated raters, with known effects of trace types: `python tests/raters.py FOLDER`.

Writes the exports of 40 raters of the page whose key is metrics/rating_key.json.
"""

import json
import sys
from pathlib import Path

import numpy as np

#: Item, or "" for any other -> mean rating of each trace type, from the first on.
MEANS = {"mental_demand": (2.0, 2.1, 3.2, 2.6), "": (3.9, 3.0, 2.3, 2.7)}


def simulate(key, raters, seed=0, means=MEANS, spread=(0.4, 0.2)):
    """Return exports in which the expected rating of a type is that in `means`.

    `spread` are the standard deviations of raters and of questions. Ratings are rounded up or down
    at random, so that no expectation changes; those beyond the scale are cut to it.
    """
    rng = np.random.default_rng(seed)
    settings, exports = key["settings"], []
    items = [item["name"] for item in settings["items"]]
    of_question = {question: rng.normal(0, spread[1]) for question, _ in key["traces"].values()}
    for slot in range(1, raters + 1):
        of_rater = dict(zip(items, rng.normal(0, spread[0], len(items)), strict=True))
        ratings = {}
        for trace in key["slots"][slot - 1]:
            values = dict.fromkeys(items, key["checks"].get(trace))
            if trace in key["traces"]:
                question, kind = key["traces"][trace]
                place = settings["types"].index(kind)
                for item in items:
                    expected = (
                        means.get(item, means[""])[place] + of_rater[item] + of_question[question]
                    )
                    value = int(np.floor(expected + rng.uniform()))
                    values[item] = min(max(value, 1), settings["points"])
            ratings[trace] = {
                "values": values,
                "comment": "",
                "seconds": round(rng.uniform(9, 40), 1),
            }
        rater = f"r{seed:04}{slot:04}"
        exports.append({"plan": key["checksum"], "slot": slot, "rater": rater, "ratings": ratings})
    return exports


def write(exports, folder):
    """Write each export into a file; return their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"ratings-{one['slot']:03}-{one['rater'][:6]}.json" for one in exports]
    for path, one in zip(paths, exports, strict=True):
        path.write_text(json.dumps(one, indent=1))
    return paths


if __name__ == "__main__":
    write(simulate(json.loads(Path("metrics/rating_key.json").read_text()), 40), Path(sys.argv[1]))
