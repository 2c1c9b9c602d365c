"""Layers of a student, computed in fewer passes over memory, with the same meaning.

Most of an eager training step on a CPU goes not into the large matrix products but into what
stands between them: casts, masks, copies and the small products of LoRA. Here each of these layers
is one autograd function with a backward pass written by hand:

    lora.py          W x + s B A x              any torch.nn.Linear under LoRA, on every device
    shared_input.py  q, k, v; gate, up; SwiGLU  Llama and Qwen3, on every device
    attention.py     rotary, causal             Llama and Qwen3, on every device
    norms.py         RMSNorm                    Llama and Qwen3, on a CPU
    layer.py         the four above, in turn    Llama and Qwen3 without dropout, on a CPU
    head.py          head, cross entropy        Llama and Qwen3, on every device
    optimizer.py     AdamW                      every adapter, on every device

Where all attention layers are known, what all rows of a batch begin with is computed once
(starts.py); attention sees the rows (rows.py) and computes them in blocks (causal.py). What these
functions do beside matrix products is done by passes.c where native.py can have it, else by torch.

Other layers keep their own forward pass. `use_kernels` is for training: the layers it changes no
longer look at PEFT's switches (`disable_adapter` and the like), the base weights get no gradient,
and the model returns what its output head would read (`losses.supervised_losses` knows).
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch


def use_kernels(model: "torch.nn.Module", seed: int) -> None:
    """Let the layers of `model` that have a kernel compute by it from now on, in place.

    Args:
        model: wrapped by PEFT's LoRA, on its device.
        seed: decides the dropout masks, together with torch's generator.
    """
    from tracekd.kernels.attention import fuse_attention, shares_starts
    from tracekd.kernels.head import fuse_head
    from tracekd.kernels.layer import fuse_layer
    from tracekd.kernels.lora import DropoutMasks, fuse_lora
    from tracekd.kernels.norms import fuse_norm
    from tracekd.kernels.shared_input import fuse_gated

    masks = DropoutMasks(seed)
    for module in model.modules():
        fuse_lora(module, masks)
        fuse_head(module)
        fuse_attention(module)
        fuse_gated(module)
        if next(model.parameters()).device.type == "cpu":
            fuse_norm(module)
    for module in model.modules():
        fuse_layer(module)
    model.shares_starts = shares_starts(model)  # type: ignore[assignment]
