"""Which device and number format to compute in, chosen by what the machine does well."""

import os
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tracekd.config import ModelSpec
from tracekd.errors import TracekdError
from tracekd.progress import code_hash, versions

if TYPE_CHECKING:
    import torch


_PACKAGES = ("torch", "transformers", "peft", "tokenizers", "accelerate")


@dataclass(frozen=True)
class Device:
    """Where and in which number format a model computes."""

    device: "torch.device"
    dtype: "torch.dtype"

    def job_key(self, spec: ModelSpec, packages: Sequence[str] = ()) -> dict[str, Any]:
        """Return what a model's output depends on besides its inputs and settings.

        The entry `spec` pins the model's files; `packages` are those besides the usual ones.
        """
        return {
            "model": spec.model_dump(),
            "code": code_hash(),
            "packages": versions([*_PACKAGES, *packages]),
            "computed": [self.device.type, str(self.dtype)],
        }

    def describe(self) -> dict[str, Any]:
        """Return the machine in words, for a run card."""
        import torch

        on_gpu = self.device.type == "cuda"
        processor = platform.processor() or platform.machine()
        return {
            "device": self.device.type,
            "device_name": torch.cuda.get_device_name(self.device) if on_gpu else processor,
            "dtype": str(self.dtype).removeprefix("torch."),
            "threads": torch.get_num_threads(),
        }

    def peak_memory_bytes(self) -> int:
        """Return the most memory this process has held: on the GPU if there is one, else RAM."""
        import torch

        if self.device.type == "cuda":
            return int(torch.cuda.max_memory_allocated(self.device))
        import resource

        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak if platform.system() == "Darwin" else peak * 1024


def free_memory(device: "torch.device") -> float:
    """Return how many bytes of a GPU's memory this process may still take; elsewhere infinity."""
    import torch

    if device.type != "cuda":
        return float("inf")
    free, _ = torch.cuda.mem_get_info(device)
    unused = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
    return float(free + unused)


def choose_device() -> Device:
    """Return CUDA before Apple MPS before CPU; bf16 where the hardware multiplies it, else fp32.

    bf16: NVIDIA since Ampere, and CPUs with AMX or AVX512-BF16. Elsewhere it is emulated, and
    slower than fp32. fp16 is not used: without loss scaling its gradients vanish. TRACEKD_DTYPE
    chooses float32 or bfloat16 in any case.

    Raises:
        TracekdError: if TRACEKD_DTYPE is another one.
    """
    import torch

    device, fast = _best_device()
    chosen = os.environ.get("TRACEKD_DTYPE", "bfloat16" if fast else "float32")
    if chosen not in ("float32", "bfloat16"):
        raise TracekdError(f"TRACEKD_DTYPE: must be float32 or bfloat16, found {chosen!r}")
    return Device(device, getattr(torch, chosen))


def _best_device() -> "tuple[torch.device, bool]":
    """Return the device, and whether it multiplies bf16 fast."""
    import torch

    if torch.cuda.is_available():
        # cuDNN plans each new shape for half a second, and lengths change from batch to batch.
        torch.backends.cuda.enable_cudnn_sdp(False)
        return torch.device("cuda", 0), torch.cuda.is_bf16_supported(including_emulation=False)
    if torch.backends.mps.is_available():
        return torch.device("mps"), False
    # Older releases of torch cannot say: fp32 there.
    found: Mapping[str, Any] = getattr(torch.cpu, "get_capabilities", dict)()
    return torch.device("cpu"), bool(found.get("amx_bf16") or found.get("avx512_bf16"))
