import sys

import pytest

from tracekd.errors import TracekdError
from tracekd.generation import decoding, packed
from tracekd.generation.backends import Student, make_backend, stop_ids
from tracekd.generation.backends.transformers import TransformersBackend
from tracekd.generation.packed import PackedModel

LIMIT = 24


def prompts_of(encoder, count=7):
    texts = [
        "Mary is here. " * (number % 5) + f"Where is number {number}?" for number in range(count)
    ]
    return [encoder.prompt_ids("You are helpful.", text) for text in texts]


def reference(model, prompt, limit, stops):
    """What transformers' own `generate` says to one prompt."""
    import torch

    ids = torch.tensor([prompt])
    output = model.generate(
        input_ids=ids,
        attention_mask=torch.ones_like(ids),
        max_new_tokens=limit,
        do_sample=False,
        eos_token_id=sorted(stops),
        pad_token_id=0,
    )
    return output[0, len(prompt) :].tolist()


@pytest.fixture(params=["tiny_llama", "tiny_qwen3"])
def case(request, student):
    """A model's prompts, what `generate` says to each of them alone, and how to make backends."""
    model, encoder = student(request.param)
    stops = stop_ids(model, encoder)
    prompts = prompts_of(encoder)
    expected = [reference(model, prompt, LIMIT, stops) for prompt in prompts]
    assert len({tuple(said) for said in expected}) > 3

    def backend(device, stops=stops, taught=(), **options):
        model, encoder = student(request.param)
        return TransformersBackend(Student(model, encoder, stops, device, 4096, taught), **options)

    return prompts, expected, backend


def test_answers_are_those_of_generate_however_they_are_batched(case, cpu):
    prompts, expected, backend = case
    made = backend(cpu)
    assert made.generate(prompts, [LIMIT] * 7) == expected
    assert [made.generate([prompt], [LIMIT])[0] for prompt in prompts] == expected
    assert made.generate(prompts[::-1], [LIMIT] * 7) == expected[::-1]


@pytest.mark.parametrize(("long", "block"), [(1, 1), (1, 3), (2, 128), (10_000, 128)])
def test_answers_are_the_same_in_blocks_of_any_size(case, cpu, long, block, monkeypatch):
    prompts, expected, backend = case
    monkeypatch.setattr(packed, "_LONG", long)
    monkeypatch.setattr(packed, "_BLOCK", block)
    assert backend(cpu, taught=expected).generate(prompts, [LIMIT] * 7) == expected


@pytest.mark.skipif(sys.platform != "linux", reason="crews are forked on Linux only")
def test_rows_shared_out_to_processes_get_the_same_answers(case, cpu, monkeypatch):
    import torch

    prompts, expected, backend = case
    monkeypatch.setattr("tracekd.generation.backends.transformers._ROWS_EACH", 2)
    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        made = backend(cpu)
        assert made.generate(prompts, [LIMIT] * 7) == expected
        assert made.crew_memory() > 0
        assert made.generate(prompts[:3], [LIMIT] * 3) == expected[:3]  # too few for two
    finally:
        torch.set_num_threads(threads)


def test_drafts_change_how_many_passes_are_made_and_nothing_else(case, cpu, monkeypatch):
    prompts, expected, backend = case
    passes = []
    original = PackedModel.logits

    def counted(self, *args):
        passes.append(1)
        return original(self, *args)

    monkeypatch.setattr(PackedModel, "logits", counted)
    counts = {}
    wrong = [[token * step % 211 for token in range(50)] for step in range(1, 9)]
    nearly = [[*said[:5], 7, *said[6:]] for said in expected]
    for name, draft, taught in (
        ("none", 0, ()),
        ("right", 6, expected),
        ("long", 50, expected),
        ("nearly", 6, nearly),
        ("wrong", 6, wrong),
    ):
        passes.clear()
        made = backend(cpu, taught=taught, draft=draft)
        assert made.generate(prompts, [LIMIT] * 7) == expected, name
        counts[name] = len(passes)
    # One for what all prompts share, one for the rest, which says the first token.
    assert counts["none"] == 2 + LIMIT - 1
    assert counts["long"] < counts["right"] < counts["nearly"] <= counts["wrong"] <= counts["none"]


def test_rows_end_at_a_stop_token_or_at_their_limit_and_the_others_go_on(case, cpu):
    prompts, free, backend = case
    stop = free[1][4]
    ended = [said[: said.index(stop) + 1] if stop in said else said for said in free]
    assert any(len(said) < LIMIT for said in ended)
    for taught in ((), free):
        made = backend(cpu, stops=frozenset({stop}), taught=taught)
        assert made.generate(prompts, [LIMIT] * 7) == ended
        limits = [3, 12, 1, 5, 7, 2, 20]
        cut = backend(cpu, stops=frozenset(), taught=taught).generate(prompts, limits)
        assert cut == [said[:limit] for said, limit in zip(free, limits, strict=True)]


def test_prompts_are_read_in_several_passes_if_they_are_long(case, cpu, monkeypatch):
    prompts, expected, backend = case
    made = backend(cpu)
    for budget in (1, 40, 100):
        monkeypatch.setitem(decoding._TOKENS_PER_PASS, "cpu", budget)
        assert made.generate(prompts, [LIMIT] * 7) == expected


def test_prompts_that_begin_alike_or_are_the_same(case, cpu):
    prompts, expected, backend = case
    made = backend(cpu)
    assert made.generate([prompts[2]] * 3, [LIMIT] * 3) == [expected[2]] * 3
    short, long = prompts[0][:9], prompts[0]
    together = made.generate([short, long], [LIMIT] * 2)
    assert together == [made.generate([one], [LIMIT])[0] for one in (short, long)]
    single = made.generate([[5], [5, 6], [7]], [4] * 3)
    assert single == [made.generate([one], [4])[0] for one in ([5], [5, 6], [7])]


def test_bf16_answers_agree_with_one_row_at_a_time_but_for_near_ties(student, cpu):
    import torch

    model, encoder = student(dtype=torch.bfloat16)
    made = make_backend(
        "transformers", Student(model, encoder, stop_ids(model, encoder), cpu, 4096)
    )
    prompts = prompts_of(encoder, 20)
    together = made.generate(prompts, [8] * 20)
    alone = [made.generate([prompt], [8])[0] for prompt in prompts]
    same = sum(a == b for a, b in zip(together, alone, strict=True))
    assert same >= 16


@pytest.mark.parametrize("long", [2, 10_000])
def test_sliding_window_is_honoured(cpu, long, monkeypatch):
    import torch
    from transformers import Qwen2Config, Qwen2ForCausalLM

    def made():
        torch.manual_seed(1)
        config = Qwen2Config(
            vocab_size=64,
            hidden_size=32,
            intermediate_size=64,
            num_hidden_layers=3,
            num_attention_heads=4,
            num_key_value_heads=2,
            use_sliding_window=True,
            sliding_window=4,
            max_window_layers=1,
            initializer_range=0.5,
        )
        return Qwen2ForCausalLM(config).eval()

    monkeypatch.setattr(packed, "_LONG", long)
    monkeypatch.setattr(packed, "_BLOCK", 4)
    prompts = [[1, 2, 3, 4, 5, 6, 7, 8, 9], [9, 8, 7, 6, 5, 4], [3, 1]]
    expected = [reference(made(), prompt, LIMIT, [63]) for prompt in prompts]
    backend = TransformersBackend(Student(made(), None, frozenset({63}), cpu, 4096))
    said = backend.generate(prompts, [LIMIT] * 3)
    assert said == expected


def test_attention_that_cannot_be_replaced_is_refused(cpu):
    from transformers import BloomConfig, BloomForCausalLM

    model = BloomForCausalLM(BloomConfig(vocab_size=64, hidden_size=32, n_layer=1, n_head=2))
    with pytest.raises(TracekdError, match="BloomForCausalLM has an attention of its own"):
        TransformersBackend(Student(model, None, frozenset(), cpu, 64))


@pytest.mark.parametrize(
    ("name", "told"), [("gemma2", "a soft cap of 50.0"), ("gpt_oss", r"sinks \(s_aux\)")]
)
def test_attention_that_is_not_computed_is_refused_and_not_passed_over(cpu, uncommon, name, told):
    backend = TransformersBackend(Student(uncommon(name), None, frozenset(), cpu, 64))
    with pytest.raises(TracekdError, match=f"Attention has attention with {told}.* choose"):
        backend.generate([[1, 2, 3]], [4])
