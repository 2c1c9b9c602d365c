"""What a language model's pass costs, and what the machine could do at most.

Operations are those that the mathematics asks for, the same for every contestant: what one spends
on padding or on logits that nobody reads does not count in its favour.
"""

import time
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from _pairing import Round

if TYPE_CHECKING:
    import torch

    from tracekd.models.devices import Device

PRECISIONS = ("bf16", "fp32")
_SIDE, _SIDE_ON_GPU = 2048, 8192
_SECONDS = 1.0


def device_of(precision: str, *, tuned: bool) -> "Device":
    """Return the GPU if there is one, else the CPU, in a precision.

    Args:
        precision: one of `PRECISIONS`.
        tuned: whether this process gets tracekd's settings of threads and allocator, which must
            happen before torch is imported.
    """
    from tracekd.models.devices import Device, tune_process

    if tuned:
        tune_process()
    import torch

    kind = "cuda" if torch.cuda.is_available() else "cpu"
    return Device(torch.device(kind), torch.bfloat16 if precision == "bf16" else torch.float32)


def matmul_round(device: "Device") -> Round:
    """Return the operations per second of one large square matrix product."""
    import torch

    side = _SIDE_ON_GPU if device.device.type == "cuda" else _SIDE
    a, b = (torch.randn(side, side, device=device.device).to(device.dtype) for _ in "ab")
    a @ b
    synchronize(device)
    started, products = time.perf_counter(), 0
    while time.perf_counter() - started < _SECONDS:
        a @ b
        synchronize(device)
        products += 1
    seconds = time.perf_counter() - started
    return {"seconds": seconds, "operations_per_second": 2 * side**3 * products / seconds}


def synchronize(device: "Device") -> None:
    """Wait until a GPU has done what was asked of it."""
    if device.device.type == "cuda":
        import torch

        torch.cuda.synchronize()


def layer_weights(model: "torch.nn.Module") -> tuple[int, int]:
    """Return how many weights the linear layers have, the output head apart, and the head."""
    import torch

    head = model.get_output_embeddings()  # type: ignore[operator]  # transformers is untyped
    linear = [m for m in model.modules() if isinstance(m, torch.nn.Linear) and m is not head]
    return sum(m.weight.numel() for m in linear), head.weight.numel()


def training_operations(
    model: Any, lora_weights: int, examples: Iterable[tuple[int, int]]
) -> float:
    """Return the operations of forward and backward through a frozen model with LoRA.

    Two per weight and token forward and two backward, as frozen weights need no gradient; LoRA's
    own weights need one, two more. Causal attention: half of all pairs of positions, two products
    forward, four backward.

    Args:
        model: the base model.
        lora_weights: how many there are.
        examples: tokens, and supervised tokens, of each.
    """
    linear, head = layer_weights(model)
    config = model.config
    width = config.num_attention_heads * _head_width(config) * config.num_hidden_layers
    return float(
        sum(
            (4 * linear + 6 * lora_weights) * tokens + 4 * head * supervised + 6 * width * tokens**2
            for tokens, supervised in examples
        )
    )


def generation_operations(model: Any, answers: Iterable[tuple[int, int]]) -> float:
    """Return the operations of encoding prompts and generating with a cache.

    Args:
        model: the merged model.
        answers: prompt tokens and new tokens of each.
    """
    linear, head = layer_weights(model)
    config = model.config
    width = config.num_attention_heads * _head_width(config) * config.num_hidden_layers
    return float(
        sum(
            2 * linear * (prompt + new) + 2 * head * new + 2 * width * (prompt + new) ** 2
            for prompt, new in answers
        )
    )


def _head_width(config: Any) -> int:
    chosen = getattr(config, "head_dim", None)
    return int(chosen or config.hidden_size // config.num_attention_heads)
