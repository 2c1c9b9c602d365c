import re
from collections import Counter

import pytest

from tracekd.config.reading import read_yaml
from tracekd.datasets import Wanted
from tracekd.datasets.readers.babi_sim import MAKERS, NAMES, simulate
from tracekd.errors import TracekdError


def questions(seed, size, options):
    loaded = simulate(options, Wanted(seed, size, size))
    return [row for table in loaded.splits.values() for row in table.iter_rows(named=True)]


def of_class(kind, size, **options):
    return [row for row in questions(0, size, options) if row["question_class"] == kind]


def test_supporting_facts_are_in_the_order_of_the_reasoning():
    for row in of_class("basic-induction", 110):
        facts = [row["context"][index] for index in row["gold_facts"]]
        assert facts[0].startswith(row["question"].removeprefix("What color is ")[:-1])
        assert facts[1].split()[0] == facts[2].split()[0]
        assert facts[2].endswith(f"is {row['answers'][0]}.")
    for row in of_class("size-reasoning", 110, hops=[4, 4], statements=[8, 8]):
        # From the container that the question names first to the one it names last.
        first, last = re.findall(r"the (\w+)", row["question"])
        chain = [row["context"][index] for index in row["gold_facts"]]
        assert first in chain[0]
        assert last in chain[-1]


def test_classes_are_of_one_size_without_duplicates_and_no_answer_is_the_most_frequent_by_far():
    answers = {kind: Counter() for kind in MAKERS}
    rows = questions(0, 4400, {})
    assert len({(row["question"], *row["context"]) for row in rows}) == len(rows)
    assert Counter(row["question_class"] for row in rows) == dict.fromkeys(MAKERS, 800)
    for row in rows:
        answers[row["question_class"]][tuple(row["answers"])] += 1
    for kind, counts in answers.items():
        share = counts.most_common(1)[0][1] / counts.total()
        assert share < (0.55 if set(counts) == {("yes",), ("no",)} else 0.3), kind


def words(side):
    names = read_yaml(NAMES)[side]
    plurals = [plural for kind, plural in names["animals"].items() if plural != kind]
    return [word.lower() for listed in (*names.values(), plurals) for word in listed]


def test_names_of_the_test_split_are_unseen_unless_the_options_differ():
    listed = [*words("train"), *words("test")]
    assert len(set(listed)) == len(listed)
    for unseen in (True, False):
        splits = simulate({"unseen_test_names": unseen}, Wanted(0, 550, 550)).splits
        text = " ".join(splits["test"]["context"].list.join(" ")).lower()
        assert set(re.findall(r"\w+", text)).isdisjoint(words("train")) is unseen


def test_the_options_set_the_classes():
    chosen = ["counting", "lists-sets"]
    assert {row["question_class"] for row in questions(0, 20, {"classes": chosen})} == set(chosen)
    with pytest.raises(TracekdError, match="classes: unknown 'counts'; did you mean counting"):
        simulate({"classes": ["counts"]}, Wanted(0, 11, 11))


def test_the_options_set_the_lengths():
    for row in questions(1, 220, {"statements": [7, 7], "distractors": [0, 12]}):
        assert len(row["context"]) == 7
    for row in questions(1, 220, {"statements": [1, 12], "distractors": [0, 0]}):
        assert len(row["context"]) == len(row["gold_facts"])
    for kind in ("size-reasoning", "positional-reasoning"):
        rows = of_class(kind, 220, hops=[2, 4])
        assert {len(row["gold_facts"]) for row in rows} == {2, 3, 4}


def test_the_first_story_stays_what_it_is():
    """A change here changes every published result on this dataset."""
    options = {"statements": [4, 8], "distractors": [2, 6]}
    row = simulate(options, Wanted(0, 11, 11)).splits["train"].row(0, named=True)
    assert row["context"] == [
        "Laura ran to the library.",
        "Laura headed to the cellar.",
        "Laura headed to the basement.",
        "Laura headed to the library.",
    ]
    assert row["question"] == "Where is Laura?"
    assert (row["answers"], row["gold_facts"]) == (["library"], [3])
