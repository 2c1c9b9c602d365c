"""Which device and number format to compute in, chosen by what the machine does well."""

import os
import platform
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tracekd.memory import keep_freed_memory

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class Device:
    """Where and in which precision a model computes."""

    device: "torch.device"
    dtype: "torch.dtype"

    def describe(self) -> dict[str, Any]:
        """Return the machine in words, for a run card: all of it that results depend on."""
        import torch

        from tracekd.kernels import native

        compiles = self.device.type == "cpu" and self.dtype == torch.bfloat16
        return {
            "device": self.device.type,
            "device_name": _name(self.device),
            "dtype": str(self.dtype).removeprefix("torch."),
            "threads": torch.get_num_threads(),
            "compiled_passes": compiles and native.library() is not None,
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
    tune_process()
    import torch

    if torch.cuda.is_available():
        fast = torch.cuda.is_bf16_supported(including_emulation=False)
        own = torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")))
        return Device(own, torch.bfloat16 if fast else torch.float32)
    if torch.backends.mps.is_available():
        return Device(torch.device("mps"), torch.float32)
    return Device(torch.device("cpu"), torch.bfloat16 if _cpu_has_bf16() else torch.float32)


def process_rank() -> int:
    """Return this process's number among those that `torchrun` has started; 0 if it has not."""
    return int(os.environ.get("RANK", "0"))


def process_count() -> int:
    """Return how many processes `torchrun` has started; 1 if it has not."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def tune_process() -> None:
    """Set what this process does with cores and memory, unless the user has chosen otherwise.

    Must run before torch is first imported; later the first part has no effect.

    Threads: waiting ones sleep after a short spin. Threads that spin for long keep others from the
    cores that these wait for. Threads that never spin are woken on the core of whoever wakes them,
    and short operations then run on one core.

    Memory: what a step has freed is kept for the next one.
    """
    if "OMP_WAIT_POLICY" not in os.environ:
        os.environ.setdefault("GOMP_SPINCOUNT", "2000")
    keep_freed_memory()


def _cpu_has_bf16() -> bool:
    import torch

    checks = ("_is_amx_tile_supported", "_is_avx512_bf16_supported")
    return any(getattr(torch.cpu, check, lambda: False)() for check in checks)


def _name(device: "torch.device") -> str:
    import torch

    if device.type == "cuda":
        return str(torch.cuda.get_device_name(device))
    return platform.processor() or platform.machine()
