r"""Answers given many traces for one prompt: the prompt is read once, its cache copied for each.

    cache     p p p p | . . .            once per prompt
    one pass            t t < a n s w e r > g g g E     trace, tag | gold answer

That pass gives the probability of the gold answer, and the greedy answer as far as the two agree:
the gold answer serves as a draft (as in speculative decoding, Leviathan et al. 2023, arXiv
2211.17192). Where the student prefers another token, decoding continues from there and overwrites
the rest of the draft. Rows are packed (`tracekd.generation.packed`): every answer is the one that
its row alone would get.

A model that does not allow packed decoding gets one plain forward pass per trace and `generate`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import torch

from tracekd.generation.batches import in_batches, length_batches
from tracekd.generation.decoding import PackedDecoder, agreement, ends
from tracekd.generation.packed import RowCache, pack
from tracekd.generation.plain import PlainDecoder, row_logits
from tracekd.generation.sampling import GREEDY

if TYPE_CHECKING:
    from transformers import PreTrainedModel


@dataclass(frozen=True)
class ProbeRequest:
    """One trace for one prompt.

    Attributes:
        prompt: index into the prompts.
        forced: tokens of the trace and of the tag that opens the answer.
        gold: tokens of the gold answer after that tag, up to the end of its closing tag; none of
            them stops an answer.
        limit: how many new tokens the answer may have; at least one.
    """

    prompt: int
    forced: Sequence[int]
    gold: Sequence[int]
    limit: int


class ProbeReply(NamedTuple):
    """The greedy answer after the forced tokens, up to and including a stop token.

    `gold_logprob` is the natural logarithm of the probability of the gold tokens.
    """

    ids: list[int]
    gold_logprob: float


class ProbeEngine:
    """A causal model of transformers that answers given traces, until a token of `stops`."""

    def __init__(self, model: "PreTrainedModel", stops: frozenset[int], batch_size: int) -> None:
        """Answer with `model`, whose attention function is replaced, if it allows that."""
        self.stops, self._batch_size = stops, batch_size
        if packed := pack(model):
            self._replies = partial(_packed_replies, PackedDecoder(packed, stops))
        else:
            self._replies = partial(_plain_replies, PlainDecoder(model, stops))

    def answer(
        self, prompts: Sequence[Sequence[int]], requests: Sequence[ProbeRequest], kept: Path
    ) -> list[ProbeReply]:
        """Return one reply per request, in the same order; each prompt is read once.

        `kept` is the file of finished batches, see `in_batches`.
        """

        @torch.inference_mode()
        def compute(batch: list[int]) -> list[ProbeReply]:
            return self._replies(prompts, [requests[place] for place in batch])

        found = in_batches(self._batches(prompts, requests), compute, kept, "probes")
        return [ProbeReply(*found[place]) for place in range(len(requests))]

    def _batches(
        self, prompts: Sequence[Sequence[int]], requests: Sequence[ProbeRequest]
    ) -> list[list[int]]:
        """Return batches of about `batch_size` requests, all those of a prompt in one batch."""
        by_prompt: dict[int, list[int]] = {}
        for place, request in enumerate(requests):
            by_prompt.setdefault(request.prompt, []).append(place)
        groups = list(by_prompt.values())
        together = max(1, self._batch_size * len(groups) // max(1, len(requests)))
        lengths = [len(prompts[index]) for index in by_prompt]
        return [
            [place for group in batch for place in groups[group]]
            for batch in length_batches(lengths, together)
        ]


def _plain_replies(
    decoder: PlainDecoder, prompts: Sequence[Sequence[int]], requests: list[ProbeRequest]
) -> list[ProbeReply]:
    given = [[*prompts[request.prompt], *request.forced] for request in requests]
    answers = decoder.generate(given, [request.limit for request in requests])
    replies = []
    for row, request, ids in zip(given, requests, answers, strict=True):
        logits = row_logits(decoder.model, [*row, *request.gold])[len(row) - 1 :]
        replies.append(ProbeReply(ids, _logprob(logits, request.gold)))
    return replies


def _packed_replies(
    decoder: PackedDecoder, prompts: Sequence[Sequence[int]], requests: list[ProbeRequest]
) -> list[ProbeReply]:
    given = [[*prompts[request.prompt], *request.forced] for request in requests]
    longest = max(
        len(row) + max(len(request.gold), request.limit)
        for row, request in zip(given, requests, strict=True)
    )
    if len(requests) > (most := decoder.model.rows_that_fit(longest)):
        parts = requests[:most], requests[most:]
        return [reply for part in parts for reply in _packed_replies(decoder, prompts, part)]
    needed = list(dict.fromkeys(request.prompt for request in requests))
    read = [prompts[index] for index in needed]
    cache = RowCache(len(read), max(map(len, read)))
    decoder.read_prompts(cache, read)
    cache = cache.rows([needed.index(request.prompt) for request in requests], longest)
    news = [[*request.forced, *request.gold] for request in requests]
    starts = [len(prompts[request.prompt]) for request in requests]
    kept = [
        range(end - len(request.gold) - 1, end)
        for request, end in zip(requests, ends(news), strict=True)
    ]
    logits = decoder.model.logits(cache, 0, news, starts, list(chain.from_iterable(kept)))
    replies = []
    for request, scores in zip(requests, torch.split(logits, [*map(len, kept)]), strict=True):
        own = GREEDY.choose(scores, ())
        ids = own[: agreement(own, request.gold) + 1][: request.limit]
        replies.append(ProbeReply(ids, _logprob(scores, request.gold)))
    answers, limits = [reply.ids for reply in replies], [request.limit for request in requests]
    decoder.finish(cache, given, answers, limits, [0] * len(requests))
    return replies


def _logprob(logits: torch.Tensor, tokens: Sequence[int]) -> float:
    """Return the sum of log-probabilities of `tokens`, the first of which row 0 predicts."""
    # One answer at a time: all of them in full precision would be the largest tensor of the run.
    scores = logits[: len(tokens)].float()
    chosen = scores.gather(1, torch.tensor(list(tokens), device=logits.device).long()[:, None])
    return float((chosen[:, 0] - scores.logsumexp(dim=-1)).sum())
