"""passes.c for torch: compiled when it is first needed, if this machine has a C compiler.

Torch's operations on bf16 each read and write whole activations, and where matrix products are
fast (AMX) these passes over memory take longer than the products. Without a compiler, in other
formats and with several threads torch does the same. It rounds to bf16 between operations, so that
results differ by a rounding.

All tensors are bf16, on a CPU and contiguous unless said otherwise.
"""

import ctypes
import hashlib
import os
import platform
import shlex
import shutil
import subprocess
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch

from tracekd.config import cache_folder
from tracekd.files import atomic_file
from tracekd.kernels.starts import SharedStart

_SOURCE = Path(__file__).with_name("passes.c")
#: As fast as `-ffast-math` lets it be, but for what is not a number: a run must notice it.
_OPTIONS = (
    *("-O3", "-march=native", "-mprefer-vector-width=512", "-shared", "-fPIC"),
    *("-fassociative-math", "-freciprocal-math", "-fno-signed-zeros"),
    *("-fno-trapping-math", "-fno-math-errno"),
)
_SECONDS = 60
#: What the functions take: (p)ointers, (n)umbers of something, and (f)loats.
_ARGUMENTS = {
    "rms_norm": "pppppnnf",
    "rms_norm_back": "ppppppnn",
    "swiglu": "ppnn",
    "swiglu_back": "pppnn",
    "causal_softmax": "pnnnf",
    "causal_softmax_back": "ppnnnf",
    "cross_entropy": "ppppnn",
    "to_rows": "pnpppnnnnnn",
    "to_sequence": "pnpppnnnnnn",
}
_KINDS = {"p": ctypes.c_void_p, "n": ctypes.c_long, "f": ctypes.c_float}

#: Cosines and sines, [T, D] each, both halves alike.
Angles = tuple[torch.Tensor, torch.Tensor]


def takes(*tensors: torch.Tensor) -> bool:
    """Say whether the functions below can stand in for torch's operations on `tensors`.

    They use one thread: they are for processes that share out the rows of a batch.
    """
    return (
        all(each.dtype == torch.bfloat16 and each.device.type == "cpu" for each in tensors)
        and torch.get_num_threads() == 1
        and library() is not None
    )


def rms_norm(
    x: torch.Tensor, weight: torch.Tensor, eps: float
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return x r w, x r, and r = 1 / sqrt(mean(x^2) + eps) in fp32; x [..., width], w [width]."""
    x = x.contiguous()
    normal, y = torch.empty_like(x), torch.empty_like(x)
    scales = x.new_empty((*x.shape[:-1], 1), dtype=torch.float32)
    _call("rms_norm", x, weight, normal, y, scales, *_sizes(x), eps)
    return y, normal, scales


def rms_norm_back(
    g: torch.Tensor,
    weight: torch.Tensor,
    normal: torch.Tensor,
    scales: torch.Tensor,
    more: torch.Tensor | None = None,
) -> torch.Tensor:
    """Return the gradient for the x of `rms_norm`, given that for its first result, plus `more`."""
    g = g.contiguous()
    more = torch.zeros_like(g) if more is None else more.contiguous()
    g_x = torch.empty_like(g)
    _call("rms_norm_back", g, weight, normal, scales, more, g_x, *_sizes(g))
    return g_x


def swiglu(both: torch.Tensor) -> torch.Tensor:
    """Return silu(g) * u [..., n] for `both` = [g, u] of shape [..., 2 n]."""
    y = both.new_empty((*both.shape[:-1], both.shape[-1] // 2))
    _call("swiglu", both, y, *_sizes(y))
    return y


def swiglu_back(g: torch.Tensor, both: torch.Tensor) -> torch.Tensor:
    """Return the gradient for the argument of `swiglu`, given that for its result."""
    slopes = torch.empty_like(both)
    _call("swiglu_back", g.contiguous(), both, slopes, *_sizes(g))
    return slopes


def causal_softmax(scores: torch.Tensor, queries: int, scale: float) -> None:
    """Let `scores` [N, keys] become softmax(scale * scores).

    Row i is of query i mod `queries`; the last query sees all keys, each before it one less.
    """
    _call("causal_softmax", scores, *_softmax_sizes(scores, queries), scale)


def causal_softmax_back(g: torch.Tensor, weights: torch.Tensor, queries: int, scale: float) -> None:
    """Let `g` become the gradient for the scores of `causal_softmax`, which it made `weights`."""
    sizes = _softmax_sizes(g, queries)
    _call("causal_softmax_back", g, weights, *sizes, scale)


def cross_entropy(logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """Return the cross entropy of each row in nats, fp32 [N]; `logits` become their gradients.

    Args:
        logits: [N, vocabulary].
        targets: int64 [N].

    Raises:
        IndexError: if a target is not in the vocabulary; C would write where it must not.
    """
    if len(targets) and not 0 <= int(targets.min()) <= int(targets.max()) < logits.shape[1]:
        raise IndexError(f"cross_entropy: a target is not among {logits.shape[1]} tokens")
    losses = logits.new_empty(len(logits), dtype=torch.float32)
    scratch = logits.new_empty(logits.shape[1], dtype=torch.float32)
    _call("cross_entropy", logits, targets.contiguous(), losses, scratch, *_sizes(logits))
    return losses


def to_rows(
    sequence: torch.Tensor, start: SharedStart, angles: Angles | None = None, once: bool = False
) -> torch.Tensor:
    """Do what `rows.to_rows` does; see there for the arguments."""
    heads, width = sequence.shape[2:]
    rows = sequence.new_empty((start.rows, heads, start.length(sequence), width))
    _move("to_rows", sequence, rows, start, angles, once)
    return rows


def to_sequence(
    rows: torch.Tensor, start: SharedStart, angles: Angles | None = None, once: bool = False
) -> torch.Tensor:
    """Do what `rows.to_sequence` does; see there for the arguments."""
    batch, heads, length, width = rows.shape
    tokens = start.columns + batch * (length - start.columns)
    sequence = rows.new_empty((1, tokens, heads, width))
    _move("to_sequence", sequence, rows, start, angles, once)
    return sequence


def _move(
    name: str,
    sequence: torch.Tensor,
    rows: torch.Tensor,
    start: SharedStart,
    angles: Angles | None,
    once: bool,
) -> None:
    _, stride, *inner = sequence.stride()
    if inner != [sequence.shape[3], 1]:
        raise ValueError(f"{name}: the heads of a token have gaps: {sequence.stride()}")
    _call(
        name,
        sequence.data_ptr(),
        stride,
        rows,
        *(angles or (None, None)),
        *rows.shape,
        start.columns,
        once,
    )


def _softmax_sizes(scores: torch.Tensor, queries: int) -> tuple[int, int, int]:
    rows, keys = _sizes(scores)
    return rows, queries, keys


def _sizes(x: torch.Tensor) -> tuple[int, int]:
    """Return how many rows `x` has, and how long they are."""
    return x.numel() // x.shape[-1], x.shape[-1]


def _call(name: str, *arguments: Any) -> None:
    """Call a function of passes.c; it gets tensors as pointers."""
    getattr(library(), name)(
        *[_pointer(name, one) if isinstance(one, torch.Tensor) else one for one in arguments]
    )


def _pointer(name: str, x: torch.Tensor) -> int:
    if not x.is_contiguous():
        raise ValueError(f"{name}: a tensor of {tuple(x.shape)} has gaps")
    return x.data_ptr()


@lru_cache(maxsize=1)
def library() -> ctypes.CDLL | None:
    """Return passes.c as a library, or None if it cannot be made here."""
    named, *flags = shlex.split(os.environ.get("CC", "")) or ["cc"]
    compiler = shutil.which(named)
    if compiler is None or platform.system() != "Linux" or os.environ.get("TRACEKD_NATIVE") == "0":
        return None
    made_from = (*_OPTIONS, compiler, *flags, _processor(), _SOURCE.read_text())
    name = hashlib.sha256("\0".join(made_from).encode()).hexdigest()[:16]
    path = cache_folder() / "native" / f"passes-{name}.so"
    try:
        if not path.exists():
            with atomic_file(path) as temporary:
                command = [compiler, *flags, *_OPTIONS, "-o", str(temporary), str(_SOURCE), "-lm"]
                subprocess.run(command, check=True, capture_output=True, timeout=_SECONDS)  # noqa: S603
        library = ctypes.CDLL(str(path))
    except (OSError, subprocess.SubprocessError):
        return None
    for name, kinds in _ARGUMENTS.items():
        getattr(library, name).argtypes = [_KINDS[kind] for kind in kinds]
    return library


def _processor() -> str:
    """Return what decides which instructions a compiler uses for this machine."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    wanted = ("vendor_id", "model name", "flags", "CPU implementer", "CPU part", "Features")
    return "\n".join(sorted({line for line in lines if line.startswith(wanted)}))
