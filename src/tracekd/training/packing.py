"""Batches without padding: examples one after the other in one row, for attention on NVIDIA GPUs.

Only attention may look at other tokens (`collation` has the drawing). It is replaced by torch's for
rows of different length through the interface that transformers has for it, which not every model
follows: some keep state outside attention, cap scores, or have sinks. So a model is packed only
after a trial.
"""

import functools
import inspect
import sys
from typing import TYPE_CHECKING, Any

import torch
from torch.nn.attention.varlen import varlen_attn

from tracekd.models.devices import Device
from tracekd.models.encoding import Encoded
from tracekd.models.sources import quiet_transformers
from tracekd.models.trial import logit_difference, other_layers
from tracekd.training.losses import supervised_logits

if TYPE_CHECKING:
    from transformers import PreTrainedModel

#: The name under which transformers knows `_attend`.
_ATTENTION = "tracekd_varlen"
#: Options of attention that `_attend` follows, or that change nothing in it. Any other, such as
#: `softcap` or `s_aux` (sinks), would be ignored.
_OPTIONS = {"scaling", "sliding_window", "is_causal", "position_ids", "use_cache"}
_OPTIONS |= {"cu_seq_lens_q", "cu_seq_lens_k", "max_length_q", "max_length_k"}
#: Heads may share keys; torch 2.11 lets them without being asked.
_variable_length: Any = varlen_attn
if "enable_gqa" in inspect.signature(varlen_attn).parameters:
    _variable_length = functools.partial(varlen_attn, enable_gqa=True)
#: Rows to try a model on, of tokens that every vocabulary has.
_TRIAL = [
    Encoded("first", [5, 1, 4, 2], [3, 5, 2, 1, 4], 2),
    Encoded("second", [3, 1], [2, 5, 3], 1),
    Encoded("third", [4, 4, 1], [5, 2, 3, 1], 0),
]
#: By how much, relative to their spread, logits of a packed and of a padded batch may differ.
_TOLERANCE = {torch.float32: 1e-4, torch.bfloat16: 0.05}


@quiet_transformers()
def pack_attention(model: "PreTrainedModel", device: Device) -> bool:
    """Return whether to pack batches of a model, whose attention is then replaced, for good.

    Variable-length attention runs in bf16 on NVIDIA GPUs since Ampere, and a trial batch must have
    the same logits packed as padded. If it has not, print why.
    """
    if device.device.type != "cuda" or device.dtype != torch.bfloat16:
        return False
    reason = "the GPU is older than Ampere"
    if torch.cuda.get_device_capability(device.device) >= (8, 0):
        reason = try_packing(model, device)
    if reason:
        print(f"training with padded batches, not packed ones: {reason}", file=sys.stderr)
    return not reason


def try_packing(model: "PreTrainedModel", device: Device) -> str:
    """Replace a model's attention and return "", or leave it and return why it cannot be packed."""
    from transformers import AttentionInterface

    AttentionInterface.register(_ATTENTION, _attend)
    if reason := other_layers(model):
        return reason
    try:
        with torch.no_grad(), torch.compiler.set_stance("force_eager"):
            model.eval()
            padded, _, _ = supervised_logits(model, _TRIAL, device)
            model.set_attn_implementation(_ATTENTION)
            packed, _, _ = supervised_logits(model, _TRIAL, device, packed=True)
        found = logit_difference(packed, padded)
        close = found <= _TOLERANCE[device.dtype]
        reason = "" if close else f"logits of a packed batch differ by {found:.1%}"
    except Exception as error:  # an unknown architecture may raise anything
        reason = f"{type(error).__name__}: {error}"
    if reason:
        model.set_attn_implementation(None)  # the model's default
    return reason


def _attend(
    module: Any,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    _mask: None,
    **options: Any,
) -> tuple[torch.Tensor, None]:
    """Return the attention's output [1, T, heads, width]; an attention function for transformers.

    `query` is [1, heads, T, width]; `key` and `value` are [1, key heads, T, width], and `value` is
    in the number format to compute in. Options are those of `packed_rows`, `scaling` of the scores,
    and `sliding_window`, how many positions a token sees, including its own.
    """
    given = {name for name, option in options.items() if option is not None and option is not False}
    if unknown := sorted(given - _OPTIONS - ({"dropout"} if not options.get("dropout") else set())):
        raise ValueError(f"{type(module).__name__} has {', '.join(unknown)}")
    if "cu_seq_lens_q" not in options:
        raise ValueError(f"{type(module).__name__} is not told where examples start")
    window, longest = options.get("sliding_window"), options["max_length_q"]
    bounds = options["cu_seq_lens_q"]
    back = -1 if window is None or window >= longest else window - 1
    rows = (part[0].transpose(0, 1).to(value.dtype) for part in (query, key, value))
    attended = _variable_length(
        *rows,
        bounds,
        bounds,
        longest,
        longest,
        scale=options.get("scaling"),
        window_size=(back, 0),
    )
    return attended[None], None
