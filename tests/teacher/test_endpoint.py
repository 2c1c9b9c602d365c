import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from server import Server, completion, reasoned
from worlds import DATASET, MODELS, Output, params, run_teacher, spec, tables

from tracekd.errors import TracekdError
from tracekd.teacher.run import Task, estimated


def taught(server: Server, *kinds: str, count: int = 4, **changed: Any) -> Output:
    samples = changed.pop("samples", 1)
    entry = spec(server.url, kinds or ("trace",), **changed)
    return run_teacher(entry, tables(count), params(samples=samples, keep="all"))


def test_every_question_gets_a_trace_with_an_answer_and_verdicts(server: Server) -> None:
    made = taught(server)
    assert made.traces["id"].to_list() == [
        "x/validation/0",
        *(key for key in made.traces["id"] if "train" in key),
        "x/test/0",
    ]
    row = made.traces.row(0, named=True)
    word = row["answer"]
    assert row["text"] == f"Mary went {word}. So {word}."
    assert row["answer_correct"] is (word == "home")
    assert (row["status"], row["finish_reason"], row["completion_tokens"]) == ("ok", "stop", 5)
    assert made.manifest["models_reported"] == {"teacher-1": 6}
    assert made.manifest["completion_tokens"] == 30


def test_a_second_run_asks_nothing_and_needs_neither_key_nor_server(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TEACHER_KEY", "sk-secret-123")
    first = taught(server, endpoint={"key": "TEACHER_KEY"})
    assert server.keys == {"Bearer sk-secret-123"}
    asked = server.asked.total()
    monkeypatch.delenv("TEACHER_KEY")
    again = taught(server, endpoint={"key": "TEACHER_KEY"})
    assert server.asked.total() == asked
    assert again.traces.equals(first.traces)
    assert again.manifest == first.manifest
    assert "sk-secret" not in json.dumps(first.manifest)
    monkeypatch.setenv("TEACHER_KEY", "sk-secret-456")
    server.fault = lambda _body, _number: (401, "", '{"error": {"message": "no sk-secret-456"}}')
    with pytest.raises(TracekdError, match=r"401 \(no \*\*\*\); check the key: .* TEACHER_KEY"):
        taught(server, endpoint={"key": "TEACHER_KEY"}, sampling={"seed": 1})


def test_a_missing_key_is_named_and_a_key_in_the_file_is_refused(server: Server) -> None:
    with pytest.raises(TracekdError, match="environment variable TEACHER_KEY is not set"):
        taught(server, endpoint={"key": "TEACHER_KEY"})
    with pytest.raises(TracekdError, match="name of an environment variable, never the key"):
        spec(server.url, endpoint={"key": "sk-123"})
    with pytest.raises(TracekdError, match="without user, key or query"):
        spec("http://me:sk-123@localhost/v1")


@pytest.mark.parametrize(
    "fault",
    [(429, "0.2", "{}"), (500, "", "{}"), "cut", "hang"],
    ids=["429", "500", "cut", "hang"],
)
def test_passing_faults_end_in_the_same_table(server: Server, fault: Any) -> None:
    expected = taught(server)
    server.reply, before = reasoned, server.asked.total()
    server.fault = lambda _body, number: fault if number % 3 == 1 else None
    made = taught(server, sampling={"extra": {"again": 1}}, endpoint={"timeout": 0.5})
    assert server.asked.total() > before + 6
    assert made.traces.equals(expected.traces)


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        (
            (401, "", '{"error": {"message": "bad key"}}'),
            "answers HTTP 401 .bad key.; check the key: .*, now None",
        ),
        (
            (404, "", '{"error": {"message": "no model"}}'),
            "answers HTTP 404 .no model.; check base_url",
        ),
        ((429, "0.1", "{}"), "answers HTTP 429 .*ask less at once"),
        ((503, "", "{}"), "answers HTTP 503 .*try again later"),
        (
            (400, "", '{"error": {"message": "no such field"}}'),
            "answers HTTP 400 .no such field.*prompts",
        ),
        ("hang", "gave no reply within 0.3 s; raise endpoint.timeout"),
        ("cut", "cannot be reached or broke off"),
        ("garbage", "sent something else than a chat completion"),
        ((200, "", '"hello"'), "sent something else than a chat completion .hello"),
        ((200, "", '{"choices": null}'), "sent something else than a chat completion"),
        (
            (200, "", '{"choices": [{"message": {"content": ["Hm."]}}]}'),
            "sent something else than a chat completion .*valid string",
        ),
    ],
    ids=str,
)
def test_lasting_faults_end_in_one_sentence_and_the_next_run_goes_on(
    server: Server, fault: Any, message: str
) -> None:
    server.fault = lambda _body, _number: fault
    entry = {"timeout": 0.3, "retries": 1, "concurrency": 2}
    with pytest.raises(TracekdError, match=rf"^teachers.yaml: big: http\S+ {message}") as caught:
        taught(server, count=6, endpoint=entry)
    assert "\n" not in str(caught.value)
    server.fault = lambda _body, number: fault if number > server.asked.total() else None
    assert taught(server, count=6, endpoint=entry).traces.height == 8


def test_an_unreachable_server_is_named() -> None:
    entry = spec("http://127.0.0.1:9/v1", endpoint={"retries": 0})
    with pytest.raises(TracekdError, match=r"127\.0\.0\.1:9/v1 cannot be reached .*start the"):
        run_teacher(entry, tables(), params())


def test_refused_empty_and_cut_replies_are_counted_and_named(server: Server) -> None:
    replies = {
        "0": completion(None, refusal="I can't."),
        "1": completion("", finish_reason="content_filter"),
        "2": completion("<think>Mary went", finish_reason="length"),
        "3": completion("The answer is home."),
        "4": completion("<think>Mary went home.</think>"),
        "5": completion("<think>Mary went home.</think>**Answer:** home"),
        "6": completion("Mary went home. <answer>home</answer>"),
        "7": completion("home", reasoning="She went home."),
    }
    server.reply = lambda body: replies.get(
        body["messages"][-1]["content"].partition("Mary at ")[2].rstrip("?"), completion("")
    )
    faults = {"8": (400, "", '{"error": {"message": "prompt too long"}}'), "9": "empty"}
    server.fault = lambda body, _n: faults.get(body["messages"][-1]["content"][-2:-1])
    made = taught(server, count=10, endpoint={"concurrency": 1})
    rows = made.traces.filter(pl.col("id").str.contains("train"))
    found = {key[-1]: status for key, status in rows.select("id", "status").iter_rows()}
    assert found == {
        "0": "refused",
        "1": "refused",
        "2": "cut",
        "3": "no trace",
        "4": "no answer",
        "5": "ok",
        "6": "ok",
        "7": "ok",
        "8": "refused",
        "9": "empty",
    }
    assert made.manifest["kinds"]["trace"]["statuses"]["refused"] == 3
    assert made.manifest["refusals"] == {"I can't.": 1, "HTTP 400: prompt too long": 1}
    right = made.traces.filter(answer_correct=True)["text"].to_list()
    assert sorted(right) == ["Mary went home.", "Mary went home.", "She went home."]


def test_summaries_see_the_trace_and_explanations_the_answer(server: Server) -> None:
    def reply(body: dict[str, Any]) -> dict[str, Any]:
        text = body["messages"][-1]["content"]
        if text.startswith("Shorten:"):
            return completion(f"<think>Hm.</think>Short: {text[9:]}")
        if "why?" in text:
            return completion("Because. " + text)
        return reasoned(body)

    server.reply = reply
    made = taught(server, "trace", "summary", "explanation", count=1)
    rows = {row["kind"]: row for row in made.traces.head(3).iter_rows(named=True)}
    word, trace = rows["trace"]["answer"], rows["trace"]["text"]
    assert rows["summary"]["text"] == f"Short: {trace}"
    asked = f"Where is Mary at noon? {word}: why? {trace}"
    assert rows["explanation"]["text"] == f"Because. {asked}"
    assert {row["answer"] for row in rows.values()} == {word}


def test_steps_are_read_by_the_grammar_and_each_is_checked(server: Server) -> None:
    form = (
        "<think>Easy.</think>\n<think>\nThe category of the question is: one-fact.\nI need to use "
        "the following facts to answer the question:\n- {}\n</think>\n<answer>home</answer>"
    )
    server.reply = lambda body: completion(
        form.format("Mary went home." if "noon" in str(body) else "Bob left.")
    )
    made = taught(server, "steps", count=1)
    assert made.traces["trace_correct"].to_list() == [True, False, False]
    assert made.traces["text"][1].startswith("<think>\nThe category of the question is: one-fact.")


def test_a_budget_of_requests_or_tokens_stops_cleanly(server: Server) -> None:
    made = taught(server, "trace", "summary", count=20, budget={"requests": 9})
    assert made.traces["id"].n_unique() == 4
    assert server.asked.total() <= 8
    assert made.manifest["not_asked"] == 18
    some = taught(server, count=20, budget={"tokens": 90}, sampling={"seed": 1})
    assert some.traces.height == 6  # of 15 tokens each
    more = taught(server, count=20, budget={"tokens": 150}, sampling={"seed": 1})
    assert more.traces.head(6).equals(some.traces)
    assert more.traces.height == 10


def test_an_estimate_asks_nothing(server: Server) -> None:
    taught(server, count=2)
    before = server.asked.total()
    entry = spec(server.url, ("trace", "summary"))
    found = estimated(Task(entry, tables(10), params(), DATASET, MODELS))
    assert server.asked.total() == before
    assert found.startswith("at most 20 requests (4 replies are kept)")
    assert found.endswith("replies about 100 (5 each, as those kept)")


def test_samples_are_asked_and_kept_apart(server: Server) -> None:
    made = taught(server, samples=3, sampling={"seed": 5})
    assert made.traces.filter(id="x/test/0")["sample"].to_list() == [0, 1, 2]
    assert {json.loads(body)["seed"] for body in server.asked} == {5, 6, 7}
    assert server.asked.total() == 18


def test_many_requests_keep_the_server_busy(server: Server) -> None:
    server.seconds = 1.0
    taught(server, count=70, endpoint={"concurrency": 64})
    assert server.busiest == 64


RUNNER = """
import sys
sys.path[:0] = [{folder!r}]
from worlds import params, run_teacher, spec, tables
entry = spec({url!r}, sampling={{"seed": 0}})
run_teacher(entry, tables(60), params(samples=2)).traces.write_parquet({out!r})
"""


def test_a_killed_run_pays_for_no_kept_reply_twice(server: Server, tmp_path: Path) -> None:
    out = tmp_path / "out.parquet"
    code = RUNNER.format(folder=str(Path(__file__).parent), url=server.url, out=str(out))
    server.fault = lambda _body, number: "hang" if number >= 20 else None
    process = subprocess.Popen([sys.executable, "-c", code])
    while server.asked.total() < 24:
        assert process.poll() is None
        time.sleep(0.01)
    process.kill()
    process.wait()
    server.fault = lambda _body, _number: None
    subprocess.run([sys.executable, "-c", code], check=True)
    again = sum(count - 1 for count in server.asked.values())
    assert again == 4, "only what was in flight is asked again"
    assert len(server.asked) == 62 * 2
    entry = spec(server.url, sampling={"seed": 0})
    whole = run_teacher(entry, tables(60), params(samples=2))
    assert whole.traces.equals(pl.read_parquet(out))
