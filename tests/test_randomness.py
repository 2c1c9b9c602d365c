from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from tracekd.randomness import choose, digest, digests, sample, shuffled, uniform

keys = st.lists(st.text() | st.integers(), min_size=1, max_size=4)


@given(keys)
def test_a_draw_is_a_function_of_its_key(key: list[str | int]) -> None:
    assert digest(*key) == digest(*key)
    assert 0 <= uniform(*key) < 1


@given(st.lists(st.text()), keys)
def test_draws_of_many_names_are_those_of_each(names: list[str], key: list[str | int]) -> None:
    assert digests(names, *key) == [digest(*key, name) for name in names]


def test_draws_stay_the_same_between_releases() -> None:
    # A changed draw would silently change every experiment.
    assert digest(0, "donor", "q/1") == 15772033293440857164
    assert sample(range(10), 3, 0, "x") == sample(range(10), 3, 0, "x")


def test_keys_of_the_same_text_but_another_kind_differ() -> None:
    assert digest(1, "a") != digest("1", "a")
    assert digest("a", "b") != digest("ab")
    assert digest("a\x1fstr:b") != digest("a", "b")


def test_choices_are_uniform() -> None:
    counts = Counter(choose("abc", 0, n) for n in range(30_000))
    assert all(abs(count - 10_000) < 300 for count in counts.values())


@given(st.lists(st.integers(), unique=True), st.integers(0, 20), st.integers())
def test_a_sample_keeps_order_and_repeats_nothing(options: list[int], count: int, key: int) -> None:
    drawn = sample(options, count, key)
    assert drawn == [option for option in options if option in drawn]
    assert len(drawn) == min(count, len(options))


def test_a_shuffle_keeps_every_item() -> None:
    assert sorted(shuffled(range(100), 1)) == list(range(100))
    assert shuffled(range(100), 1) != shuffled(range(100), 2)


@given(keys)
def test_a_shuffle_is_by_the_draw_of_each_place(key: list[str | int]) -> None:
    assert shuffled(range(9), *key) == sorted(range(9), key=lambda place: digest(*key, place))
