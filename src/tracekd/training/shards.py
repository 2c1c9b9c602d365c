"""Weights of which each process holds a part (FSDP2), for full fine-tuning in several processes.

transformers 5.24 shards at loading, but then tied embeddings whose rows the processes do not divide
evenly go apart without an error. torch's own `fully_shard` keeps them together.
"""

from collections.abc import Iterable

import torch
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import FSDPModule, fully_shard
from torch.distributed.tensor import DTensor, distribute_tensor


def shard(
    model: torch.nn.Module, layers: Iterable[torch.nn.Module], device: torch.device, count: int
) -> None:
    """Leave each of `count` processes its part of the weights, before an optimizer is made.

    A layer is gathered while it computes; what is outside `layers` is gathered for a whole pass.
    """
    mesh = init_device_mesh(device.type, (count,))
    for layer in layers:
        fully_shard(layer, mesh=mesh)
    fully_shard(model, mesh=mesh)


def is_sharded(weights: Iterable[torch.Tensor]) -> bool:
    """Return whether each process holds only a part of the weights."""
    return any(isinstance(weight, DTensor) for weight in weights)


def reshard(model: torch.nn.Module) -> None:
    """Free the whole weights that a forward pass without a backward one has left gathered."""
    for module in model.modules():
        if isinstance(module, FSDPModule):
            module.reshard()


def gathered(tensor: torch.Tensor) -> torch.Tensor:
    """Return a tensor as one process would have it; every process must call this."""
    return (tensor.full_tensor() if isinstance(tensor, DTensor) else tensor).detach()


def local(tensor: torch.Tensor) -> torch.Tensor:
    """Return what this process holds of a tensor."""
    return tensor.to_local() if isinstance(tensor, DTensor) else tensor


def scattered(whole: torch.Tensor, like: torch.Tensor) -> torch.Tensor:
    """Return this process's part of a tensor that all have, sharded as `like` is."""
    if not isinstance(like, DTensor) or whole.shape != like.shape:
        return whole
    return distribute_tensor(
        whole.to(like.device), like.device_mesh, like.placements, src_data_rank=None
    )


def whole_weights(
    model: torch.nn.Module, dtype: torch.dtype, rank: int
) -> dict[str, torch.Tensor] | None:
    """Return a sharded model's weights, on the CPU of process 0; None for any other model.

    Every process must call this. Tied weights are one tensor.
    """
    if not is_sharded(model.parameters()):
        return None
    whole: dict[torch.Tensor, torch.Tensor] = {}
    for weight in model.parameters():
        tensor = gathered(weight.to(dtype))
        if rank == 0:
            whole[weight] = tensor.cpu()
    names = model.named_parameters(remove_duplicate=False) if rank == 0 else ()
    return {name: whole[weight] for name, weight in names}
