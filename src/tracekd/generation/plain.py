"""Generation by transformers' own `generate`: slower than packed decoding, but for every model."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from transformers import PreTrainedModel


def generate(
    model: "PreTrainedModel",
    prompts: Sequence[Sequence[int]],
    limits: Sequence[int],
    stops: frozenset[int],
) -> list[list[int]]:
    """Return the greedy answer to each prompt, as `Backend.generate` does.

    The batch is padded on the left.

    Args:
        model: its generation settings are replaced by greedy ones; many models come with settings
            for sampling and with penalties.
        prompts: not empty, none of them empty.
        limits: how many new tokens each may have, at least one.
        stops: tokens that end an answer; at least one.
    """
    from transformers import GenerationConfig

    model.generation_config = GenerationConfig(
        do_sample=False, eos_token_id=sorted(stops), pad_token_id=min(stops)
    )
    width = max(map(len, prompts))
    ids = torch.tensor([[min(stops)] * (width - len(row)) + list(row) for row in prompts])
    mask = torch.tensor([[0] * (width - len(row)) + [1] * len(row) for row in prompts])
    with torch.inference_mode():
        output = model.generate(
            input_ids=ids.to(model.device),
            attention_mask=mask.to(model.device),
            max_new_tokens=max(limits),
        )
    made = output[:, width:].tolist()
    return [up_to_stop(row[:most], stops) for row, most in zip(made, limits, strict=True)]


def row_logits(model: "PreTrainedModel", row: Sequence[int]) -> torch.Tensor:
    """Return the logits after each token of one row, [tokens, vocabulary], from a plain pass."""
    with torch.inference_mode():
        ids = torch.tensor([list(row)], device=model.device)
        logits: torch.Tensor = model(input_ids=ids, use_cache=False).logits[0]
    return logits


def up_to_stop(tokens: list[int], stops: frozenset[int]) -> list[int]:
    """Return `tokens` up to and including the first stop token."""
    for place, token in enumerate(tokens):
        if token in stops:
            return tokens[: place + 1]
    return tokens
