"""A teacher from models.yaml, with a tiny random model."""

from typing import Any

from worlds import PROMPTS, Output, params, run_teacher, tables

from tracekd.config import TeacherSpec, parse_settings


def taught(**changed: Any) -> Output:
    content = {
        "name": "big",
        "model": "tiny_llama",
        "prompts": {"trace": PROMPTS["trace"]},
        "sampling": {"max_tokens": 8},
    }
    spec = parse_settings(TeacherSpec, content | changed, "here")
    return run_teacher(spec, tables(3), params(keep="all"))


def test_a_model_answers_here_and_its_replies_are_kept(capsys: Any) -> None:
    made = taught()
    assert made.traces.height == 5
    assert set(made.traces["status"]) <= {"cut", "no trace", "no answer", "empty"}
    assert (made.traces["completion_tokens"] <= 8).all()
    assert made.manifest["models_reported"] == {"tiny_llama": 5}
    capsys.readouterr()
    assert taught().traces.equals(made.traces)
    assert "generation" not in capsys.readouterr().err, "nothing was generated again"
