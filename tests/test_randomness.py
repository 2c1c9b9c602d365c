from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from tracekd.randomness import choose, digest, sample, shuffled, uniform

keys = st.lists(st.text() | st.integers(), min_size=1, max_size=4)


def test_draws_stay_the_same_between_releases() -> None:
    # A changed draw would silently change every experiment.
    assert digest(0, "donor", "q/1") == 15772033293440857164
    assert digest(0, "Z\u00fcrich \U0001f600") == 16962899042423208302
    assert uniform(0, "mixed", "q/1") == 0.6726808299873762
    assert (choose("abcdefgh", 0, "x"), sample("abcdefgh", 3, 0, "x")) == ("d", ["d", "e", "g"])
    assert "".join(shuffled("abcdefgh", 0, "x")) == "gdecbafh"


def test_keys_of_the_same_text_but_another_kind_differ() -> None:
    assert digest(1, "a") != digest("1", "a")
    assert digest("a", "b") != digest("ab")
    assert digest("a\x1fstr:b") != digest("a", "b")


def test_choices_are_uniform() -> None:
    counts = Counter(choose("abc", 0, n) for n in range(30_000))
    assert all(abs(count - 10_000) < 300 for count in counts.values())


@given(st.lists(st.integers(), unique=True), st.integers(0, 20), keys)
def test_a_sample_keeps_order_and_repeats_nothing(
    options: list[int], count: int, key: list[str | int]
) -> None:
    drawn = sample(options, count, *key)
    assert drawn == [option for option in options if option in drawn]
    assert len(drawn) == min(count, len(options))


@given(keys)
def test_a_shuffle_orders_by_the_digest_of_each_place(key: list[str | int]) -> None:
    assert 0 <= uniform(*key) < 1
    assert shuffled(range(9), *key) == sorted(range(9), key=lambda place: digest(*key, place))
