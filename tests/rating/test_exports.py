import json
import re

import pytest
from raters import simulate, write

from tracekd.errors import TracekdError
from tracekd.rating.exports import read_exports


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "exports"


def test_complete_exports_count_without_their_attention_checks(key, folder):
    paths = write(simulate(key, 3), folder)
    ratings, notes = read_exports([*paths, paths[0]], key)
    assert notes == {}
    assert ratings.height == 3 * 8 * 5
    assert set(ratings["type"]) == {"correct", "incorrect"}
    assert set(ratings["trace"]) <= key["traces"].keys()


def test_every_other_export_is_named_and_counted(key, folder):
    exports = simulate(key, 5)
    foreign = {**exports[0], "plan": "0" * 64}
    rated = exports[1]["ratings"]
    partial = {**exports[1], "ratings": dict(list(rated.items())[:4])}
    check, value = next(iter(key["checks"].items()))
    wrong = dict.fromkeys(rated[check]["values"], value % 5 + 1)
    exports[2]["ratings"][check]["values"] = wrong
    last = next(iter(exports[3]["ratings"].values()))["values"]
    last.pop("faithfulness")
    again = {**exports[4], "slot": 4, "rater": "another"}
    again["ratings"] = simulate(key, 4)[3]["ratings"]
    paths = write(exports, folder)
    others = [
        folder / f"{name}.json" for name in ("foreign", "partial", "again", "list", "no", "gone")
    ]
    for path, content in zip(others, (foreign, partial, again, [], {"plan": 1}), strict=False):
        path.write_text(json.dumps(content))
    others[-1].write_text("{")
    ratings, notes = read_exports([*paths, *others], key)
    assert {note: [path.split("/")[-1] for path in found] for note, found in notes.items()} == {
        "unreadable": ["list.json", "no.json", "gone.json"],
        "foreign": ["foreign.json"],
        "duplicated": ["partial.json"],
        "inattentive": ["ratings-003-r00000.json"],
        "same slot": ["ratings-004-r00000.json"],
        "incomplete": ["ratings-004-r00000.json"],
    }
    assert notes["incomplete"][str(paths[3])] == "9 of 10 traces"
    assert notes["duplicated"][str(others[1])] == f"the rater of {paths[1]}"
    assert ratings["rater"].n_unique() == 5


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda one: one.update(slot=41), "slot 41; the page has 1 to 40"),
        (lambda one: one["ratings"].update(t99=first(one)), "slot 1 cannot rate t99"),
        (lambda one: first(one)["values"].update(faithfulness=6), "slot 1 cannot rate"),
        (lambda one: first(one)["values"].update(beauty=1), "slot 1 cannot rate"),
        (lambda one: first(one).update(seconds=-1.0), "seconds: Input should be greater than"),
        (lambda one: first(one)["values"].update(faithfulness=True), "valid integer"),
        (lambda one: first(one).update(comment="\ud800"), "not JSON: .*hex escape"),
        (lambda one: first(one).update(hue=1), r"ratings\.t\d+\.hue: unknown key"),
    ],
)
def test_what_the_page_cannot_have_written_is_not_used(key, folder, change, message):
    exports = simulate(key, 2)
    change(exports[0])
    path, other = write(exports, folder)
    _, notes = read_exports([path, other], key)
    assert re.search(message, notes["unreadable"][str(path)])
    with pytest.raises(TracekdError, match=r"no rating that counts in 1 files \(1 unreadable\)"):
        read_exports([path], key)


def first(one):
    return next(iter(one["ratings"].values()))
