import pytest

from tracekd.datasets import fields


@pytest.mark.parametrize(
    "blank", ["", " \t", "\u200b", "\ufeff\u202e", "\x00\x1b", "\u2028 \u3000"]
)
def test_a_text_without_a_visible_character_is_blank(blank):
    with pytest.raises(fields.RejectedError, match="question is blank"):
        fields.text(blank, "question")
    with pytest.raises(fields.RejectedError, match="facts contains a blank text"):
        fields.context(["a fact", blank], "facts")


def test_half_a_surrogate_pair_is_rejected():
    with pytest.raises(fields.RejectedError, match="answers contains half a surrogate pair"):
        fields.texts(["a", "\ud800"], "answers")


@pytest.mark.parametrize("seen", ["a", "\u200bb", "\u05d0", "\U0001f600", "\u0301", "-", "0"])
def test_a_text_of_any_script_is_kept(seen):
    assert fields.text(f" {seen}\n", "question") == seen
