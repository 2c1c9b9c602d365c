"""Packed decoding gives the tokens of `generate`; models that do not allow it get `generate`."""

import pytest
import torch

from tracekd.generation import decoding
from tracekd.generation.backends import Student, backend_module
from tracekd.generation.decoding import PackedDecoder
from tracekd.generation.packed import PackedModel
from tracekd.generation.plain import PlainDecoder
from tracekd.models.devices import Device

LIMIT, LIMITS = 24, [3, 12, 1, 5, 7]
PROMPTS = [
    [7, 8, 9, *range(20, 60), 5],
    [7, 8, 9, 4],
    [7, 8, 9, *range(20, 30), 99, 21, 22],
    [7, 8, 9, 1, 2, 3, 1, 2, 3, 1, 2],
    [7, 8, 9, *[70, 71] * 20],
]
NEVER = frozenset({799})


def alone(model, stops=NEVER):
    """What `generate` of transformers answers to each prompt by itself."""
    return [PlainDecoder(model, stops).generate([prompt], [LIMIT])[0] for prompt in PROMPTS]


def cut(answers):
    return [answer[:limit] for answer, limit in zip(answers, LIMITS, strict=True)]


def backend(model, stops=NEVER, examples=()):
    cpu = Device(torch.device("cpu"), model.dtype)
    student = Student(lambda device: model.to(device.device), cpu, None, stops, 4096, examples)
    return backend_module("transformers").make(student)


@pytest.fixture(scope="module", params=["llama", "qwen3", "sliding window"])
def case(request, tiny):
    expected = alone(tiny(request.param))
    assert len({tuple(answer) for answer in expected}) == len(PROMPTS)
    assert all(len(set(answer)) > 3 for answer in expected)

    def make(stops=NEVER, examples=()):
        made = backend(tiny(request.param), stops, examples)
        assert isinstance(made, PackedDecoder)
        return made

    return expected, make


def test_answers_are_those_of_generate_however_they_are_batched(case):
    expected, make = case
    made = make()
    assert made.generate(PROMPTS, [LIMIT] * 5) == expected
    assert made.generate(PROMPTS[::-1], [LIMIT] * 5) == expected[::-1]
    assert [made.generate([prompt], [LIMIT])[0] for prompt in PROMPTS] == expected
    assert made.generate([PROMPTS[2]] * 3, [LIMIT] * 3) == [expected[2]] * 3
    short = [[5], [5, 6], [7]]
    assert made.generate(short, [4] * 3) == [made.generate([one], [4])[0] for one in short]


@pytest.mark.parametrize("budget", [1, 40, 100])
def test_long_prompts_are_read_in_several_passes(case, monkeypatch, budget):
    expected, make = case
    monkeypatch.setitem(decoding._TOKENS_PER_PASS, "cpu", budget)
    assert make().generate(PROMPTS, [LIMIT] * 5) == expected


def test_guesses_change_the_number_of_passes_and_nothing_else(case, monkeypatch):
    expected, make = case
    passes = []
    original = PackedModel.logits

    def counted(self, *args):
        passes.append(1)
        return original(self, *args)

    monkeypatch.setattr(PackedModel, "logits", counted)
    counts = {}
    right = [[*prompt[-4:], *answer] for prompt, answer in zip(PROMPTS, expected, strict=True)]
    nearly = [[*tokens[:9], 7, *tokens[10:]] for tokens in right]
    wrong = [[token * step % 211 for token in range(50)] for step in range(1, 9)]
    drafts = {"none": (0, ()), "right": (6, right), "long": (50, right)}
    drafts |= {"nearly": (6, nearly), "wrong": (6, wrong)}
    for name, (draft, examples) in drafts.items():
        made = make(examples=examples)
        made.draft = draft
        passes.clear()
        assert made.generate(PROMPTS, [LIMIT] * 5) == expected, name
        counts[name] = len(passes)
    # One pass for what all prompts share, one for the rest, which gives the first token.
    assert counts["none"] == 2 + LIMIT - 1
    assert counts["long"] <= counts["right"] < counts["nearly"] <= counts["wrong"] <= counts["none"]


def test_rows_end_at_a_stop_token_or_their_limit_and_the_others_continue(case):
    free, make = case
    stops = frozenset({free[1][4], free[3][9]})
    places = [{*map(answer.index, stops & {*answer}), LIMIT} for answer in free]
    ended = [answer[: min(place) + 1] for answer, place in zip(free, places, strict=True)]
    assert len({len(answer) for answer in ended}) > 1
    for examples in ((), free):
        assert make(stops, examples).generate(PROMPTS, [LIMIT] * 5) == ended
        assert make(examples=examples).generate(PROMPTS, LIMITS) == cut(free)


def test_bf16_answers_agree_with_one_row_at_a_time_except_for_near_ties(tiny):
    made = backend(tiny(dtype=torch.bfloat16))
    prompts = [[number, 5, number + 1] for number in range(20)]
    together = made.generate(prompts, [4] * 20)
    one_by_one = [made.generate([prompt], [4])[0] for prompt in prompts]
    assert sum(a == b for a, b in zip(together, one_by_one, strict=True)) >= 16


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        ("soft cap", "Gemma2Attention has softcap"),
        ("sinks", "GptOssAttention has s_aux"),
        ("state outside attention", "layers of type conv"),
        ("attention of its own", "its logits differ by"),
    ],
)
def test_a_model_that_does_not_allow_packed_decoding_gets_generate(tiny, capsys, kind, reason):
    expected = alone(tiny(kind))
    made = backend(tiny(kind))
    printed = capsys.readouterr().err
    assert "no packed decoding (" in printed
    assert reason in printed
    assert made.generate(PROMPTS, [LIMIT] * 5) == expected
    assert made.generate(PROMPTS, LIMITS) == cut(expected)


def test_the_models_own_sampling_and_penalties_do_not_count(tiny):
    model = tiny()
    expected = backend(tiny()).generate(PROMPTS, [LIMIT] * 5)
    model.generation_config.update(do_sample=True, temperature=9.0, repetition_penalty=3.0)
    assert alone(model) == expected
