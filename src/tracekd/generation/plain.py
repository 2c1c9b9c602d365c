"""Generation by transformers' own `generate`: slower than packed decoding, but for every model."""

import gc
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import torch

from tracekd.generation.sampling import GREEDY, Sampler
from tracekd.models.trial import logit_difference

if TYPE_CHECKING:
    from transformers import PreTrainedModel

#: Tokens of a trial of padding: the prompt is read in one pass, each of them in another.
_TRIAL_STEPS = 3
#: By how much, relative to their spread, logits of the same tokens read in two ways may differ.
_TOLERANCE = {torch.float32: 1e-3, torch.bfloat16: 0.1}


class PlainDecoder:
    """Decoding by `generate`: batches padded on the left, as long as the model ignores padding.

    Some do not: a recurrence may read it, or only where a prompt is longer than its blocks. So the
    row of a batch with the most padding is tried beside the longest one and by itself; if that
    makes a difference, only rows of equal length are decoded together from then on.
    """

    def __init__(
        self, model: "PreTrainedModel", stops: frozenset[int], sampler: Sampler = GREEDY
    ) -> None:
        """Decode with `model` until a token of `stops`, of which there is at least one.

        The model's generation settings are replaced: many come with sampling and penalties.
        """
        from transformers import GenerationConfig

        self.model, self._stops, self._sampler = model, stops, sampler
        model.generation_config = GenerationConfig(
            do_sample=False, eos_token_id=sorted(stops), pad_token_id=min(stops)
        )
        self._pads = True

    @torch.inference_mode()
    def generate(
        self, prompts: Sequence[Sequence[int]], limits: Sequence[int], seeds: Sequence[int] = ()
    ) -> list[list[int]]:
        """Return the new tokens of each prompt; see `Backend`."""
        from transformers import LogitsProcessorList

        if self._pads and (padding := self._difference_by_padding(prompts)):
            self._pads = False
            print(
                f"{type(self.model).__name__}: padding changes its logits by {padding:.1%}; only "
                "prompts of equal length are answered together, which is slower",
                file=sys.stderr,
            )
        together: dict[int, list[int]] = {}
        for row, prompt in enumerate(prompts):
            together.setdefault(0 if self._pads else len(prompt), []).append(row)
        answers: dict[int, list[int]] = {}
        for rows in together.values():
            given = [prompts[row] for row in rows]
            width = max(map(len, given))
            processors = LogitsProcessorList()
            if self._sampler.temperature:
                processors.append(_drawing(self._sampler, [seeds[row] for row in rows], width))
            most = max(limits[row] for row in rows)
            output = self._run(given, max_new_tokens=most, logits_processor=processors)
            for row, new in zip(rows, output.sequences[:, width:].tolist(), strict=True):
                answers[row] = up_to_stop(new[: limits[row]], self._stops)
        return [answers[row] for row in range(len(prompts))]

    def close(self) -> None:
        """Release the model's memory."""
        del self.model
        release_memory()

    def _run(self, prompts: Sequence[Sequence[int]], **options: Any) -> Any:
        """Return what `generate` does with prompts that are padded on the left."""
        width = max(map(len, prompts))
        ids = torch.tensor([[0] * (width - len(row)) + list(row) for row in prompts])
        mask = torch.tensor([[0] * (width - len(row)) + [1] * len(row) for row in prompts])
        return self.model.generate(
            input_ids=ids.to(self.model.device),
            attention_mask=mask.to(self.model.device),
            return_dict_in_generate=True,
            **options,
        )

    def _difference_by_padding(self, prompts: Sequence[Sequence[int]]) -> float:
        """Return by how much padding changes the logits after the shortest row; 0 if hardly."""
        row, longest = min(prompts, key=len), max(prompts, key=len)
        if len(row) == len(longest):
            return 0.0
        # A token of the row, which means something to the model, and ends nothing.
        word = next((token for token in row if token not in self._stops), row[0])
        trial = {"max_new_tokens": _TRIAL_STEPS, "sequence_bias": [[[word], 1e6]]}
        padded, alone = (
            torch.stack([step[-1] for step in self._run(given, output_logits=True, **trial).logits])
            for given in ([longest, row], [row])
        )
        return difference(padded, alone, self.model.dtype)


def _drawing(sampler: Sampler, seeds: Sequence[int], width: int) -> Callable[..., torch.Tensor]:
    """Return a processor of the logits after prompts of `width` tokens that leaves what is drawn.

    `seeds` are those of the rows.
    """

    def process(read: torch.Tensor, logits: torch.Tensor) -> torch.Tensor:
        place = read.shape[1] - width
        drawn = sampler.choose(logits, [(seed, place) for seed in seeds])
        tokens = torch.tensor(drawn, device=logits.device)
        return torch.full_like(logits, -torch.inf).scatter(1, tokens[:, None], 0.0)

    return process


def difference(found: torch.Tensor, expected: torch.Tensor, dtype: torch.dtype) -> float:
    """Return by how much logits differ, relative to their spread; 0 if rounding explains it."""
    relative = logit_difference(found, expected)
    return 0.0 if relative <= _TOLERANCE.get(dtype, 1e-6) else relative


@torch.inference_mode()
def row_logits(model: "PreTrainedModel", row: Sequence[int]) -> torch.Tensor:
    """Return the logits after each token of one row, [tokens, vocabulary], from a plain pass."""
    ids = torch.tensor([list(row)], device=model.device)
    logits: torch.Tensor = model(input_ids=ids, use_cache=False).logits[0]
    return logits


def up_to_stop(tokens: list[int], stops: frozenset[int]) -> list[int]:
    """Return `tokens` up to and including the first stop token."""
    for place, token in enumerate(tokens):
        if token in stops:
            return tokens[: place + 1]
    return tokens


def release_memory() -> None:
    """Return what is no longer used to the GPU, for whatever loads next."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
