"""AdamW over all tensors of an adapter as over one.

Two matrices of LoRA for each layer's every product are hundreds of small tensors, and a CPU's
threads have to be woken for each of them: that takes longer than the arithmetic, and on a busy
machine ten times as long.
"""

from collections.abc import Callable, Iterable
from typing import Any

import torch


class FlatAdamW(torch.optim.AdamW):
    """The same updates, bit for bit, as by `torch.optim.AdamW(parameters, fused=True)`.

    Source of the formula: Loshchilov and Hutter 2019 (arXiv 1711.05101).
    """

    def __init__(self, parameters: Iterable[torch.nn.Parameter], **options: Any) -> None:
        """Move `parameters`, which must be alike in format and device, into one tensor.

        Args:
            parameters: each gets a gradient before each step.
            options: as for `torch.optim.AdamW`.
        """
        self._parts = list(parameters)
        flat = torch.cat([part.detach().flatten() for part in self._parts])
        places = torch.split(flat, [part.numel() for part in self._parts])
        for part, place in zip(self._parts, places, strict=True):
            part.data = place.view_as(part)
        self._flat = torch.nn.Parameter(flat)
        super().__init__([self._flat], fused=True, **options)

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        """Change the parameters by their gradients; see `torch.optim.Optimizer.step`."""
        loss = None if closure is None else torch.enable_grad()(closure)()
        self._flat.grad = torch.cat([_gradient(part) for part in self._parts])
        super().step()
        self._flat.grad = None
        return loss


def _gradient(parameter: torch.nn.Parameter) -> torch.Tensor:
    gradient = parameter.grad
    return torch.zeros_like(parameter).flatten() if gradient is None else gradient.flatten()
