"""A model of transformers in this process: packed rows, a preallocated cache, drafted tokens."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from tracekd.backends.drafts import Drafter, Recollection

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel

    from tracekd.backends.packed import PackedModel, RowCache
    from tracekd.devices import Device

#: Prompt tokens in one forward pass: more do not go faster, and take memory.
_TOKENS_PER_PASS = {"cpu": 2048}
_TOKENS_PER_PASS_ELSEWHERE = 16384
#: Most tokens of a draft.
_DRAFT = 8


class TransformersBackend:
    """Greedy decoding in which every forward pass may yield several tokens of a row.

    The tokens are those of decoding one by one: in exact arithmetic always, in bf16 but for near
    ties, as between any two batch sizes.
    """

    #: How many batches of `infer.batch_size` prompts it wants at once.
    batches = 1

    def __init__(
        self,
        model: "PreTrainedModel",
        stops: frozenset[int],
        device: "Device",
        taught: Sequence[Sequence[int]] = (),
        draft: int = _DRAFT,
    ) -> None:
        """Generate with `model`, which is on `device`, until a token of `stops`.

        Args:
            model: its attention function is replaced.
            stops: tokens that end an answer.
            device: where the model is.
            taught: answers of the kind to be expected; they save time and change nothing.
            draft: most tokens to guess at once; 0 for decoding one by one.
        """
        from tracekd.backends.packed import PackedModel
        from tracekd.kernels.norms import fuse_norm

        model.requires_grad_(False)
        if device.device.type == "cpu":
            for module in model.modules():
                fuse_norm(module)
        self._model, self._stops, self._draft = PackedModel(model), stops, draft
        self._taught = Recollection()
        for answer in taught:
            self._taught.extend(answer, new=True)
        self._budget = _TOKENS_PER_PASS.get(device.device.type, _TOKENS_PER_PASS_ELSEWHERE)

    def generate(self, prompts: Sequence[Sequence[int]], limits: Sequence[int]) -> list[list[int]]:
        """Return the new tokens of each prompt; see `Backend`."""
        import torch

        with torch.inference_mode():
            batch = _Batch(self._model, prompts, limits, self._stops)
            batch.read_prompts(self._budget)
            batch.decode(self._draft, self._taught)
        return batch.said


class _Batch:
    """Some prompts on their way to answers.

    Attributes:
        said: new tokens of each prompt.
    """

    def __init__(
        self,
        model: "PackedModel",
        prompts: Sequence[Sequence[int]],
        limits: Sequence[int],
        stops: frozenset[int],
    ) -> None:
        self._model, self._prompts, self._limits, self._stops = model, prompts, limits, stops
        self.said: list[list[int]] = [[] for _ in prompts]
        longest = max(len(prompt) + limit for prompt, limit in zip(prompts, limits, strict=True))
        self._cache: RowCache = model.cache(len(prompts), longest)
        #: Row of the cache -> index of its prompt. Rows that have ended leave; the last one moves.
        self._rows = list(range(len(prompts)))

    def read_prompts(self, budget: int) -> None:
        """Fill the cache and say each row's first token; `budget` tokens are read at a time."""
        shared = _common_prefix(self._prompts) if len(self._prompts) > 1 else 0
        if shared:
            prefix = self._prompts[0][:shared]
            self._model.logits(self._cache, 0, [prefix], [0], [shared - 1])
            self._cache.spread(shared)
        rests = [prompt[shared:] for prompt in self._prompts]
        first = 0
        while first < len(rests):
            count, tokens = 1, len(rests[first])
            while first + count < len(rests) and tokens + len(rests[first + count]) <= budget:
                tokens += len(rests[first + count])
                count += 1
            part = rests[first : first + count]
            ends = _ends(part)
            logits = self._model.logits(
                self._cache, first, part, [shared] * count, [end - 1 for end in ends]
            )
            for row, token in enumerate(_greedy(logits), start=first):
                self.said[row].append(token)
            first += count

    def decode(self, most: int, taught: Recollection) -> None:
        """Go on until all rows have ended, with drafts of up to `most` tokens."""
        drafters = [Drafter(prompt, taught) for prompt in self._prompts]
        for drafter, said in zip(drafters, self.said, strict=True):
            drafter.hear(said)
        self._drop_ended()
        while self._rows:
            drafts = [
                drafters[row].guess(min(most, self._limits[row] - len(self.said[row]) - 1))
                for row in self._rows
            ]
            news = [
                [self.said[row][-1], *draft] for row, draft in zip(self._rows, drafts, strict=True)
            ]
            starts = [len(self._prompts[row]) + len(self.said[row]) - 1 for row in self._rows]
            kept = range(sum(map(len, news)))
            greedy = _greedy(self._model.logits(self._cache, 0, news, starts, kept))
            for row, draft, end in zip(self._rows, drafts, _ends(news), strict=True):
                own = greedy[end - len(draft) - 1 : end]
                new = self._accepted(draft, own)
                self.said[row] += new
                drafters[row].hear(new)
            self._drop_ended()

    def _accepted(self, draft: list[int], greedy: list[int]) -> list[int]:
        """Return what the row says: the draft as far as it is right, and one token more."""
        agreed = 0
        while agreed < len(draft) and draft[agreed] == greedy[agreed]:
            agreed += 1
        new = greedy[: agreed + 1]
        for place, token in enumerate(new):
            if token in self._stops:
                return new[: place + 1]
        return new

    def _drop_ended(self) -> None:
        for place in reversed(range(len(self._rows))):
            row = self._rows[place]
            if self.said[row][-1] in self._stops or len(self.said[row]) >= self._limits[row]:
                last = self._rows.pop()
                if last != row:
                    columns = len(self._prompts[last]) + len(self.said[last])
                    self._cache.copy(len(self._rows), place, columns)
                    self._rows[place] = last


def _greedy(logits: "torch.Tensor") -> list[int]:
    """Return the most likely token of each row; `max`, for on a CPU `argmax` takes four times."""
    tokens: list[int] = logits.max(dim=-1).indices.tolist()
    return tokens


def _common_prefix(prompts: Sequence[Sequence[int]]) -> int:
    """Return how many tokens all prompts begin with; every prompt has at least one more."""
    shortest = min(map(len, prompts)) - 1
    for place in range(shortest):
        if any(prompt[place] != prompts[0][place] for prompt in prompts):
            return place
    return shortest


def _ends(parts: Sequence[Sequence[int]]) -> list[int]:
    """Return where each part ends if one stands behind the other."""
    ends, end = [], 0
    for part in parts:
        end += len(part)
        ends.append(end)
    return ends
