"""Which device and number format to compute in, chosen by what the machine does well."""

import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tracekd.config import ModelSpec
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


def choose_device() -> Device:
    """Return CUDA before Apple MPS before CPU; bf16 where the hardware multiplies it, else fp32.

    bf16: NVIDIA since Ampere, and CPUs with AMX or AVX512-BF16. Elsewhere it is emulated, and
    slower than fp32. fp16 is not used: without loss scaling its gradients vanish.
    """
    import torch

    if torch.cuda.is_available():
        # cuDNN plans each new shape for half a second, and lengths change from batch to batch.
        torch.backends.cuda.enable_cudnn_sdp(False)
        fast = torch.cuda.is_bf16_supported(including_emulation=False)
        return Device(torch.device("cuda", 0), torch.bfloat16 if fast else torch.float32)
    if torch.backends.mps.is_available():
        return Device(torch.device("mps"), torch.float32)
    # Older releases of torch cannot say: fp32 there.
    found: Mapping[str, Any] = getattr(torch.cpu, "get_capabilities", dict)()
    fast = found.get("amx_bf16") or found.get("avx512_bf16")
    return Device(torch.device("cpu"), torch.bfloat16 if fast else torch.float32)
