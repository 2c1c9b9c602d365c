import copy
import itertools
from pathlib import Path

import pytest

from tracekd.config import load_model
from tracekd.generation.backends import stop_ids
from tracekd.models.devices import Device
from tracekd.models.loading import load_base, load_encoder
from tracekd.probes.engine import Asked, ProbeEngine
from tracekd.progress import Journal

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(autouse=True)
def cache(monkeypatch, tmp_path_factory):
    monkeypatch.setenv("TRACEKD_CACHE", str(tmp_path_factory.getbasetemp() / "model-cache"))


@pytest.fixture(params=["tiny_llama", "tiny_qwen3"])
def tiny(request):
    import torch

    spec = load_model(ROOT / "models.yaml", request.param)
    device = Device(torch.device("cpu"), torch.float32)
    model, encoder = load_base(request.param, spec, device), load_encoder(request.param, spec)
    torch.manual_seed(0)
    for key, weight in model.named_parameters():
        if "proj" in key:  # as built, the layers are too weak to say anything but the last token
            torch.nn.init.normal_(weight, std=0.3)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield model, encoder
    torch.set_num_threads(threads)


@pytest.fixture
def journal(tmp_path):
    with Journal(tmp_path / "journal") as opened:
        yield opened


TRACES = ["", "<think>\nMary is in the garden.\n</think>\n", "...", "<think>\n... ...\n</think>\n"]


def prompts_of(encoder):
    texts = ["Mary is here. " * count + "Where is she?" for count in (3, 0, 7, 1, 2)]
    return [encoder.prompt_ids("You are helpful.", text) for text in texts]


def before_stop(ids, stops):
    return list(itertools.takewhile(lambda token: token not in stops, ids))


def asked_of(model, encoder, prompts, stops):
    """Every trace behind every prompt; gold answers agree with the greedy one to any length."""
    asked = []
    for number, prompt in enumerate(prompts):
        for place, trace in enumerate(TRACES):
            forced = encoder.plain_ids(trace + "<answer>")
            greedy, _ = alone(model, frozenset(), prompt, Asked(0, forced, [], 9))
            right = (number + 2 * place) % 7
            gold = [
                *before_stop(greedy, stops)[:right],
                *encoder.plain_ids("kitchen</answer>")[: number + 1],
            ]
            asked.append(Asked(number, forced, gold, 9 if place else 1 + 3 * (number % 3)))
    return asked


def alone(model, stops, prompt, one):
    """The reference: this row from scratch, without padding and without a cache of ours."""
    import torch

    given = [*prompt, *one.forced]
    ids = torch.tensor([given])
    said = model.generate(
        input_ids=ids,
        attention_mask=torch.ones_like(ids),
        max_new_tokens=one.limit,
        do_sample=False,
        eos_token_id=list(stops) or None,
        pad_token_id=0,
    )[0, len(given) :].tolist()
    with torch.inference_mode():
        logits = model(input_ids=torch.tensor([[*given, *one.gold]])).logits[0]
    scores = logits.log_softmax(dim=-1)[len(given) - 1 : -1]
    return said, sum(float(scores[place, token]) for place, token in enumerate(one.gold))


@pytest.mark.parametrize(("batch_size", "threads"), [(1, 1), (3, 1), (64, 1), (3, 2)])
def test_replies_are_those_of_each_row_alone_from_scratch(tiny, batch_size, threads, journal):
    import torch

    model, encoder = tiny
    torch.set_num_threads(threads)  # of a crew of two, each answers for some of the prompts
    prompts = prompts_of(encoder)
    # A stop token that some answers really contain, so that rows end at different times.
    first = Asked(0, encoder.plain_ids("<answer>"), [], 9)
    stops = stop_ids(model, encoder) | {alone(model, frozenset(), prompts[2], first)[0][4]}
    asked = asked_of(model, encoder, prompts, stops)
    replies = ProbeEngine(copy.deepcopy(model), stops, batch_size).ask(prompts, asked, journal)
    assert len({tuple(reply.ids) for reply in replies}) > 3
    assert any(reply.ids[-1] in stops for reply in replies)
    for one, reply in zip(asked, replies, strict=True):
        said, chance = alone(model, stops, prompts[one.prompt], one)
        assert reply.ids == said
        assert reply.gold_logprob == pytest.approx(chance, abs=1e-4)


def test_a_short_prompt_is_answered_apart_from_a_long_one_that_was_read_with_it(tiny, journal):
    model, encoder = tiny
    model = copy.deepcopy(model)
    texts = ["Mary is here. " * 12 + "Where is she?", "Where is she?", "Where?", "Who?"]
    prompts = [encoder.prompt_ids("", text) for text in texts]
    # The first two prompts are read together. Of their four traces three are answered together, and
    # the shortest by itself, in less room than the long prompt takes.
    traces = [(0, "Mary is there."), (0, "Mary is here."), (1, "..."), (1, ""), (2, ""), (3, "")]
    asked = [Asked(number, encoder.plain_ids(f"{t}<answer>"), [], 5) for number, t in traces]
    assert len(prompts[1]) + len(asked[3].forced) + 5 < len(prompts[0])
    stops = stop_ids(model, encoder)
    expected = [alone(model, stops, prompts[one.prompt], one)[0] for one in asked]
    replies = ProbeEngine(model, stops, 3).ask(prompts, asked, journal)
    assert [reply.ids for reply in replies] == expected


def test_each_prompt_is_encoded_once_and_a_right_answer_takes_one_pass(tiny, journal):
    model, encoder = tiny
    prompts = prompts_of(encoder)
    stops = stop_ids(model, encoder)
    asked = []
    for number, prompt in enumerate(prompts):
        forced = encoder.plain_ids("<answer>")
        greedy, _ = alone(model, stops, prompt, Asked(0, forced, [], 6))
        asked += [Asked(number, forced, before_stop(greedy, stops)[:5], 6)] * 2
    widths = []
    watched = model.register_forward_pre_hook(
        lambda _, __, kwargs: widths.append(tuple(kwargs["input_ids"].shape)),
        with_kwargs=True,
    )
    ProbeEngine(model, stops, 64).ask(prompts, asked, journal)
    watched.remove()
    columns = itertools.takewhile(lambda tokens: len(set(tokens)) == 1, zip(*prompts, strict=False))
    shared = len(list(columns))
    assert shared > 5
    rests = sum(len(prompt) - shared for prompt in prompts)
    given = sum(len(one.forced) + len(one.gold) for one in asked)
    assert widths == [(1, shared), (1, rests), (1, given)]


def test_nothing_asked_is_nothing_answered(tiny, journal):
    model, _ = tiny
    assert ProbeEngine(model, frozenset(), 4).ask([], [], journal) == []
