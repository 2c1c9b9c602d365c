"""Trials of a faster way to compute: does a model still give the logits of the plain way?"""

from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from transformers import PreTrainedModel

#: What replaced attention functions compute, in the words of a configuration's `layer_types`.
_LAYER_TYPES = {"full_attention", "sliding_attention"}


def other_layers(model: "PreTrainedModel") -> str:
    """Return "" or, as a reason, the layers of a model that are no attention over tokens."""
    types = getattr(model.config.get_text_config(), "layer_types", None) or ()
    others = sorted(set(types) - _LAYER_TYPES)
    return f"layers of type {', '.join(others)}" if others else ""


def logit_difference(found: torch.Tensor, expected: torch.Tensor) -> float:
    """Return by how much logits differ, relative to their spread over the vocabulary."""
    found, expected = (part.cpu().double() for part in (found, expected))
    spread = expected - expected.mean(dim=-1, keepdim=True)  # a constant changes no prediction
    return float((found - expected).norm() / spread.norm())
