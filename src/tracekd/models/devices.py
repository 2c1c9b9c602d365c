"""Which device and number format to compute in, chosen by what the machine does well."""

import os
import platform
import shutil
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tracekd.config import ModelSpec
from tracekd.errors import TracekdError
from tracekd.progress import code_hash, versions

if TYPE_CHECKING:
    import torch


#: Where its users choose a build of torch by their CUDA.
_BUILDS = "https://pytorch.org/get-started/locally"
_PACKAGES = ("torch", "transformers", "peft", "tokenizers", "accelerate")


@dataclass(frozen=True)
class Device:
    """Where and in which number format a model computes.

    Attributes:
        unused_gpu: why the machine's NVIDIA GPU is not used, and what to do; None if nothing is
            wrong. Models of over 2 GB are then refused.
    """

    device: "torch.device"
    dtype: "torch.dtype"
    unused_gpu: str | None = None

    def job_key(self, spec: ModelSpec, packages: Sequence[str] = ()) -> dict[str, Any]:
        """Return what a model's output depends on besides its inputs and settings.

        The entry `spec` pins the model's files; `packages` are those besides the usual ones.
        """
        return {
            "model": spec.model_dump(exclude={"licence"}),
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


def free_memory(device: "torch.device") -> int | None:
    """Return how many bytes of a GPU's memory this process may still take; None elsewhere."""
    import torch

    if device.type != "cuda":
        return None
    free, _ = torch.cuda.mem_get_info(device)
    return int(free) + torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)


def choose_device() -> Device:
    """Return CUDA before Apple MPS before CPU; bf16 where the hardware multiplies it, else fp32.

    bf16: NVIDIA since Ampere, and CPUs with AMX or AVX512-BF16. Elsewhere it is emulated, and
    slower than fp32. fp16 is not used: without loss scaling its gradients vanish. TRACEKD_DEVICE
    (cpu, cuda, cuda:1, mps) and TRACEKD_DTYPE (float32, bfloat16) choose in any case.

    Raises:
        TracekdError: if one of the two is another, or this machine has no such device.
    """
    import torch

    asked, fault = os.environ.get("TRACEKD_DEVICE"), _gpu_fault()
    device = _find_device(asked, fault)
    unused = None if asked else fault
    if unused:
        print(f"WARNING: computing on the {device.type}, because {unused}", file=sys.stderr)
    if device.type == "cuda":
        torch.cuda.set_device(device)  # libraries' own kernels run on the current device
        # cuDNN plans each new shape for half a second, and lengths change from batch to batch.
        torch.backends.cuda.enable_cudnn_sdp(False)
    fast = _multiplies_bf16(device)
    chosen = os.environ.get("TRACEKD_DTYPE", "bfloat16" if fast else "float32")
    if chosen not in ("float32", "bfloat16"):
        raise TracekdError(f"TRACEKD_DTYPE: must be float32 or bfloat16, found {chosen!r}")
    return Device(device, getattr(torch, chosen), unused)


def _gpu_fault() -> str | None:
    """Return why torch cannot use an NVIDIA GPU, with the remedy; None if it can or there is none.

    An empty CUDA_VISIBLE_DEVICES, or -1, hides all GPUs on purpose.
    """
    import torch

    present = Path("/dev/nvidia0").exists() or shutil.which("nvidia-smi") is not None
    hidden = os.environ.get("CUDA_VISIBLE_DEVICES") in ("", "-1")
    if torch.cuda.is_available() or not present or hidden:
        return None
    return (
        f"this machine has an NVIDIA GPU, which torch {torch.__version__} cannot use; install a "
        "newer driver (CUDA 13 needs 580 or newer: see nvidia-smi), or a build of torch for yours "
        f"({_BUILDS}), or set TRACEKD_DEVICE=cpu"
    )


def _find_device(asked: str | None, fault: str | None) -> "torch.device":
    """Return the device that the user has asked for, or the first that there is."""
    import torch

    mps = int(torch.backends.mps.is_available())
    counts = {"cuda": torch.cuda.device_count(), "mps": mps, "cpu": 1}
    name = asked or next(kind for kind, count in counts.items() if count)
    kind, _, number = name.partition(":")
    if not (number or "0").isdecimal() or int(number or 0) >= counts.get(kind, 0):
        known = ", ".join(f"{count} of kind {kind}" for kind, count in counts.items())
        raise TracekdError(
            f"TRACEKD_DEVICE: must be cpu, cuda, cuda:N or mps, found {name!r}; "
            f"{fault or f'torch finds {known}'}"
        )
    # Of several processes that train together, each has its own GPU.
    index = int(number or os.environ.get("LOCAL_RANK", "0"))
    return torch.device(kind, index) if kind == "cuda" else torch.device(kind)


def _multiplies_bf16(device: "torch.device") -> bool:
    """Return whether the hardware does it, fast."""
    import torch

    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    # Older releases of torch cannot say: fp32 there.
    found: Mapping[str, Any] = getattr(torch.cpu, "get_capabilities", dict)()
    return device.type == "cpu" and bool(found.get("amx_bf16") or found.get("avx512_bf16"))
