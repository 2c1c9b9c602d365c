"""A sampled token is a function of its logits, seed and place; all ways of decoding draw alike."""

import math
from collections import Counter

import pytest
import torch

from tracekd.generation.decoding import PackedDecoder
from tracekd.generation.packed import PackedModel, pack
from tracekd.generation.plain import PlainDecoder
from tracekd.generation.sampling import GREEDY, Sampler
from tracekd.randomness import uniform

#: Probabilities 0.5, 0.1, 0.2, 0.2 at temperature 1.
LOGITS = torch.tensor([0.5, 0.1, 0.2, 0.2]).log()


@pytest.mark.parametrize(
    ("temperature", "top_p", "expected"),
    [
        (1, 1, [0.5, 0.1, 0.2, 0.2]),
        (0.5, 1, [25 / 34, 1 / 34, 4 / 34, 4 / 34]),
        # The fewest tokens: the one that passes the threshold belongs to them.
        (1, 0.5, [0.5, 0, 0, 0]),
        (1, 0.51, [0.5, 0, 0.2, 0]),
        (1, 0.75, [0.5, 0, 0.2, 0.2]),
        (1, 1e-9, [0.5, 0, 0, 0]),
    ],
)
def test_probabilities_are_those_of_temperature_and_nucleus(temperature, top_p, expected):
    found = Sampler(temperature, top_p).probabilities(LOGITS[None] + 7)
    assert found[0].tolist() == pytest.approx(expected, abs=1e-6)


def test_a_draw_is_where_its_level_falls_among_the_sums_of_the_vocabulary():
    draws = [(seed, place) for seed in range(40) for place in range(50)]
    found = Sampler(1.0).choose(LOGITS.expand(len(draws), 4), draws)
    levels = [uniform(*draw) for draw in draws]
    expected = [sum(level >= end for end in (0.5, 0.6, 0.8)) for level in levels]
    assert found == expected
    counts = Counter(found)
    for token, chance in enumerate((0.5, 0.1, 0.2, 0.2)):
        spread = math.sqrt(len(draws) * chance * (1 - chance))
        assert abs(counts[token] - len(draws) * chance) < 4 * spread


def test_without_temperature_the_most_likely_token_is_taken():
    assert GREEDY.choose(torch.stack([LOGITS, LOGITS.flip(0)]), ()) == [0, 3]


@pytest.mark.parametrize("level", [0.0, 1.0])
def test_the_ends_of_the_levels_are_tokens_that_can_be_drawn(monkeypatch, level):
    monkeypatch.setattr("tracekd.generation.sampling.uniform", lambda *_: level)
    logits = torch.tensor([[-math.inf, 1.0, 2.0, 0.0, -math.inf]]).repeat(100, 1)
    assert set(Sampler(0.7).choose(logits, [(0, 0)] * 100)) == {3 if level else 1}


PROMPTS = [[7, 8, 9, *range(20, 60), 5], [7, 8, 9, 4], [7, 8, 9, 4], [7, 8, 9, 1, 2, 3, 1, 2]]
SEEDS, LIMIT, NEVER = [1, 2, 3, 4], 12, frozenset({799})
SAMPLER = Sampler(0.8, 0.95)


@pytest.fixture(params=["llama", "qwen3", "sliding window"])
def kind(request):
    return request.param


def test_packed_decoding_with_drafts_draws_what_generate_draws_for_each_row_alone(tiny, kind):
    plain = PlainDecoder(tiny(kind), NEVER, SAMPLER)
    rows = zip(PROMPTS, SEEDS, strict=True)
    expected = [plain.generate([prompt], [LIMIT], [seed])[0] for prompt, seed in rows]
    assert len({tuple(answer) for answer in expected}) == 4
    assert plain.generate(PROMPTS, [LIMIT] * 4, SEEDS) == expected
    assert plain.generate(PROMPTS, [LIMIT] * 4, SEEDS[::-1]) != expected
    wrong = [[token * step % 211 for token in range(50)] for step in range(1, 9)]
    for examples in (
        (),
        [[*prompt[-4:], *answer] for prompt, answer in zip(PROMPTS, expected, strict=True)],
        wrong,
    ):
        packed = PackedDecoder(pack(tiny(kind)), NEVER, examples, SAMPLER)
        assert packed.generate(PROMPTS, [LIMIT] * 4, SEEDS) == expected
        assert packed.generate(PROMPTS[::-1], [LIMIT] * 4, SEEDS[::-1]) == expected[::-1]


def test_a_batch_beyond_the_memory_of_a_gpu_is_cut(tiny, monkeypatch):
    packed = PackedDecoder(pack(tiny()), NEVER, (), SAMPLER)
    # Keys and values of two layers, each of two heads of 8 numbers of 4 bytes.
    assert packed.model.bytes_per_token == 2 * 2 * 2 * 8 * 4
    expected = packed.generate(PROMPTS, [LIMIT] * 4, SEEDS)
    longest = len(PROMPTS[0]) + LIMIT
    sizes = []
    finish = packed.finish
    monkeypatch.setattr(packed, "finish", lambda *args: (sizes.append(len(args[1])), finish(*args)))
    for free, parts in ((1, [1] * 4), (7, [3, 1]), (8, [4])):
        memory = free * longest * packed.model.bytes_per_token
        monkeypatch.setattr(
            "tracekd.generation.packed.free_memory", lambda _, memory=memory: memory
        )
        sizes.clear()
        assert packed.generate(PROMPTS, [LIMIT] * 4, SEEDS) == expected
        assert sizes == parts


def test_equal_prompts_are_read_once(tiny, monkeypatch):
    packed = PackedDecoder(pack(tiny()), NEVER, (), SAMPLER)
    read = []
    original = PackedModel.logits
    monkeypatch.setattr(
        PackedModel, "logits", lambda self, *args: read.append(args[2]) or original(self, *args)
    )
    packed.generate([PROMPTS[0]] * 5, [LIMIT] * 5, range(5))
    assert sum(map(len, read[0])) == len(PROMPTS[0])
