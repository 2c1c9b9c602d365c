r"""Rows of different length in one forward pass, without padding between them.

    tokens   a a a a b b c c c          what each row adds, one row after the other: [1, T]
    cache    row a  k k k k a a a a .   keys and values of each row so far, from its own column 0
             row b  k k b b . . . . .   on: a token's column is its position
             row c  k c c c . . . . .

Norms, products with weights and the output head see the T tokens and nothing else; only attention
knows of rows. Rejected draft tokens need no care: the next tokens overwrite their columns.

The model's own forward pass is used; its attention function is replaced through the interface that
transformers has for it. Not every architecture allows that: some keep state outside attention or
compute attention in their own way. `pack` tries it on a short batch.
"""

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch

from tracekd.generation.plain import difference, row_logits
from tracekd.models.devices import free_memory
from tracekd.models.sources import quiet_transformers
from tracekd.models.trial import other_layers

if TYPE_CHECKING:
    from transformers import PreTrainedModel

#: The name under which transformers knows `_attend`.
_ATTENTION = "tracekd_packed"
#: Rows to try a model on, of tokens that every vocabulary has, and how many the first pass reads.
_TRIAL = ((5, 1, 4, 2, 3, 5, 2), (3, 1, 2))
_FIRST_PASS = (4, 1)
#: Share of the free memory of a GPU that a cache may take.
_CACHE_SHARE = 0.5


class RowCache:
    """Keys and values of all rows and layers; a layer's memory is allocated at its first use.

    Attributes:
        layers: layer -> keys and values, each [rows, key heads, columns, width].
    """

    def __init__(self, rows: int, columns: int) -> None:
        """Make room for `rows` rows of at most `columns` tokens each."""
        self._rows, self._columns = rows, columns
        self.layers: dict[int, tuple[torch.Tensor, torch.Tensor]] = {}

    def layer(
        self, number: int, key: torch.Tensor, value: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return all keys and values of a layer; `key` and `value` are as in `_attend`."""
        if number not in self.layers:
            # Zeros, since masked columns are still multiplied, and must be finite.
            keys, values = (
                like.new_zeros(self._rows, like.shape[1], self._columns, like.shape[3])
                for like in (key, value)
            )
            self.layers[number] = keys, values
        return self.layers[number]

    def bytes_per_token(self) -> int:
        """Return how much memory one column of one row takes in all layers that were used."""
        parts = [part for pair in self.layers.values() for part in pair]
        return sum(part.nbytes for part in parts) // (self._rows * self._columns)

    def copy(self, source: int | slice, target: int | slice, columns: int) -> None:
        """Overwrite the first columns of some rows with those of another, or of as many others."""
        for pair in self.layers.values():
            for part in pair:
                part[target, :, :columns] = part[source, :, :columns]

    def rows(self, rows: Sequence[int], columns: int) -> "RowCache":
        """Return a new cache that starts with these rows; it may be narrower if they are."""
        chosen = RowCache(len(rows), columns)
        shared = min(columns, self._columns)
        for number, old in self.layers.items():
            for part, copied in zip(old, chosen.layer(number, *old), strict=True):
                copied[:, :, :shared] = part[list(rows), :, :shared]
        return chosen


class PackedModel:
    """A causal model of transformers that reads packed rows; made by `pack`."""

    #: Of the cache, all layers together.
    bytes_per_token = 1

    def __init__(self, model: "PreTrainedModel") -> None:
        """Replace the model's attention function."""
        from transformers import AttentionInterface

        AttentionInterface.register(_ATTENTION, _attend)
        model.set_attn_implementation(_ATTENTION)
        self._model, self.device, self.dtype = model, model.device, model.dtype

    def rows_that_fit(self, columns: int) -> int:
        """Return how many rows of so many columns a cache may have, at least one."""
        free = free_memory(self.device)
        if free is None:
            return sys.maxsize
        return max(1, int(_CACHE_SHARE * free / (self.bytes_per_token * columns)))

    def logits(
        self,
        cache: RowCache,
        first: int,
        news: Sequence[Sequence[int]],
        starts: Sequence[int],
        kept: Sequence[int],
    ) -> torch.Tensor:
        """Add tokens to consecutive rows of `cache`; return logits [len(kept), vocabulary].

        Args:
            cache: grows by the new tokens.
            first: the first of the rows.
            news: what each row adds, at least one token.
            starts: the position of each row's first new token; the columns before it are filled.
            kept: which of the packed tokens to return logits for, as indexes into them.
        """
        layout = _Layout(cache, first, [len(new) for new in news], starts, self.device)
        output = self._model(
            input_ids=torch.tensor([[token for new in news for token in new]], device=self.device),
            position_ids=layout.positions[None],
            use_cache=False,
            logits_to_keep=torch.tensor(kept, device=self.device),
            packed=layout,
        )
        logits: torch.Tensor = output.logits[0]
        return logits


@quiet_transformers()
def pack(model: "PreTrainedModel") -> PackedModel | None:
    """Return the model for packed decoding, or None and print why that does not fit the model."""
    try:
        plain = torch.cat([row_logits(model, row) for row in _TRIAL])
        packed = PackedModel(model)
        reason = other_layers(model) or _difference(plain, packed)
    except Exception as error:  # an unknown architecture may raise anything
        reason = str(error) if isinstance(error, ValueError) else f"{type(error).__name__}: {error}"
    if not reason:
        return packed
    print(
        f"{type(model).__name__}: no packed decoding ({reason}); using `generate` of transformers, "
        "which is slower",
        file=sys.stderr,
    )
    model.set_attn_implementation("eager")  # which every architecture has
    return None


@torch.inference_mode()
def _difference(plain: torch.Tensor, packed: PackedModel) -> str:
    """Return how two packed passes over `_TRIAL` differ from `plain`; "" if they are close."""
    cache = RowCache(len(_TRIAL), max(map(len, _TRIAL)))
    begun = [row[:count] for row, count in zip(_TRIAL, _FIRST_PASS, strict=True)]
    rest = [row[count:] for row, count in zip(_TRIAL, _FIRST_PASS, strict=True)]
    passes = []
    for news, starts in ((begun, (0, 0)), (rest, _FIRST_PASS)):
        logits = packed.logits(cache, 0, news, starts, range(sum(map(len, news))))
        passes.append(torch.split(logits, [len(new) for new in news]))
    packed.bytes_per_token = cache.bytes_per_token()
    found = torch.cat([part for row in zip(*passes, strict=True) for part in row])
    off = difference(found, plain, packed.dtype)
    return f"its logits differ by {off:.1%}" if off else ""


class _Layout:
    """Where the tokens of one forward pass belong.

    Attributes:
        cache, rows: the cache of all rows, and those that take part.
        width: most new tokens of a row.
        columns: columns of the cache that any of the rows has filled afterwards.
        slots, positions: each token's row and position, [T].
        places: each token's index in [rows * width].
    """

    def __init__(
        self,
        cache: RowCache,
        first: int,
        counts: Sequence[int],
        starts: Sequence[int],
        device: torch.device,
    ) -> None:
        self.cache, self.rows, self.width = cache, slice(first, first + len(counts)), max(counts)
        self.columns = max(start + count for start, count in zip(starts, counts, strict=True))
        offset = torch.arange(self.width)
        places = (offset < torch.tensor(counts)[:, None]).flatten().nonzero().squeeze(1)
        positions = torch.tensor(starts)[:, None] + offset
        self._positions = positions.to(device)
        self.positions = positions.flatten()[places].to(device)
        self.slots = (first + places // self.width).to(device)
        self.places = places.to(device)
        self._masks: dict[tuple[int, int | None], torch.Tensor] = {}

    def mask(self, groups: int, window: int | None, like: torch.Tensor) -> torch.Tensor:
        """Return what is added to the scores: [rows, 1, groups * width, columns], 0 or -inf."""
        if (groups, window) not in self._masks:
            columns = torch.arange(self.columns, device=like.device)
            positions = self._positions[:, :, None]
            hidden = columns > positions
            if window is not None:
                hidden |= columns <= positions - window
            mask = like.new_zeros(hidden.shape).masked_fill_(hidden, float("-inf"))
            self._masks[groups, window] = mask[:, None].repeat(1, 1, groups, 1)
        return self._masks[groups, window]


def _attend(
    module: Any,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    _mask: None,
    **options: Any,
) -> tuple[torch.Tensor, None]:
    """Return the attention's output [1, T, heads, width]; an attention function for transformers.

    `query` is [1, heads, T, width]; `key` and `value` are [1, key heads, T, width], and heads that
    share keys are neighbours. Options are `packed`, the layout; `scaling` of the scores; and
    `sliding_window`, how many positions a token sees, including its own.
    """
    for unknown in ("softcap", "s_aux"):
        if options.get(unknown) is not None:
            raise ValueError(f"{type(module).__name__} has {unknown}, which packing ignores")
    if "packed" not in options:
        raise ValueError(f"{type(module).__name__} is not told which row a token belongs to")
    layout: _Layout = options["packed"]
    keys, values = layout.cache.layer(module.layer_idx, key, value)
    keys[layout.slots, :, layout.positions] = key[0].transpose(0, 1)
    values[layout.slots, :, layout.positions] = value[0].transpose(0, 1)
    keys, values = (part[layout.rows, :, : layout.columns] for part in (keys, values))
    heads, width, rows, key_heads = query.shape[1], query.shape[3], *keys.shape[:2]
    padded = query.new_zeros(rows * layout.width, heads, width)
    padded[layout.places] = query[0].transpose(0, 1)
    # Heads that share keys follow one another, as further queries: [rows, key heads, G * w, width].
    shared = padded.view(rows, layout.width, key_heads, -1, width).permute(0, 2, 3, 1, 4)
    groups = shared.shape[2]
    attended = torch.nn.functional.scaled_dot_product_attention(
        shared.reshape(rows, key_heads, -1, width),
        keys,
        values,
        attn_mask=layout.mask(groups, options.get("sliding_window"), query),
        scale=options.get("scaling"),
    )
    split = attended.view(rows, key_heads, groups, layout.width, -1).permute(0, 3, 1, 2, 4)
    return split.reshape(rows * layout.width, heads, -1)[layout.places][None], None
