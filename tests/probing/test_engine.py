import itertools

import pytest
import torch
from transformers import AutoConfig, AutoModelForCausalLM

from tracekd.generation.plain import PlainDecoder
from tracekd.probing.engine import ProbeEngine, ProbeRequest

SIZES = {"vocab_size": 90, "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2}
SIZES |= {"num_attention_heads": 4, "num_key_value_heads": 2, "initializer_range": 0.5}
TRACES = ([50], [51, 52, 53, 54, 50], [55, 50], [56, 56, 57, 56, 56, 57, 50])
PROMPTS = [[1, 2, *range(10, 10 + length), 3] for length in (30, 4, 60, 9, 15)]
NEVER = frozenset({89})


def model(kind="llama", **settings):
    config = AutoConfig.for_model(kind, **{"pad_token_id": 0, **SIZES, **settings})
    torch.manual_seed(1)
    return AutoModelForCausalLM.from_config(config, dtype=torch.float32).eval()


MODELS = {
    "llama": model,
    "qwen3": lambda: model("qwen3", head_dim=16),
    "no packed decoding": lambda: model("bloom", n_layer=2, n_head=4),
}


@pytest.fixture(autouse=True)
def one_thread(set_threads):
    set_threads(1)


@pytest.fixture
def partial(tmp_path):
    return tmp_path / "replies.jsonl"


def alone(student, stops, request):
    """The reference: one row from scratch, without padding and without our cache."""
    given = [*PROMPTS[request.prompt], *request.forced]
    (ids,) = PlainDecoder(student, stops).generate([given], [request.limit])
    with torch.inference_mode():
        logits = student(input_ids=torch.tensor([[*given, *request.gold]])).logits[0]
    scores = logits.log_softmax(dim=-1)[len(given) - 1 : -1]
    return ids, sum(float(scores[place, token]) for place, token in enumerate(request.gold))


def every_request(student, stops):
    """Every trace for every prompt; gold answers agree with the greedy one to different lengths."""
    requests = []
    for number, place in itertools.product(range(len(PROMPTS)), range(len(TRACES))):
        greedy, _ = alone(student, NEVER, ProbeRequest(number, TRACES[place], [], 9))
        right = itertools.takewhile(lambda token: token not in stops, greedy)
        gold = [*itertools.islice(right, (number + 2 * place) % 7), 60, 61][: number + 4]
        limit = 9 if place else 1 + 3 * (number % 3)
        requests.append(ProbeRequest(number, TRACES[place], gold, limit))
    return requests


@pytest.mark.parametrize("batch_size", [1, 3, 64])
@pytest.mark.parametrize("kind", MODELS)
def test_replies_are_those_of_each_row_alone_from_scratch(kind, batch_size, partial):
    student = MODELS[kind]()
    # A stop token that some answers contain, so that rows end at different times.
    stops = NEVER | {alone(student, NEVER, ProbeRequest(2, TRACES[0], [], 9))[0][4]}
    requests = every_request(student, stops)
    expected = [alone(student, stops, request) for request in requests]
    assert len({tuple(ids) for ids, _ in expected}) > 5
    assert any(ids[-1] in stops for ids, _ in expected)
    replies = ProbeEngine(MODELS[kind](), stops, batch_size).answer(PROMPTS, requests, partial)
    for reply, (ids, logprob) in zip(replies, expected, strict=True):
        assert reply.ids == ids
        assert reply.gold_logprob == pytest.approx(logprob, abs=1e-4)


def test_each_prompt_is_read_once_and_a_right_answer_takes_one_pass(partial):
    requests = []
    for number in range(len(PROMPTS)):
        greedy, _ = alone(model(), NEVER, ProbeRequest(number, TRACES[0], [], 6))
        requests += [ProbeRequest(number, TRACES[0], greedy[:5], 6)] * 2
    student = model()
    engine = ProbeEngine(student, NEVER, 64)
    widths = []
    student.register_forward_pre_hook(
        lambda _, __, kwargs: widths.append(tuple(kwargs["input_ids"].shape)), with_kwargs=True
    )
    engine.answer(PROMPTS, requests, partial)
    shared = 6  # tokens that all prompts begin with
    rests = sum(len(prompt) - shared for prompt in PROMPTS)
    given = sum(len(request.forced) + len(request.gold) for request in requests)
    assert widths == [(1, shared), (1, rests), (1, given)]
    assert engine.answer([], [], partial) == []
