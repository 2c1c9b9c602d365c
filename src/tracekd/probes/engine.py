r"""Many traces behind one prompt: the prompt is encoded once, its cache copied for each of them.

    cache     p p p p | . . .            once per prompt
    one pass            t t < a n s w e r > g g g E     trace, tag | gold answer

That one pass gives the probability of the gold answer, and the greedy answer as far as it is the
gold one: the gold answer serves as a draft (as in speculative decoding, Leviathan et al. 2023,
arXiv 2211.17192). Where the student says something else, its own token goes on from there, and
overwrites the rest of the draft. Rows are packed (`tracekd.generation.packed`): every answer
is the one that its row alone would get. Prompts, with all traces behind them, are shared out to
processes (`tracekd.crew`).
"""

from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import astuple, dataclass
from itertools import chain
from typing import TYPE_CHECKING, Any

from tracekd.bars import LongRunWarning, progress_bar
from tracekd.generation.drafts import DRAFT, Recollection
from tracekd.progress import Journal, StopRequest
from tracekd.training.collation import length_batches

if TYPE_CHECKING:
    import torch

    from tracekd.crew import Crew
    from tracekd.generation.packed import RowCache


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
    """A causal model of transformers that answers behind given traces."""

    def __init__(self, model: Any, stops: frozenset[int], batch_size: int) -> None:
        """Answer with `model`, on its device, until a token of `stops`.

        Args:
            model: its attention function is replaced.
            stops: tokens that end an answer.
            batch_size: traces that a process answers together.

        Raises:
            TracekdError: as `PackedModel` does.
        """
        from tracekd.crew import crew_size
        from tracekd.generation.packed import PackedModel

        self._model, self._stops, self._batch = PackedModel(model), stops, batch_size
        self._cores = crew_size(self._model.device)

    def ask(
        self,
        prompts: Sequence[Sequence[int]],
        asked: Sequence[Asked],
        journal: Journal,
        machine: str = "this one",
    ) -> list[Reply]:
        """Return one reply per element of `asked`, in their order.

        Args:
            prompts: each is encoded once.
            asked: in any order, any number per prompt.
            journal: of an earlier run with the same arguments, which goes on with it.
            machine: what the warning before a long run calls it.
        """
        from tracekd.crew import Crew

        def here(places: list[int]) -> list[list[Any]]:
            return [list(astuple(one)) for one in self._replies(prompts, asked, places)]

        batches = self._batches(prompts, asked)
        replies: dict[int, Reply] = {}
        warning = LongRunWarning("probing", len(batches) - journal.left, machine)
        crew = Crew(self._cores - 1, lambda _, places: here(places))
        with (
            progress_bar(len(asked), "probes", "answer") as bar,
            StopRequest().leaving(
                lambda: f"all answers and {len(journal.values)} of {len(batches)} batches of probes"
            ) as stop,
            closing(crew),
        ):
            for shares in batches:
                made = journal.recall()
                if made is None:
                    made = self._shared(crew, here, shares)
                    journal.append(made)
                    stop.check()
                    if message := warning.step():
                        bar.write(message)
                places = list(chain.from_iterable(shares))
                replies.update(
                    (place, Reply(*one)) for place, one in zip(places, made, strict=True)
                )
                bar.update(len(places))
        return [replies[place] for place in range(len(asked))]

    def _batches(
        self, prompts: Sequence[Sequence[int]], asked: Sequence[Asked]
    ) -> list[list[list[int]]]:
        """Return batches of shares, one for each process: which of `asked` it answers.

        A share has about as many as are answered together, and all those behind a prompt.
        """
        from tracekd.crew import share_out

        behind: dict[int, list[int]] = {}
        tokens: Counter[int] = Counter()
        for place, one in enumerate(asked):
            behind.setdefault(one.prompt, []).append(place)
            tokens[one.prompt] += len(one.forced) + len(one.gold)
        wanted = list(behind)
        together = self._cores * self._batch * len(wanted) // max(1, len(asked))
        lengths = [len(prompts[index]) for index in wanted]
        batches = []
        for batch in length_batches(lengths, max(self._cores, together)):
            work = [lengths[at] + tokens[wanted[at]] for at in batch]
            batches.append(
                [
                    [place for at in share for place in behind[wanted[batch[at]]]]
                    for share in share_out(work, self._cores)
                ]
            )
        return batches

    def _shared(
        self,
        crew: "Crew",
        here: Callable[[list[int]], list[list[Any]]],
        shares: list[list[int]],
    ) -> list[list[Any]]:
        """Return `here` of all shares, one after the other, the first in this process."""
        own, *others = shares
        if not others:
            return here(own)
        first, replies = crew.share(lambda: here(own), others)
        return list(chain(first, *replies))

    def _replies(
        self, prompts: Sequence[Sequence[int]], asked: Sequence[Asked], places: list[int]
    ) -> list[Reply]:
        """Return the replies to those of `asked` that stand at these places, in this process."""
        import torch

        wanted = list(dict.fromkeys(asked[place].prompt for place in places))
        rows = {index: row for row, index in enumerate(wanted)}
        own = [prompts[index] for index in wanted]
        found: dict[int, Reply] = {}
        with torch.inference_mode():
            encoded = self._encode(own)
            for part in length_batches([len(asked[place].forced) for place in places], self._batch):
                chosen = [places[at] for at in part]
                ones = [asked[place] for place in chosen]
                made = self._answer(encoded, own, [rows[one.prompt] for one in ones], ones)
                found.update(zip(chosen, made, strict=True))
        return [found[place] for place in places]

    def _encode(self, prompts: Sequence[Sequence[int]]) -> "RowCache":
        from tracekd.generation.decoding import read_prompts

        encoded = self._model.cache(len(prompts), max(map(len, prompts)))
        read_prompts(self._model, encoded, prompts)
        return encoded

    def _answer(
        self,
        encoded: "RowCache",
        prompts: Sequence[Sequence[int]],
        rows: list[int],
        asked: list[Asked],
    ) -> list[Reply]:
        """Return the replies to `asked`, whose prompts are those rows of `encoded`."""
        from tracekd.generation.decoding import agreement, decode, ends, greedy

        given = [[*prompts[row], *one.forced] for row, one in zip(rows, asked, strict=True)]
        longest = max(
            len(text) + max(len(one.gold), one.limit)
            for text, one in zip(given, asked, strict=True)
        )
        cache = encoded.rows(rows, longest)
        news = [[*one.forced, *one.gold] for one in asked]
        kept = [range(e - len(one.gold) - 1, e) for one, e in zip(asked, ends(news), strict=True)]
        columns = [column for part in kept for column in part]
        starts = [len(prompts[row]) for row in rows]
        logits = self._model.logits(cache, 0, news, starts, columns)
        said, chances = [], []
        for one, end in zip(asked, ends(kept), strict=True):
            scores = logits[end - len(one.gold) - 1 : end]
            chances.append(_logprob(scores, one.gold))
            own = greedy(scores)
            said.append(own[: agreement(own, one.gold) + 1][: one.limit])
        del logits
        limits = [one.limit for one in asked]
        decode(self._model, cache, given, said, limits, self._stops, Recollection(), DRAFT)
        return [Reply(ids, chance) for ids, chance in zip(said, chances, strict=True)]


def _logprob(logits: "torch.Tensor", tokens: Sequence[int]) -> float:
    """Return the sum of log-probabilities of `tokens`, the first of which row 0 predicts."""
    import torch

    if not tokens:
        return 0.0
    # One answer at a time: in full precision all of them would be the largest tensor of the run.
    scores = logits[: len(tokens)].float()
    named = scores.gather(1, torch.tensor(tokens, device=logits.device)[:, None])[:, 0]
    return float((named - scores.logsumexp(dim=-1)).sum())
