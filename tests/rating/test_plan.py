import base64
import gzip
import re
from collections import Counter
from itertools import pairwise

import pytest
import yaml

from tracekd.errors import TracekdError
from tracekd.rating.page import KEY, PAGE, write_rating_page
from tracekd.rating.plan import assign, make_plan
from tracekd.rating.settings import load_rating


@pytest.mark.parametrize("sets", [1, 3])
@pytest.mark.parametrize("types", [2, 4])
def test_the_plan_is_counterbalanced_for_every_number_of_raters(sets, types):
    questions = 2 * types
    for raters in range(1, 201):
        read = assign(raters, sets, questions, types)
        for pairs in read:
            assert len({question for question, _ in pairs}) == questions
            assert set(Counter(kind for _, kind in pairs).values()) == {2}
        seen = Counter(pair for pairs in read for pair in pairs)
        every = [
            seen[question, kind] for question in range(sets * questions) for kind in range(types)
        ]
        assert max(every) - min(every) <= 1


def test_a_slot_reads_each_question_once_and_types_equally_often(key):
    traces, checks = key["traces"], key["checks"]
    for slot in key["slots"]:
        read = [traces[one] for one in slot if one in traces]
        assert len({question for question, _ in read}) == len(read) == 8
        assert Counter(kind for _, kind in read) == {"correct": 4, "incorrect": 4}
        assert len(slot) == 8 + len(checks) == 10
    assert len({tuple(slot) for slot in key["slots"]}) == 40  # every order is another
    places = [slot.index(next(iter(checks))) for slot in key["slots"]]
    assert len(set(places)) > 5


def test_neither_the_page_nor_its_data_say_of_which_type_a_trace_is(project):
    write_rating_page(project)
    text = (project / PAGE).read_text()
    packed = re.search(r'id="plan">([^<]*)<', text)[1]
    plan = gzip.decompress(base64.b64decode(packed)).decode()
    assert "Where is Mary at 3 o'clock?" in plan
    for name in ("correct", "incorrect", "babi_sim"):
        assert name not in text + plan


def test_ids_follow_neither_type_nor_question(key):
    kinds = [kind for _, (_, kind) in sorted(key["traces"].items())]
    runs = sum(one != other for one, other in pairwise(kinds))
    assert 3 < runs < 13


def test_equal_settings_give_an_equal_page_and_others_another_checksum(project, key):
    before = (project / PAGE).read_bytes()
    write_rating_page(project)
    assert (project / PAGE).read_bytes() == before
    change(project, seed=1)
    with pytest.raises(TracekdError, match=r"rating_key.json: the key of a page with other"):
        write_rating_page(project)
    assert (project / PAGE).read_bytes() == before
    (project / KEY).unlink()
    write_rating_page(project)
    assert (project / PAGE).read_bytes() != before


def test_sets_are_stratified_and_have_no_question_in_common(project):
    from tracekd.rating.page import _read

    change(project, questions=4, sets=2)
    settings = load_rating(project / "rating.yaml")
    dataset, questions, traces = _read(project, settings.types)
    _, key = make_plan(settings, dataset, questions, traces)
    classes = dict(questions.select("id", "question_class").iter_rows())
    first, second = (
        {key["traces"][one][0] for one in slot if one in key["traces"]} for slot in key["slots"][:2]
    )
    assert not first & second
    assert Counter(classes[one] for one in first) == {"place": 2, "person": 2}


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"types": ["correct", "none"]}, "types: the regime none has no traces of its own"),
        ({"types": ["correct", "filler"]}, "types: the regime filler has no traces of its own"),
        ({"types": ["correct", "corect"]}, "types: unknown regime 'corect'; did you mean correct"),
        ({"types": ["correct", "correct"]}, "a duplicate among correct, correct"),
        ({"questions": 7}, "questions must be a multiple of 2"),
        ({"rater": 7}, "rater: unknown key; did you mean raters"),
        ({"points": "5"}, "points: Input should be a valid integer; found '5'"),
        (
            {"sets": 2},
            r"questions x sets is 16, but only 8 test questions .*\(correct 8, incorrect 8",
        ),
        ({"types": ["correct", "teacher"]}, r"only 0 test questions .*\(correct 8, teacher 0\)"),
    ],
)
def test_settings_that_cannot_be_met_name_what_is_wrong(project, changed, message):
    change(project, **changed)
    with pytest.raises(TracekdError, match=f"rating.yaml.*{message}"):
        write_rating_page(project)


def change(project, **changed):
    path = project / "rating.yaml"
    path.write_text(yaml.safe_dump(yaml.safe_load(path.read_text()) | changed))
