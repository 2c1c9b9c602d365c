import threading
import time
from pathlib import Path

import pytest

from tracekd.teacher.cache import reply_cache
from tracekd.teacher.prompts import TeacherRequest
from tracekd.teacher.replies import Reply

TEACHER = {"model": "big/one"}


def asked(text: str, sample: int = 0) -> TeacherRequest:
    return TeacherRequest(({"role": "user", "content": text},), sample)


def test_a_line_that_was_cut_off_costs_its_own_reply_alone(project_folder: Path) -> None:
    odd = Reply("é\n\ud800", reasoning="…", finish_reason="", completion_tokens=3)
    with reply_cache("big/one", TEACHER) as cache:
        cache.keep(asked("a"), odd)
        cache.keep(asked("b"), Reply("b"))
    path = project_folder / ".teacher/big_one.jsonl"
    path.write_bytes(path.read_bytes()[:-9])
    with reply_cache("big/one", TEACHER) as cache:
        cache.keep(asked("c"), Reply("c"))
    with reply_cache("big/one", TEACHER) as cache:
        assert cache.get(asked("a")) == odd
        assert cache.get(asked("b")) is None
        assert cache.get(asked("c")) == Reply("c")
        assert cache.get(asked("a", sample=1)) is None
    with reply_cache("big/one", {**TEACHER, "sampling": {"seed": 1}}) as cache:
        assert cache.get(asked("a")) is None


def test_a_second_run_waits_for_the_first_and_has_its_replies(
    capsys: pytest.CaptureFixture[str],
) -> None:
    found: list[Reply | None] = []

    def second() -> None:
        with reply_cache("big/one", TEACHER) as cache:
            found.append(cache.get(asked("a")))

    with reply_cache("big/one", TEACHER) as cache:
        other = threading.Thread(target=second)
        other.start()
        time.sleep(0.2)
        cache.keep(asked("a"), Reply("a"))
    other.join()
    assert found == [Reply("a")]
    assert "big/one: waiting for another run that asks it" in capsys.readouterr().err
