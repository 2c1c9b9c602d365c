"""From prompts to greedy answers, row by row of a cache: reading, drafting, verifying."""

from collections.abc import Sequence

import torch

from tracekd.generation.drafts import Drafter, Recollection
from tracekd.generation.packed import PackedModel, RowCache

#: Prompt tokens in one forward pass: more do not go faster, and take memory.
_TOKENS_PER_PASS = {"cpu": 2048}
_TOKENS_PER_PASS_ELSEWHERE = 16384


def read_prompts(
    model: PackedModel, cache: RowCache, prompts: Sequence[Sequence[int]]
) -> list[int]:
    """Fill the first columns of an empty cache; return the token that each prompt's answer begins.

    What all prompts begin with is read once.

    Args:
        model: reads them.
        cache: one row per prompt.
        prompts: none of them empty.
    """
    budget = _TOKENS_PER_PASS.get(model.device.type, _TOKENS_PER_PASS_ELSEWHERE)
    shared = _common_prefix(prompts) if len(prompts) > 1 else 0
    if shared:
        model.logits(cache, 0, [prompts[0][:shared]], [0], [shared - 1])
        cache.spread(shared)
    rests = [prompt[shared:] for prompt in prompts]
    tokens: list[int] = []
    while len(tokens) < len(rests):
        first = len(tokens)
        part = _up_to(budget, rests[first:])
        kept = [end - 1 for end in ends(part)]
        tokens += greedy(model.logits(cache, first, part, [shared] * len(part), kept))
    return tokens


def decode(
    model: PackedModel,
    cache: RowCache,
    prompts: Sequence[Sequence[int]],
    said: list[list[int]],
    limits: Sequence[int],
    stops: frozenset[int],
    taught: Recollection,
    most: int,
) -> None:
    """Append to each of `said` until it ends with a stop token or is as long as its limit.

    Args:
        model: says what comes next.
        cache: holds each row's prompt and all of `said` but the last token.
        prompts: what stands before each answer.
        said: changed in place; at least one token each.
        limits: most tokens of each.
        stops: tokens that end an answer.
        taught: answers of the kind to be expected.
        most: tokens of a draft; 0 for one token at a time.
    """
    drafters = [Drafter(prompt, taught) for prompt in prompts]
    for drafter, tokens in zip(drafters, said, strict=True):
        drafter.hear(tokens)
    #: Row of the cache -> index of its answer. An answer that has ended leaves; the last row moves.
    active = list(range(len(prompts)))

    def drop_ended() -> None:
        for place in reversed(range(len(active))):
            row = active[place]
            if said[row][-1] in stops or len(said[row]) >= limits[row]:
                last = active.pop()
                if last != row:
                    cache.copy(len(active), place, len(prompts[last]) + len(said[last]) - 1)
                    active[place] = last

    drop_ended()
    while active:
        drafts = [
            drafters[row].guess(min(most, limits[row] - len(said[row]) - 1)) for row in active
        ]
        news = [[said[row][-1], *draft] for row, draft in zip(active, drafts, strict=True)]
        starts = [len(prompts[row]) + len(said[row]) - 1 for row in active]
        tokens = greedy(model.logits(cache, 0, news, starts, range(sum(map(len, news)))))
        for row, draft, end in zip(active, drafts, ends(news), strict=True):
            own = tokens[end - len(draft) - 1 : end]
            new = _up_to_stop(own[: agreement(own, draft) + 1], stops)
            said[row] += new
            drafters[row].hear(new)
        drop_ended()


def greedy(logits: torch.Tensor) -> list[int]:
    """Return the most likely token of each row; `max`, for on a CPU `argmax` takes four times."""
    tokens: list[int] = logits.max(dim=-1).indices.tolist()
    return tokens


def agreement(own: Sequence[int], draft: Sequence[int]) -> int:
    """Return how many tokens of a draft are what the model itself says there."""
    for place, token in enumerate(draft):
        if own[place] != token:
            return place
    return len(draft)


def ends(parts: Sequence[Sequence[int]]) -> list[int]:
    """Return where each part ends if one stands behind the other."""
    found, end = [], 0
    for part in parts:
        end += len(part)
        found.append(end)
    return found


def _up_to(budget: int, rows: Sequence[Sequence[int]]) -> Sequence[Sequence[int]]:
    """Return the first rows that together have at most `budget` tokens, but at least one row."""
    fitting = sum(end <= budget for end in ends(rows))
    return rows[: max(1, fitting)]


def _up_to_stop(tokens: list[int], stops: frozenset[int]) -> list[int]:
    for place, token in enumerate(tokens):
        if token in stops:
            return tokens[: place + 1]
    return tokens


def _common_prefix(prompts: Sequence[Sequence[int]]) -> int:
    """Return how many tokens all prompts begin with; every prompt has at least one more."""
    shortest = min(map(len, prompts)) - 1
    for place in range(shortest):
        if any(prompt[place] != prompts[0][place] for prompt in prompts):
            return place
    return shortest
