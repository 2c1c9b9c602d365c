"""Generation by transformers' own `generate`: slower than packed decoding, but for every model."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from transformers import PreTrainedModel


class PlainDecoder:
    """Greedy decoding of batches that are padded on the left."""

    def __init__(self, model: "PreTrainedModel", stops: frozenset[int]) -> None:
        """Decode with `model` until a token of `stops`, of which there is at least one.

        The model's generation settings are replaced: many come with sampling and penalties.
        """
        from transformers import GenerationConfig

        self.model, self._stops = model, stops
        model.generation_config = GenerationConfig(
            do_sample=False, eos_token_id=sorted(stops), pad_token_id=min(stops)
        )

    @torch.inference_mode()
    def generate(self, prompts: Sequence[Sequence[int]], limits: Sequence[int]) -> list[list[int]]:
        """Return the new tokens of each prompt; see `Backend`."""
        width = max(map(len, prompts))
        ids = torch.tensor([[0] * (width - len(row)) + list(row) for row in prompts])
        mask = torch.tensor([[0] * (width - len(row)) + [1] * len(row) for row in prompts])
        output = self.model.generate(
            input_ids=ids.to(self.model.device),
            attention_mask=mask.to(self.model.device),
            max_new_tokens=max(limits),
        )
        new = output[:, width:].tolist()
        return [up_to_stop(row[:most], self._stops) for row, most in zip(new, limits, strict=True)]


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
