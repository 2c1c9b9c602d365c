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

    Attributes:
        gradients: of all parameters, [elements].
    """

    def __init__(
        self,
        parameters: Iterable[torch.nn.Parameter],
        memory: Callable[[int], torch.Tensor] | None = None,
        **options: Any,
    ) -> None:
        """Move `parameters`, which must be alike in format and device, into one tensor.

        Args:
            parameters: each gets a gradient before each step.
            memory: returns the memory for so many elements; None: torch's own.
            options: as for `torch.optim.AdamW`.
        """
        self._parts = list(parameters)
        flat = torch.cat([part.detach().flatten() for part in self._parts])
        if memory is not None:
            flat = memory(flat.numel()).copy_(flat)
        for part, place in zip(self._parts, self._places(flat), strict=True):
            part.data = place
        self._flat = torch.nn.Parameter(flat)
        self.gradients = torch.zeros_like(flat)
        self._slots = self._places(self.gradients)
        super().__init__([self._flat], fused=True, **options)

    def collect(self, gradients: torch.Tensor | None = None) -> None:
        """Let backward passes add to `gradients` [elements] from now on, until a step's end.

        Without it they make tensors of their own, which the step then has to bring together.

        Args:
            gradients: None: this optimizer's own.
        """
        slots = self._slots if gradients is None else self._places(gradients)
        for part, place in zip(self._parts, slots, strict=True):
            part.grad = place

    def gather(self) -> torch.Tensor:
        """Bring the parameters' gradients together in `gradients`, where they may be already."""
        for part, place in zip(self._parts, self._slots, strict=True):
            if part.grad is None:
                place.zero_()
            elif part.grad.data_ptr() != place.data_ptr():
                place.copy_(part.grad)
            part.grad = place
        return self.gradients

    @property
    def collecting(self) -> bool:
        """Say whether backward passes add to `gradients` now."""
        first = self._parts[0].grad
        return first is not None and first.data_ptr() == self.gradients.data_ptr()

    def clip(self, max_norm: float) -> torch.Tensor:
        """Shorten the gradient of all parameters to at most `max_norm`; return its length before.

        As `torch.nn.utils.clip_grad_norm_` does.
        """
        gradients = self.gather()
        norm: torch.Tensor = torch.linalg.vector_norm(gradients)
        gradients.mul_((max_norm / (norm + 1e-6)).clamp(max=1.0))
        return norm

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        """Change the parameters by their gradients; see `torch.optim.Optimizer.step`.

        Raises:
            RuntimeError: if the parameters lie elsewhere by now, so that nothing would be learnt.
        """
        if self._parts[0].data_ptr() != self._flat.data_ptr():
            raise RuntimeError("the parameters were moved out of this optimizer's memory")
        loss = None if closure is None else torch.enable_grad()(closure)()
        self._flat.grad = self.gather()
        super().step()
        self._flat.grad = None
        return loss

    def _places(self, flat: torch.Tensor) -> list[torch.Tensor]:
        """Return each parameter's part of `flat`, shaped as the parameter."""
        parts = torch.split(flat, [part.numel() for part in self._parts])
        return [part.view(like.shape) for part, like in zip(parts, self._parts, strict=True)]
