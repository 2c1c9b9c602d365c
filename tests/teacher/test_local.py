"""A teacher from models.yaml, with a tiny random model."""

from typing import Any

import pytest
from worlds import PROMPTS, Output, params, run_teacher, tables

from tracekd.config import TeacherSpec, parse_settings
from tracekd.errors import TracekdError


def taught(samples: int = 1, **changed: Any) -> Output:
    content = {
        "name": "big",
        "model": "tiny_llama",
        "prompts": {"trace": PROMPTS["trace"]},
        "sampling": {"max_tokens": 8},
    }
    spec = parse_settings(TeacherSpec, content | changed, "here")
    return run_teacher(spec, tables(3), params(keep="all", samples=samples))


def test_a_model_answers_here_and_its_replies_are_kept(capsys: Any) -> None:
    made = taught()
    assert made.traces.height == 5
    assert set(made.traces["status"]) <= {"cut", "no trace", "no answer", "empty"}
    assert (made.traces["completion_tokens"] <= 8).all()
    assert made.manifest["models_reported"] == {"tiny_llama": 5}
    capsys.readouterr()
    assert taught().traces.equals(made.traces)
    with pytest.raises(TracekdError, match=r"teacher.samples is 2.*no sampling.temperature"):
        taught(samples=2)
    drawn = {"max_tokens": 8, "temperature": 1.0, "seed": 3}
    several = taught(samples=2, sampling=drawn).traces
    assert several["sample"].to_list() == [0, 1] * 5
    assert taught(samples=1, sampling=drawn).traces.equals(several.filter(sample=0))
    capsys.readouterr()
    assert taught().traces.equals(made.traces)
    assert "generation" not in capsys.readouterr().err, "nothing was generated again"
