"""Examples as batches, and the order in which training meets them.

    input_ids  p p p t t a E 0 0      padding on the right
    labels     . . . t t a E . .      "." is IGNORED: prompt and padding teach nothing
    in_answer  0 0 0 0 0 1 1 0 0      which labels the answer's loss counts, EOS among them

Or packed, without padding, one example after the other in a single row:

    input_ids      p p p t t a E p p a E
    position_ids   0 1 2 3 4 5 6 0 1 2 3
    cu_seq_lens_q  0             7       11     where examples start, and the end

There is no attention mask: the models attend to the left only, and padding is on the right of
everything that is read. What is padding follows from lengths alone, never from a token's id (the
padding token of SmolLM2 is its EOS).
"""

from collections.abc import Iterable, Sequence
from itertools import accumulate
from typing import Any

import torch

from tracekd.models.encoding import Encoded
from tracekd.randomness import shuffled

#: The label of a position without loss, as torch's cross_entropy knows it.
IGNORED = -100
#: Widths are multiples of this: a product's kernel, made for its shape, is made for few shapes.
WIDTH = 16
#: Batches among which examples of similar length are put together: more of them waste less padding
#: but make batches less random.
_POOL = 16


def collate(examples: Sequence[Encoded], packed: bool = False) -> dict[str, torch.Tensor]:
    """Return `examples` as one batch on the CPU; `packed_rows` has the rest of a packed one.

    All tensors have shape [len(examples), width], the smallest multiple of `WIDTH` that holds the
    longest example, or if packed [1, tokens].
    """
    lengths = [len(example) for example in examples]
    width = _padded(max(lengths))
    starts: Iterable[int] = range(0, len(examples) * width, width)
    shape = (len(examples), width)
    if packed:
        starts, shape = accumulate(lengths, initial=0), (1, sum(lengths))
    input_ids = torch.zeros(shape, dtype=torch.long)
    labels = torch.full(shape, IGNORED)
    in_answer = torch.zeros(shape, dtype=torch.bool)
    for first, example in zip(starts, examples, strict=False):
        start, end = first + len(example.prompt_ids), first + len(example)
        completion = torch.tensor(example.completion_ids)
        input_ids.view(-1)[first:start] = torch.tensor(example.prompt_ids)
        input_ids.view(-1)[start:end] = completion
        labels.view(-1)[start:end] = completion
        in_answer.view(-1)[start + example.answer_index : end] = True
    return {"input_ids": input_ids, "labels": labels, "in_answer": in_answer}


def packed_rows(examples: Sequence[Encoded]) -> dict[str, Any]:
    """Return what tells a model and its attention where packed examples start, on the CPU.

    The names are those of transformers for flash attention.
    """
    lengths = [len(example) for example in examples]
    positions = torch.cat([torch.arange(length) for length in lengths])
    bounds = torch.tensor([*accumulate(lengths, initial=0)], dtype=torch.int32)
    longest = max(lengths)
    return {
        "position_ids": positions[None],
        "cu_seq_lens_q": bounds,
        "cu_seq_lens_k": bounds,
        "max_length_q": longest,
        "max_length_k": longest,
    }


def passes(rows: Sequence[int], lengths: Sequence[int], tokens: int) -> list[list[int]]:
    """Return `rows`, longest first, in parts of at most `tokens` tokens, padding included.

    `lengths` are those of all rows, by number; a row of more tokens has a part to itself. A step
    over long examples then takes no more memory than one over short ones, and the sum of the parts'
    losses is the batch's.
    """
    parts: list[list[int]] = []
    for row in sorted(rows, key=lambda row: -lengths[row]):
        if parts and (len(parts[-1]) + 1) * _padded(lengths[parts[-1][0]]) <= tokens:
            parts[-1].append(row)
        else:
            parts.append([row])
    return parts


def epoch_order(lengths: Sequence[int], batch_size: int, seed: int, epoch: int) -> list[list[int]]:
    """Return the batches of one epoch: row numbers, those of a batch of similar length.

    Rows are shuffled, sorted by length within pools of a few batches, and the batches shuffled
    again; an incomplete batch (the last pool's longest rows) stays last.
    """
    rows = shuffled(range(len(lengths)), seed, "rows", epoch)
    pool = _POOL * batch_size
    batches = []
    for start in range(0, len(rows), pool):
        alike = sorted(rows[start : start + pool], key=lambda row: lengths[row])
        batches += [alike[i : i + batch_size] for i in range(0, len(alike), batch_size)]
    incomplete = [batches.pop()] if batches and len(batches[-1]) < batch_size else []
    return [*shuffled(batches, seed, "batches", epoch), *incomplete]


def _padded(length: int) -> int:
    return -(-length // WIDTH) * WIDTH
