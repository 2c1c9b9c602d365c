"""What a page holds, and what its script may not do."""

import re

import pages
import pytest
from tables import completion

from tracekd.report.page import figures, page, prose
from tracekd.report.page.inline import FOLDER
from tracekd.report.page.questions import collect, marks
from tracekd.traces.grammar import Grammar

FACTS = ["Mary went home.", "John <think> left.", "mary slept"]


def found(text, **options):
    grammar = Grammar("The category of the question is: {class}.", **options)
    return [(text[at:][:length], fact) for at, length, fact in marks(text, grammar, FACTS)]


def test_facts_that_an_output_quotes_are_marked_right_wrong_or_unknown():
    said = ["John \\<think> left.", "Mary went home.", "Mary slept.", "Nobody knows."]
    text = completion("where", said, "home")
    assert found(text) == list(zip(said, [1, 0, 2, -1], strict=True))
    assert found(completion("where", [], "home").replace("-", "*")) == []
    listed = (
        "Use the following facts to answer the question: ['Mary went home.', 'It\\'s']\n<answer>"
    )
    assert [fact for _, fact in found(listed)] == [0, -1]
    thought = "<think>\nIf Mary went home. she is there.\n</think>\n<answer>home</answer>"
    assert found(thought, free_text=True) == [("Mary went home.", 0)]


def test_texts_are_held_once_and_questions_are_those_of_all_experiments():
    rows = [pages.story(number) for number in range(4)]
    other = {**rows[1], "question": "Another question of the same id?"}
    contents = [pages.experiment(rows[:3]), pages.experiment([other, rows[3]], seed=1)]
    index, texts = collect(contents)
    assert index["id"] == [*(row["id"] for row in rows[:3]), f"{other['id']}~2", rows[3]["id"]]
    first, second = index["experiments"]
    assert (len(first["answer"]), first["answer"][3:]) == (5, "  ")
    assert second["answer"][:3] == "   "
    assert set(first["answer"] + second["answer"]) <= set("10 ")
    assert len(texts["strings"]) == len(set(texts["strings"]))
    shown = texts["questions"][3]
    assert [texts["strings"][fact] for fact in shown["context"]] == other["context"]
    assert shown["outputs"][0] is None


def test_equal_experiments_make_equal_pages_without_times():
    rows = [pages.story(number) for number in range(3)]
    one, same = (page([pages.experiment(rows)], None, "One") for _ in range(2))
    assert one == same
    shown = [
        dict(prose.cards([pages.experiment(rows)], measured=measured)["shared"])
        for measured in (False, True)
    ]
    assert [one["steps"] for one in shown] == [9, 9]
    assert [one.get("training, s") for one in shown] == [None, 12.5]


def test_what_other_traces_do_to_the_answers_of_one_student_is_drawn():
    def share(n, name):
        return {"n": n, name: n / 10, f"{name}_low": 0.1, f"{name}_high": 0.9}

    probed = {
        "by_probe": {
            name: share(n, "accuracy") for name, n in {"own": 4, "gold": 5, "filler": 0}.items()
        },
        "effects": {
            "gold_to_incorrect": share(4, "answer_changes"),
            "own_to_gold": share(0, "answer_changes"),
        },
        "follows_wrong_facts": share(2, "share"),
    }
    drawn = [
        [(row["label"], row["n"], row["values"][0]["mean"]) for row in figure["rows"]]
        for figure in figures.of_probes({"probes": probed})
    ]
    assert drawn == [
        [("correct trace", 5, 0.5), ("student's own trace", 4, 0.4)],
        [("gold → incorrect", 4, 0.4), ("follows wrong facts", 2, 0.2)],
    ]
    assert list(figures.of_probes({})) == []


def test_early_answers_have_a_line_for_each_probed_student_in_the_colour_of_its_regime():
    cuts = {f"same_{cut}{end}": 0.5 for cut in (0, 25, 50, 75) for end in ("", "_low", "_high")}
    probed = {"probes": {"early_answering": {"n": 4, **cuts}}}
    students = {"a": probed, "b": {}, "c": probed, "d": probed}
    (drawn,) = figures.early_answers(students, {"a": "x", "b": "x", "c": "y", "d": "x"})
    assert drawn["names"] == ["x", "y"]
    lines = [(line["name"], line["colour"], line["y"]) for line in drawn["series"]]
    assert lines == [
        (name, colour, [0.5] * 4 + [1.0]) for name, colour in zip("acd", (0, 1, 0), strict=True)
    ]
    assert list(figures.early_answers({"b": {}}, {"b": "x"})) == []


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.*")), ids=lambda path: path.name)
def test_scripts_put_text_in_as_text_and_lines_are_short(path):
    text = path.read_text(encoding="utf-8")
    assert max(map(len, text.splitlines())) <= 100
    if path.suffix == ".js":
        forbidden = r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\b|new Function|"
        assert re.findall(forbidden + r"\bfetch\(|XMLHttpRequest|import\(|</script", text) == []
    if path.suffix == ".j2":
        assert re.findall(r"\s(?:on\w+|style|src)=", text) == []
