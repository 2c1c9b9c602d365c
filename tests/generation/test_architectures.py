"""Every architecture decodes and answers probes as its own `generate` does, row by row."""

import pytest
import torch
from architectures import ARCHITECTURES, ATTENTION, STATEFUL
from transformers import AutoConfig, AutoModelForCausalLM

from tracekd.generation.backends import Student, backend_module
from tracekd.generation.decoding import PackedDecoder
from tracekd.generation.plain import PlainDecoder, row_logits
from tracekd.models.devices import Device
from tracekd.probing.engine import ProbeEngine, ProbeRequest

PROMPTS = [[7, 8, 9, *range(20, 34), 5], [7, 8, 9, 4], [7, 8, 9, 21, 22]]
LIMIT, NEVER = 6, frozenset({99})
#: Attention that packed decoding does not compute.
OTHERS = {"gemma2", "gpt_oss", "stablelm"}
#: Read padding, though it is masked.
PADDING = {
    "rwkv": {"model_type": "rwkv", "hidden_size": 32, "num_hidden_layers": 2, "context_length": 64},
    "minimax": {
        **ATTENTION["gpt_oss"],
        "model_type": "minimax",
        "layer_types": ["linear_attention", "full_attention"],
        "block_size": 8,
    },
}


def make(settings):
    wide = {"vocab_size": 100, "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2}
    # Beyond the usual 0.02, or all greedy answers repeat one token.
    config = AutoConfig.for_model(**settings, **wide, initializer_range=0.3)
    torch.manual_seed(1)
    return AutoModelForCausalLM.from_config(config, dtype=torch.float32).eval()


def backend(model):
    cpu = Device(torch.device("cpu"), torch.float32)
    student = Student(lambda _: model, cpu, None, NEVER, 4096)
    return backend_module("transformers").make(student)


def alone(model, prompts=PROMPTS):
    """The greedy answers of `generate` to single prompts, without our decoders."""
    rows = [torch.tensor([prompt]) for prompt in prompts]
    made = [
        model.generate(
            row,
            attention_mask=torch.ones_like(row),
            max_new_tokens=LIMIT,
            do_sample=False,
            eos_token_id=99,
            pad_token_id=0,
        )
        for row in rows
    ]
    return [ids[0, row.shape[1] :].tolist() for ids, row in zip(made, rows, strict=True)]


@pytest.mark.parametrize("name", [*ARCHITECTURES, *PADDING])
def test_predictions_and_probes_are_those_of_single_rows(name, tmp_path, capsys):
    settings = (ARCHITECTURES | PADDING)[name]
    expected = alone(make(settings))
    made = backend(make(settings))
    assert isinstance(made, PackedDecoder) == (name in set(ATTENTION) - OTHERS)
    assert made.generate(PROMPTS, [LIMIT] * 3) == expected
    printed = capsys.readouterr().err
    assert ("no packed decoding (" in printed) == isinstance(made, PlainDecoder)
    assert ("padding changes its logits" in printed) == (name in PADDING)

    forced, gold = [11, 12], [13, 14, 15]
    requests = [ProbeRequest(number, forced, gold, LIMIT) for number in range(len(PROMPTS))]
    engine = ProbeEngine(make(settings), NEVER, 8)
    replies = engine.answer(PROMPTS, requests, tmp_path / "replies")
    reference, given = make(settings), [[*prompt, *forced] for prompt in PROMPTS]
    assert [reply.ids for reply in replies] == alone(reference, given)
    for row, reply in zip(given, replies, strict=True):
        scores = row_logits(reference, [*row, *gold])[len(row) - 1 : -1].log_softmax(-1)
        expected = sum(float(one[token]) for one, token in zip(scores, gold, strict=True))
        assert reply.gold_logprob == pytest.approx(expected, abs=1e-3)


def test_no_two_kinds_are_the_same_and_answers_of_attention_differ_between_prompts():
    assert not set(ATTENTION) & set(STATEFUL)
    assert len({tuple(answer) for answer in alone(make(ATTENTION["llama"]))}) == len(PROMPTS)
