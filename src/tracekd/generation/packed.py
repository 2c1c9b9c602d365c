r"""Rows of different length in one forward pass, without padding between them.

    tokens   a a a a b b c c c          what each row adds, one behind the other: [1, T]
    cache    row a  k k k k a a a a .   keys and values of what each row has so far, from its own
             row b  k k b b . . . . .   column 0 on: a token's column is its position
             row c  k c c c . . . . .

All that works on single tokens (norms, products with weights, the output head) sees the T tokens
and nothing else. Attention alone knows of rows. Tokens that turn out wrong (a draft that is
refused) need no care: their columns are overwritten by what comes next.

The model's own forward pass is used; only its attention function is replaced, by the interface
that transformers has for it. A sliding window is honoured, by mask.
"""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import torch

from tracekd.errors import TracekdError

if TYPE_CHECKING:
    from transformers import PreTrainedModel

#: The name under which transformers knows `_attend`.
_ATTENTION = "tracekd_packed"
#: On a CPU, where so many tokens a row are new, torch's attention takes up to twice as long as
#: plain products of `_BLOCK` queries with the columns that they may see.
_LONG, _BLOCK = 32, 128


class PackedModel:
    """A causal model of transformers that reads packed rows.

    Attributes:
        device: where it is.
    """

    def __init__(self, model: "PreTrainedModel") -> None:
        """Take `model`, on its device; replace its attention function and, on a CPU, its norms.

        Raises:
            TracekdError: if it does not let its attention function be replaced.
        """
        from transformers import AttentionInterface

        from tracekd.kernels.norms import fuse_norm

        model.requires_grad_(False)
        if model.device.type == "cpu":
            for module in model.modules():
                fuse_norm(module)
        AttentionInterface.register(_ATTENTION, _attend)
        model.set_attn_implementation(_ATTENTION)
        if model.config._attn_implementation != _ATTENTION:
            raise TracekdError(
                f"{type(model).__name__} has an attention of its own that the transformers "
                "backend cannot replace; use infer.backend: vllm, or another model"
            )
        self._model = model
        self.device = model.device

    def cache(self, rows: int, columns: int) -> "RowCache":
        """Return room for `rows` rows of at most `columns` tokens each."""
        return RowCache(rows, columns)

    def logits(
        self,
        cache: "RowCache",
        first: int,
        news: Sequence[Sequence[int]],
        starts: Sequence[int],
        kept: Sequence[int],
    ) -> torch.Tensor:
        """Add tokens to consecutive rows of `cache`; return logits [len(kept), vocabulary].

        Args:
            cache: grows by the new tokens.
            first: the first of the rows; the others follow it.
            news: what each row adds, at least one token.
            starts: the position of each row's first new token; the columns before it are filled.
            kept: which of the packed tokens to return logits for, as indexes into them.
        """
        layout = _Layout(cache, first, [len(new) for new in news], starts, self.device)
        ids = torch.tensor([[token for new in news for token in new]], device=self.device)
        output = self._model(
            input_ids=ids,
            position_ids=layout.positions[None],
            use_cache=False,
            logits_to_keep=torch.tensor(kept, device=self.device),
            packed=layout,
        )
        logits: torch.Tensor = output.logits[0]
        return logits


class RowCache:
    """Keys and values of all rows and layers; a layer's room is made at its first use.

    Attributes:
        layers: (keys, values) by layer, each [rows, key heads, columns, width].
    """

    def __init__(self, rows: int, columns: int) -> None:
        """See `PackedModel.cache`."""
        self._rows, self._columns = rows, columns
        self.layers: dict[int, tuple[torch.Tensor, torch.Tensor]] = {}

    def layer(self, number: int, like: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return keys and values of a layer; `like` is [1, key heads, T, width]."""
        if number not in self.layers:
            shape = (self._rows, like.shape[1], self._columns, like.shape[3])
            # Zeros, since what is masked is still multiplied, and must be finite.
            self.layers[number] = (like.new_zeros(shape), like.new_zeros(shape))
        return self.layers[number]

    def copy(self, source: int, target: int, columns: int) -> None:
        """Overwrite the first columns of one row with those of another."""
        for pair in self.layers.values():
            for part in pair:
                part[target, :, :columns] = part[source, :, :columns]

    def rows(self, rows: Sequence[int], columns: int) -> "RowCache":
        """Return a new cache, which starts with the first columns of these rows of this one.

        It may be narrower, if none of the rows has more: other rows of this one may.
        """
        chosen = RowCache(len(rows), columns)
        shared = min(columns, self._columns)
        for number, pair in self.layers.items():
            for old, new in zip(pair, chosen.layer(number, pair[0][:1]), strict=True):
                new[:, :, :shared] = old[torch.tensor(rows, device=old.device), :, :shared]
        return chosen

    def spread(self, columns: int) -> None:
        """Give all rows the first columns of row 0."""
        for pair in self.layers.values():
            for part in pair:
                part[1:, :, :columns] = part[:1, :, :columns]


class _Layout:
    """Where the tokens of one forward pass belong.

    Attributes:
        cache: of all rows.
        first, rows: the rows that take part, `rows` of them from `first` on.
        width: most new tokens of a row.
        columns: columns of the cache that any of the rows has filled afterwards.
        slots: each token's row, [T].
        positions: each token's position, [T].
        places: each token's index in [rows * width], or None if no row is narrower than `width`.
    """

    def __init__(
        self,
        cache: RowCache,
        first: int,
        counts: Sequence[int],
        starts: Sequence[int],
        device: torch.device,
    ) -> None:
        self.cache, self.first, self.rows, self.width = cache, first, len(counts), max(counts)
        self.columns = max(start + count for start, count in zip(starts, counts, strict=True))
        count, start = torch.tensor(counts), torch.tensor(starts)
        offset = torch.arange(self.width)
        real = offset < count[:, None]
        places = real.flatten().nonzero().squeeze(1)
        self._queries = (start[:, None] + offset).to(device)  # [rows, width]
        self.positions = (start[:, None] + offset).flatten()[places].to(device)
        self.slots = (first + places // self.width).to(device)
        self.places = None if len(places) == real.numel() else places.to(device)
        self._masks: dict[tuple[int, int | None], torch.Tensor] = {}
        self._last_start = max(starts)

    def mask(self, groups: int, window: int | None, like: torch.Tensor) -> torch.Tensor:
        """Return what is added to the scores: [rows, 1, groups * width, columns], 0 or -inf."""
        if (groups, window) not in self._masks:
            columns = torch.arange(self.columns, device=like.device)
            positions = self._queries[:, :, None]
            hidden = columns > positions
            if window is not None:
                hidden |= columns <= positions - window
            mask = like.new_zeros(hidden.shape).masked_fill_(hidden, float("-inf"))
            self._masks[groups, window] = mask[:, None].repeat(1, 1, groups, 1)
        return self._masks[groups, window]

    def blocks(self) -> Iterator[tuple[slice, int]]:
        """Give `_BLOCK` new tokens of each row after the other, and the columns they may see."""
        for start in range(0, self.width, _BLOCK):
            block = slice(start, min(start + _BLOCK, self.width))
            last = self._last_start + block.stop
            yield block, min(last, self.columns)


def _attend(
    module: Any,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    _attention_mask: None,
    scaling: float,
    packed: _Layout,
    sliding_window: int | None = None,
    softcap: float | None = None,
    s_aux: torch.Tensor | None = None,
    **_: Any,
) -> tuple[torch.Tensor, None]:
    """Return the attention's output [1, T, H, D]; an attention function for transformers.

    Args:
        module: its `layer_idx` is read.
        query: rotated, [1, H, T, D].
        key: rotated, [1, K, T, D]; K divides H.
        value: [1, K, T, D].
        _attention_mask: none is made for this function.
        scaling: of the scores.
        packed: handed through by the model.
        sliding_window: how many positions a token sees, itself among them.
        softcap: of the scores; refused.
        s_aux: attention sinks; refused.
        _: of other attention functions.
    """
    if softcap is not None or s_aux is not None:
        told = "sinks (s_aux)" if softcap is None else f"a soft cap of {softcap}"
        raise TracekdError(
            f"{type(module).__name__} has attention with {told}, which the transformers backend "
            "and probes do not compute; choose a model without, such as Llama or Qwen3"
        )
    heads, key_heads, width = query.shape[1], key.shape[1], query.shape[3]
    groups, rows = heads // key_heads, packed.rows
    keys, values = packed.cache.layer(module.layer_idx, key)
    keys[packed.slots, :, packed.positions] = key[0].transpose(0, 1)
    values[packed.slots, :, packed.positions] = value[0].transpose(0, 1)
    part = (slice(packed.first, packed.first + rows), slice(None), slice(packed.columns))
    flat = query[0].transpose(0, 1)  # [T, H, D]
    if packed.places is not None:
        spread = flat.new_zeros(rows * packed.width, heads, width)
        flat = spread.index_copy_(0, packed.places, flat)
    # Heads that share keys stand one behind the other, as further queries: [rows, K, G, w, D].
    shared = flat.view(rows, packed.width, key_heads, groups, width).permute(0, 2, 3, 1, 4)
    if flat.device.type == "cpu" and packed.width >= _LONG:
        attended = _in_blocks(shared, keys[part], values[part], packed, sliding_window, scaling)
    else:
        attended = torch.nn.functional.scaled_dot_product_attention(
            shared.reshape(rows, key_heads, -1, width),
            keys[part],
            values[part],
            attn_mask=packed.mask(groups, sliding_window, query),
            scale=scaling,
        )
    parted = attended.view(rows, key_heads, groups, packed.width, width).permute(0, 3, 1, 2, 4)
    output = parted.reshape(rows * packed.width, heads, width)
    return (output if packed.places is None else output[packed.places])[None], None


def _in_blocks(
    query: torch.Tensor,
    keys: torch.Tensor,
    values: torch.Tensor,
    packed: _Layout,
    window: int | None,
    scale: float,
) -> torch.Tensor:
    """Return the attention's output [rows, K, G, w, D], a block of queries after the other.

    Args:
        query: [rows, K, G, w, D].
        keys: [rows, K, columns, D].
        values: [rows, K, columns, D].
        packed: whose mask counts.
        window: see `_attend`.
        scale: of the scores.
    """
    rows, heads, groups, _, width = query.shape
    mask = packed.mask(1, window, query)[:, :, None]
    output = torch.empty(query.shape, dtype=query.dtype)
    keys, values = (part.flatten(0, 1) for part in (keys, values))
    for block, columns in packed.blocks():
        asked = query[:, :, :, block].reshape(rows * heads, -1, width)
        scores = torch.bmm(asked, keys[:, :columns].transpose(1, 2))
        scores = scores.view(rows, heads, groups, -1, columns)
        scores = torch.add(mask[..., block, :columns], scores, alpha=scale)
        weights = torch.softmax(scores, dim=-1).view(rows * heads, -1, columns)
        found = torch.bmm(weights, values[:, :columns])
        output[:, :, :, block] = found.view(rows, heads, groups, -1, width)
    return output
