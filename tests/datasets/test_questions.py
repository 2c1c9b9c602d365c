import errno
import tempfile
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tracekd.datasets import questions as module
from tracekd.datasets import table
from tracekd.datasets.questions import Questions


def rows(first: int, count: int) -> pl.DataFrame:
    return table(
        [
            {
                "id": f"x/{number}",
                "question": "Why?",
                "context": ["A fact.", f"Fact {number}."],
                "answers": ["a"],
                "question_class": "c",
                "subtype": None,
                "gold_facts": None,
                "source": "f:1",
            }
            for number in range(first, first + count)
        ]
    )


def collected(sizes: list[int]) -> tuple[Questions, pl.DataFrame]:
    starts = [sum(sizes[:number]) for number in range(len(sizes))]
    parts = [rows(start, size) for start, size in zip(starts, sizes, strict=True)]
    questions = Questions.collect((part, np.arange(len(part))) for part in parts)
    return questions, pl.concat([rows(0, 0), *parts])


@pytest.mark.parametrize(("parts", "in_memory"), [(4, True), (5, False)])
def test_many_parts_lie_in_files_and_come_back_as_they_were(parts: int, in_memory: bool) -> None:
    questions, whole = collected([3] * parts)
    assert questions.in_memory is in_memory
    assert len(questions) == len(whole)
    assert questions.table().equals(whole)
    assert [len(part) for part in questions] == [3] * parts


@settings(deadline=None)
@given(
    sizes=st.lists(st.integers(0, 4), max_size=7),
    data=st.data(),
)
def test_a_selection_of_a_selection_is_that_of_the_table(
    sizes: list[int], data: st.DataObject
) -> None:
    questions, whole = collected(sizes)
    for _ in range(2):
        places = st.sets(st.sampled_from(range(len(whole)))) if len(whole) else st.just(set())
        chosen = sorted(data.draw(places))
        questions, whole = questions.select(chosen), whole[chosen]
        assert questions.table().equals(whole)
        assert len(questions) == len(whole)


def test_a_table_is_cut_into_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PART", 2)
    assert [len(part) for part in Questions.of(rows(0, 5))] == [2, 2, 1]


def test_the_files_go_with_the_last_questions_in_them() -> None:
    questions, whole = collected([1] * 6)
    assert questions._folder is not None
    folder = Path(questions._folder.name)
    part = questions.select([5])
    del questions
    assert part.table().equals(whole[5:])
    del part
    assert not folder.exists()


def test_what_a_killed_process_left_goes_and_what_a_living_one_holds_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    living = module.new_folder()
    left = tmp_path / f"{module._PREFIX}left"
    (left / "inside").mkdir(parents=True)
    other = module.new_folder()
    assert not left.exists()
    assert Path(living.name).is_dir()
    assert Path(other.name).is_dir()


def test_a_full_folder_of_temporary_files_is_named(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="TMPDIR") as caught:
        module.filed(rows(0, 1), str(tmp_path / "gone"))
    assert caught.value.errno == errno.ENOENT
