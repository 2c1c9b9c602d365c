"""From prompts to answers on a cache of packed rows: read prompts, draft, verify."""

from collections.abc import Sequence
from itertools import accumulate

import torch

from tracekd.generation.drafts import DRAFT, Drafter, Followers, count_followers
from tracekd.generation.packed import PackedModel, RowCache
from tracekd.generation.plain import release_memory, up_to_stop
from tracekd.generation.sampling import GREEDY, Sampler

#: Prompt tokens in one forward pass: more are not faster, and take memory.
_TOKENS_PER_PASS = {"cpu": 2048, "cuda": 16384}


class PackedDecoder:
    """Decoding that may gain several tokens of a row in each forward pass.

    The tokens are those of decoding one by one: in exact arithmetic always, in bf16 except for near
    ties, as between any two batch sizes.

    Attributes:
        model: reads the rows.
        draft: most tokens to guess at once; 0 decodes one by one.
    """

    def __init__(
        self,
        model: PackedModel,
        stops: frozenset[int],
        examples: Sequence[Sequence[int]] = (),
        sampler: Sampler = GREEDY,
    ) -> None:
        """Decode with `model` until a token of `stops`; guess what comes next from `examples`."""
        self.model, self._stops, self._sampler, self.draft = model, stops, sampler, DRAFT
        self._examples: Followers = {}
        for tokens in examples:
            count_followers(self._examples, tokens)

    @torch.inference_mode()
    def generate(
        self, prompts: Sequence[Sequence[int]], limits: Sequence[int], seeds: Sequence[int] = ()
    ) -> list[list[int]]:
        """Return the new tokens of each prompt; see `Backend`. Equal prompts are read once."""
        longest = max(len(prompt) + limit for prompt, limit in zip(prompts, limits, strict=True))
        if len(prompts) > (most := self.model.rows_that_fit(longest)):
            first = self.generate(prompts[:most], limits[:most], seeds[:most])
            return first + self.generate(prompts[most:], limits[most:], seeds[most:])
        seeds = seeds or [0] * len(prompts)
        different = list(dict.fromkeys(map(tuple, prompts)))
        cache = RowCache(len(different), longest)
        logits = self.read_prompts(cache, different)
        if len(different) < len(prompts):
            rows = [different.index(tuple(prompt)) for prompt in prompts]
            cache, logits = cache.rows(rows, longest), logits[rows]
        answers = [[token] for token in self._sampler.choose(logits, [(s, 0) for s in seeds])]
        self.finish(cache, prompts, answers, limits, seeds)
        return answers

    def close(self) -> None:
        """Release the model's memory."""
        del self.model
        release_memory()

    def read_prompts(self, cache: RowCache, prompts: Sequence[Sequence[int]]) -> torch.Tensor:
        """Read prompts, none of them empty, into an empty cache; return the logits after each.

        The tokens that all prompts begin with are read once.
        """
        budget = _TOKENS_PER_PASS.get(self.model.device.type, _TOKENS_PER_PASS["cpu"])
        shared = _common_prefix(prompts) if len(prompts) > 1 else 0
        if shared:
            self.model.logits(cache, 0, [prompts[0][:shared]], [0], [shared - 1])
            cache.copy(slice(1), slice(1, None), shared)
        rests = [prompt[shared:] for prompt in prompts]
        read: list[torch.Tensor] = []
        while (first := sum(map(len, read))) < len(rests):
            fitting = sum(end <= budget for end in ends(rests[first:]))
            part = rests[first : first + max(1, fitting)]
            kept = [end - 1 for end in ends(part)]
            read.append(self.model.logits(cache, first, part, [shared] * len(part), kept))
        return torch.cat(read)

    def finish(
        self,
        cache: RowCache,
        prompts: Sequence[Sequence[int]],
        answers: list[list[int]],
        limits: Sequence[int],
        seeds: Sequence[int],
    ) -> None:
        """Append to each answer until it ends with a stop token or is as long as its limit.

        An answer has at least one token; `cache` holds its prompt and all its tokens but the last.
        """
        drafters = [
            Drafter([*prompt, *answer], self._examples)
            for prompt, answer in zip(prompts, answers, strict=True)
        ]
        #: Row of the cache -> index of its answer. The last row replaces one that has ended.
        active = list(range(len(prompts)))
        while True:
            for place in reversed(range(len(active))):
                row = active[place]
                if answers[row][-1] in self._stops or len(answers[row]) >= limits[row]:
                    last = active.pop()
                    if last != row:
                        cache.copy(len(active), place, len(prompts[last]) + len(answers[last]) - 1)
                        active[place] = last
            if not active:
                return
            drafts = [
                drafters[row].guess(min(self.draft, limits[row] - len(answers[row]) - 1))
                for row in active
            ]
            news = [[answers[row][-1], *draft] for row, draft in zip(active, drafts, strict=True)]
            starts = [len(prompts[row]) + len(answers[row]) - 1 for row in active]
            kept = range(sum(map(len, news)))
            draws = [
                (seeds[row], len(answers[row]) + place)
                for row, new in zip(active, news, strict=True)
                for place in range(len(new))
            ]
            tokens = self._sampler.choose(self.model.logits(cache, 0, news, starts, kept), draws)
            for row, draft, end in zip(active, drafts, ends(news), strict=True):
                own = tokens[end - len(draft) - 1 : end]
                new = up_to_stop(own[: agreement(own, draft) + 1], self._stops)
                answers[row] += new
                drafters[row].add(new)


def agreement(own: Sequence[int], draft: Sequence[int]) -> int:
    """Return how many tokens at the start of a draft the model itself would generate."""
    return next((i for i, token in enumerate(draft) if own[i] != token), len(draft))


def ends(parts: Sequence[Sequence[int]]) -> list[int]:
    """Return where each part ends if they follow one another: [[5, 5], [7]] -> [2, 3]."""
    return list(accumulate(map(len, parts)))


def _common_prefix(prompts: Sequence[Sequence[int]]) -> int:
    """Return how many tokens all prompts begin with; every prompt has at least one more."""
    shortest = min(map(len, prompts)) - 1
    columns = enumerate(zip(*(prompt[:shortest] for prompt in prompts), strict=True))
    return next((place for place, tokens in columns if len(set(tokens)) > 1), shortest)
