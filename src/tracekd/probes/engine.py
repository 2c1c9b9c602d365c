r"""Many traces behind one prompt: the prompt is encoded once, its cache shared by all of them.

Prompts are padded on the left, what follows so that all answers begin in the same column:

    . . p p p p | . . t t < a n s w e r > | g g g E     prompt | trace, tag | gold answer
    p p p p p p | t t t t < a n s w e r > | g g . .
    cached once | one pass                |

That one pass gives the probability of the gold answer, and the greedy answer as far as it is the
gold one: the gold answer serves as a draft (as in speculative decoding, Leviathan et al. 2023,
arXiv 2211.17192). Where the student says something else its own token goes on from there, one at a
time, and the columns of the rejected draft are masked. Padding in the middle is masked too, and
positions count real tokens only, so that every answer is the one that its row alone would get.
"""

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tracekd.collation import length_batches
from tracekd.errors import TracekdError
from tracekd.progress import LongRunWarning, progress_bar

if TYPE_CHECKING:
    import torch
    from transformers import DynamicCache


@dataclass(frozen=True)
class Asked:
    """One trace behind one prompt.

    Attributes:
        prompt: index into the prompts.
        forced: tokens of the trace and of the tag that opens the answer; at least one.
        gold: tokens of the gold answer behind that tag, to the end of its closing tag; none of
            them stops an answer.
        limit: how many new tokens the answer may have; at least one.
    """

    prompt: int
    forced: Sequence[int]
    gold: Sequence[int]
    limit: int


@dataclass(frozen=True)
class Reply:
    """What the student said behind the forced tokens.

    Attributes:
        ids: the greedy answer, up to and with a stop token.
        gold_logprob: natural logarithm of the probability of the gold tokens.
    """

    ids: list[int]
    gold_logprob: float


class ProbeEngine:
    """A causal model of transformers (or one with the same call) that answers behind given traces.

    Only for models whose layers all attend to everything before: a window that slides would count
    the padding.
    """

    def __init__(
        self, model: Any, stops: frozenset[int], device: "torch.device", batch_size: int
    ) -> None:
        """Answer with `model`, which is on `device`, until a token of `stops`.

        Args:
            model: called as transformers' causal models are; `config` says what its layers cache.
            stops: tokens that end an answer.
            device: where the model is.
            batch_size: prompts encoded together, and traces answered together.

        Raises:
            TracekdError: if a layer's cache is not one of keys and values of all positions.
        """
        from transformers.cache_utils import DynamicCache, DynamicLayer

        self._model, self._stops, self._device, self._batch = model, stops, device, batch_size
        kinds = {type(layer) for layer in DynamicCache(config=model.config).layers}
        if kinds - {DynamicLayer}:
            raise TracekdError(
                "params.yaml: probes.enabled: the model has layers that do not attend to all of "
                f"the prompt ({', '.join(sorted(kind.__name__ for kind in kinds))}); probes need "
                "a model with full attention, switch them off or choose another"
            )

    def ask(
        self, prompts: Sequence[Sequence[int]], asked: Sequence[Asked], machine: str = "this one"
    ) -> list[Reply]:
        """Return one reply per element of `asked`, in their order.

        Args:
            prompts: each is encoded once.
            asked: in any order, any number per prompt.
            machine: what the warning before a long run calls it.
        """
        import torch

        by_prompt: dict[int, list[int]] = {}
        for place, one in enumerate(asked):
            by_prompt.setdefault(one.prompt, []).append(place)
        wanted = list(by_prompt)
        batches = length_batches([len(prompts[index]) for index in wanted], self._batch)
        replies: dict[int, Reply] = {}
        warning = LongRunWarning("probing", len(batches), machine)
        with progress_bar(len(asked), "probes", "answer") as bar, torch.inference_mode():
            for batch in batches:
                chosen = [wanted[position] for position in batch]
                encoded = self._encode([prompts[index] for index in chosen])
                row_of = {index: row for row, index in enumerate(chosen)}
                places = [place for index in chosen for place in by_prompt[index]]
                lengths = [len(asked[place].forced) for place in places]
                for part in length_batches(lengths, self._batch):
                    ones = [places[position] for position in part]
                    rows = [row_of[asked[place].prompt] for place in ones]
                    made = self._answer(encoded, rows, [asked[place] for place in ones])
                    replies.update(zip(ones, made, strict=True))
                    bar.update(len(ones))
                if message := warning.step():
                    bar.write(message)
        return [replies[place] for place in range(len(asked))]

    def _encode(self, prompts: Sequence[Sequence[int]]) -> "_Encoded":
        from transformers import DynamicCache

        ids, mask = self._padded(prompts, [()] * len(prompts))
        cache = DynamicCache(config=self._model.config)
        self._forward(ids, mask, (mask.cumsum(dim=1) - 1).clamp(min=0), cache, keep=1)
        return _Encoded(cache, mask)

    def _answer(self, encoded: "_Encoded", rows: list[int], asked: list[Asked]) -> list[Reply]:
        """Return the replies to `asked`, whose prompts are those rows of `encoded`."""
        import torch

        cache, prompt_mask = encoded.rows(torch.tensor(rows, device=self._device))
        ids, mask = self._padded([one.forced for one in asked], [one.gold for one in asked])
        mask = torch.cat([prompt_mask, mask], dim=1)
        positions = (mask.cumsum(dim=1) - 1)[:, prompt_mask.shape[1] :]
        drafted = max(len(one.gold) for one in asked)
        logits = self._forward(ids, mask, positions.clamp(min=0), cache, keep=drafted + 1)
        greedy = logits.argmax(dim=-1).tolist()
        said, chances = [], []
        for row, one in enumerate(asked):
            chances.append(_logprob(logits[row], one.gold))
            accepted = _agreement(greedy[row], one.gold)
            said.append([*one.gold[:accepted], greedy[row][accepted]][: one.limit])
            first = mask.shape[1] - drafted
            mask[row, first + accepted :] = 0
        del logits
        self._go_on(cache, mask, said, [one.limit for one in asked])
        return [Reply(ids, chance) for ids, chance in zip(said, chances, strict=True)]

    def _go_on(
        self, cache: "DynamicCache", mask: "torch.Tensor", said: list[list[int]], limits: list[int]
    ) -> None:
        """Append to each of `said` until it has ended.

        Args:
            cache: holds everything but the last token of each of `said`.
            mask: [rows, columns of the cache], 1 where a column counts.
            said: changed in place; at least one token each.
            limits: most tokens of each.
        """
        import torch

        active = list(range(len(said)))
        while True:
            going = [
                place
                for place, row in enumerate(active)
                if said[row][-1] not in self._stops and len(said[row]) < limits[row]
            ]
            if not going:
                return
            if len(going) < len(active):
                kept = torch.tensor(going, device=self._device)
                cache.batch_select_indices(kept)
                mask, active = mask[kept], [active[place] for place in going]
            ids = torch.tensor([[said[row][-1]] for row in active], device=self._device)
            mask = torch.cat([mask, mask.new_ones(len(active), 1)], dim=1)
            positions = mask.sum(dim=1, keepdim=True) - 1
            logits = self._forward(ids, mask, positions, cache, keep=1)
            for row, token in zip(active, logits[:, -1].argmax(dim=-1).tolist(), strict=True):
                said[row].append(token)

    def _forward(
        self,
        ids: "torch.Tensor",
        mask: "torch.Tensor",
        positions: "torch.Tensor",
        cache: "DynamicCache",
        keep: int,
    ) -> "torch.Tensor":
        """Return the logits of the last `keep` columns; `cache` grows by all of `ids`."""
        import torch

        width = ids.shape[1]
        output = self._model(
            input_ids=ids,
            attention_mask=mask,
            position_ids=positions,
            past_key_values=cache,
            use_cache=True,
            # By index, not by count: a slice is not contiguous, and torch would then copy the
            # output head once per row.
            logits_to_keep=torch.arange(width - keep, width, device=self._device),
        )
        logits: torch.Tensor = output.logits
        return logits

    def _padded(
        self, lefts: Sequence[Sequence[int]], rights: Sequence[Sequence[int]]
    ) -> "tuple[torch.Tensor, torch.Tensor]":
        """Return ids and mask: `lefts` end, and `rights` begin, at one column."""
        import torch

        middle = max(map(len, lefts))
        width = middle + max(map(len, rights))
        ids = torch.zeros(len(lefts), width, dtype=torch.long)
        mask = torch.zeros_like(ids)
        for row, (left, right) in enumerate(zip(lefts, rights, strict=True)):
            columns = slice(middle - len(left), middle + len(right))
            ids[row, columns] = torch.tensor([*left, *right])
            mask[row, columns] = 1
        return ids.to(self._device), mask.to(self._device)


@dataclass(frozen=True)
class _Encoded:
    """A batch of prompts as the model remembers it.

    Attributes:
        cache: keys and values; never changed.
        mask: [prompts, longest], 0 where there is padding.
    """

    cache: "DynamicCache"
    mask: "torch.Tensor"

    def rows(self, rows: "torch.Tensor") -> "tuple[DynamicCache, torch.Tensor]":
        """Return cache and mask of these rows, each as often as it is named."""
        # Shallow copies will do: choosing rows makes new tensors and leaves the old ones alone.
        chosen = copy.copy(self.cache)
        chosen.layers = [copy.copy(layer) for layer in self.cache.layers]
        chosen.batch_select_indices(rows)
        return chosen, self.mask[rows]


def _agreement(greedy: Sequence[int], draft: Sequence[int]) -> int:
    """Return how many tokens of the draft are the greedy ones."""
    for place, token in enumerate(draft):
        if greedy[place] != token:
            return place
    return len(draft)


def _logprob(logits: "torch.Tensor", tokens: Sequence[int]) -> float:
    """Return the sum of log-probabilities of `tokens`, the first of which row 0 predicts."""
    import torch

    if not tokens:
        return 0.0
    # One answer at a time: in full precision all of them would be the largest tensor of the run.
    scores = logits[: len(tokens)].float()
    named = scores.gather(1, torch.tensor(tokens, device=logits.device)[:, None])[:, 0]
    return float((named - scores.logsumexp(dim=-1)).sum())
