"""Examples as padded batches, and the order in which training meets them.

    input_ids  p p p t t a E 0 0      padding on the right
    labels     . . . t t a E . .      "." is IGNORED: prompt and padding teach nothing
    in_answer  0 0 0 0 0 1 1 0 0      which labels the answer's loss counts, EOS among them

There is no attention mask: the models attend to the left only, and padding stands on the right of
everything that is read. What is padding follows from lengths alone, never from a token's id (the
padding token of SmolLM2 is its EOS).
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from tracekd.models.encoding import Encoded
from tracekd.randomness import shuffled

if TYPE_CHECKING:
    import torch

#: The label of a position without loss, as torch's cross_entropy knows it.
IGNORED = -100
#: Widths of training's batches are multiples of this: with few different ones, memory that a step
#: has freed fits the next, and a product's kernel, made for its shape, is made once.
WIDTH = 16
#: Batches among which examples of like length are put together: more of them waste less padding
#: but make batches less random.
_POOL = 16


def collate(
    examples: Sequence[Encoded], rows: Sequence[int], pad_id: int, multiple: int = 1
) -> "dict[str, torch.Tensor]":
    """Return `examples` as one batch; shapes [len(examples), width], `rows` as it is.

    Args:
        examples: at least one.
        rows: each example's number, so that a fault can be traced back to its id.
        pad_id: fills `input_ids` on the right; any id does.
        multiple: the width is the smallest multiple of it that holds the longest example.
    """
    import torch

    shape = (len(examples), _up(max(map(len, examples)), multiple))
    input_ids = torch.full(shape, pad_id)
    labels = torch.full(shape, IGNORED)
    in_answer = torch.zeros(shape, dtype=torch.bool)
    for row, example in enumerate(examples):
        start, end = len(example.prompt_ids), len(example)
        completion = torch.tensor(example.completion_ids)
        input_ids[row, :start] = torch.tensor(example.prompt_ids)
        input_ids[row, start:end] = completion
        labels[row, start:end] = completion
        in_answer[row, start + example.answer_index : end] = True
    return {
        "input_ids": input_ids,
        "labels": labels,
        "in_answer": in_answer,
        "rows": torch.tensor(rows),
    }


def split_batch(
    batch: "dict[str, torch.Tensor]", tokens: int, multiple: int = 1
) -> "list[dict[str, torch.Tensor]]":
    """Return `batch` in parts of at most `tokens` tokens (but at least a row), padding cut off.

    Each part's width is a multiple of `multiple`, as the batch's is.

    A step over long examples then takes no more memory than one over short ones. The sum of the
    parts' losses is the batch's.
    """
    rows, width = batch["input_ids"].shape
    size = max(1, tokens // width)
    parts = []
    for start in range(0, rows, size):
        part = {key: value[start : start + size] for key, value in batch.items()}
        end = _up(int((part["labels"] != IGNORED).any(dim=0).nonzero().max()) + 1, multiple)
        parts.append(
            {key: value[:, :end] if value.dim() == 2 else value for key, value in part.items()}
        )
    return parts


def _up(length: int, multiple: int) -> int:
    return -(-length // multiple) * multiple


def epoch_order(lengths: Sequence[int], batch_size: int, seed: int, epoch: int) -> list[int]:
    """Return the order of one epoch: consecutive `batch_size` rows are of like length.

    Rows are shuffled, sorted by length within pools of a few batches, and the batches shuffled
    again; an incomplete batch (the last pool's longest rows) stays last. A function
    of the arguments alone.
    """
    rows = shuffled(range(len(lengths)), seed, "rows", epoch)
    pool = _POOL * batch_size
    batches = []
    for start in range(0, len(rows), pool):
        alike = sorted(rows[start : start + pool], key=lambda row: lengths[row])
        batches += [alike[i : i + batch_size] for i in range(0, len(alike), batch_size)]
    incomplete = [batches.pop()] if batches and len(batches[-1]) < batch_size else []
    ordered = [*shuffled(batches, seed, "batches", epoch), *incomplete]
    return [row for batch in ordered for row in batch]


def length_batches(lengths: Sequence[int], batch_size: int) -> list[list[int]]:
    """Return all rows in batches of like length, longest first.

    Longest first: if memory does not suffice, that shows at once, and the estimate of the time
    that is left errs on the long side.
    """
    rows = sorted(range(len(lengths)), key=lambda row: -lengths[row])
    return [rows[start : start + batch_size] for start in range(0, len(rows), batch_size)]
