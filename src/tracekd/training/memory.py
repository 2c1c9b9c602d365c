"""How many tokens a forward and backward pass holds, and whether its activations are kept."""

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import torch

from tracekd.config import TrainParams
from tracekd.errors import TracekdError
from tracekd.models.devices import Device
from tracekd.models.sources import quiet_transformers
from tracekd.training.losses import CHUNK
from tracekd.training.packing import pack_attention
from tracekd.training.shards import local

if TYPE_CHECKING:
    from transformers import PretrainedConfig

#: Tokens of a pass, padding included, where free memory is not known: on a CPU more are not faster,
#: and SmolLM2-135M takes about 3 GB for these.
_TOKENS = 2048
#: More keep no GPU busier. Fewer than `_ENOUGH` do not keep a large one busy: then it is better to
#: compute the activations again, which takes a third more arithmetic.
_MOST, _ENOUGH = 16384, 4096
#: Of free memory; the rest is for kernels' buffers and what is left over between blocks.
_USABLE = 0.9
#: Adapters' dropout keeps each of their inputs, and a mask. Of PEFT's that is 1.55 on a CPU, with
#: masks of two bytes; on a GPU they have one.
_DROPOUT = 1.4


@dataclass(frozen=True)
class TokenBytes:
    """What a token of a training pass takes on the device, in bytes.

    Attributes:
        kept: if all activations are kept for the backward pass.
        recomputed: if only each layer's input is, and one layer's activations at a time.
        head: work space of the loss, whatever the number of tokens.
    """

    kept: float
    recomputed: float
    head: int

    @classmethod
    def of(cls, config: "PretrainedConfig", dropout: bool, width: int = 0) -> "TokenBytes":
        """Return the estimate for a model of transformers in bf16.

        Fitted to four measured models, LoRA on all linear layers, in MiB a token: Llama-3.2-1B 1.7,
        Qwen3-1.7B 3.0, Llama-3.1-8B 6.4, Qwen3-8B 7.3. `width` is that of padded batches, whose
        attention may keep all scores: eager attention does.
        """
        config = config.get_text_config()
        hidden, layers = config.hidden_size, config.num_hidden_layers
        heads = getattr(config, "num_attention_heads", None) or 1
        head = getattr(config, "head_dim", None) or hidden // heads
        keys = (getattr(config, "num_key_value_heads", None) or heads) * head
        inner = getattr(config, "intermediate_size", None) or 4 * hidden
        experts = getattr(config, "num_experts_per_tok", None) or 1
        layer = 21.0 * hidden + 4 * keys + 9 * inner * experts
        layer = layer * (_DROPOUT if dropout else 1) + 10 * heads * width
        logits = 4 * config.vocab_size  # in bf16, and their gradients
        return cls(
            kept=layer * layers + logits,
            recomputed=2 * hidden * layers + layer + logits,
            head=12 * CHUNK * config.vocab_size,
        )


@dataclass(frozen=True)
class PassPlan:
    """How batches are cut into passes.

    Attributes:
        tokens: in one pass at most, unless one example alone has more.
        recompute: whether activations are computed again in the backward pass.
        packed: whether batches have no padding.
    """

    tokens: int
    recompute: bool
    packed: bool = False

    @contextlib.contextmanager
    def explains_memory(self) -> Iterator[None]:
        """Turn torch's error of a full GPU into a TracekdError that names the setting to change."""
        try:
            yield
        except torch.OutOfMemoryError as error:
            keep = "" if self.recompute else "set train.recompute: always, "
            raise TracekdError(
                f"out of memory on the GPU in a pass of up to {self.tokens} tokens; {keep}lower "
                "train.max_length (with train.too_long: drop), set train.method: qlora, or choose "
                f"a smaller model (params.yaml). torch: {str(error).splitlines()[0]}"
            ) from error


def plan_passes(
    free: int,
    token: TokenBytes,
    trained: int,
    lengths: Sequence[int],
    setting: Literal["auto", "always", "never"],
) -> PassPlan:
    """Return the plan for a GPU with `free` bytes beside the model, of whose weights `trained` are.

    `lengths` are those of the longest examples, as many as a batch has.
    """
    # Gradients, AdamW's two moments, and the copy in bf16 that autocast makes.
    room = free * _USABLE - 3.5 * trained - token.head
    kept, recomputed = (max(int(room / each), 1) for each in (token.kept, token.recomputed))
    needed = max(*lengths, min(_ENOUGH, len(lengths) * max(lengths)))
    recompute = setting == "always" or (setting == "auto" and kept < needed)
    return PassPlan(min(_MOST, recomputed if recompute else kept), recompute)


def prepare_passes(
    model: Any, device: Device, params: TrainParams, lengths: Sequence[int], free: int | None
) -> PassPlan:
    """Return the plan for a model on its device, and make the model follow it.

    `lengths` are as in `plan_passes`; `free` is of `free_memory`.

    Raises:
        TracekdError: if `train.recompute` is `always` and the architecture cannot do it.
    """
    base = model.get_base_model() if hasattr(model, "get_base_model") else model
    packed = pack_attention(base, device)
    plan = PassPlan(_TOKENS, params.recompute == "always")
    if free is not None:
        dropout = params.has_adapter and params.lora.dropout > 0
        token = TokenBytes.of(base.config, dropout, 0 if packed else max(lengths))
        free = free * 2 // device.dtype.itemsize  # the estimate is for two bytes a number
        weights = [weight for weight in model.parameters() if weight.requires_grad]
        trained = sum(local(weight).numel() * weight.element_size() for weight in weights)
        able = params.recompute != "auto" or base.supports_gradient_checkpointing
        plan = plan_passes(free, token, trained, lengths, params.recompute if able else "never")
    if plan.recompute:
        _recompute(base)
    return PassPlan(plan.tokens, plan.recompute, packed)


@quiet_transformers()
def _recompute(base: Any) -> None:
    try:
        base.gradient_checkpointing_enable({"use_reentrant": False})
    except ValueError as error:
        raise TracekdError(
            f"train.recompute: always, but {type(base).__name__} cannot compute activations again; "
            "set it to never (params.yaml)"
        ) from error
