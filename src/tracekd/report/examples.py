"""Built examples for reading: what the model sees, and which tokens it learns."""

from collections.abc import Mapping, Sequence
from typing import Any

from tracekd.models.encoding import ChatEncoder

#: Around the supervised tokens.
OPEN, CLOSE = "\u27e6", "\u27e7"


def show_examples(rows: Sequence[Mapping[str, Any]], encoder: ChatEncoder) -> str:
    """Return rows of `records.SFT`, encoded and decoded again, with the control tokens.

    \u27e6 and \u27e7 enclose supervised tokens: first the trace, if any, then the answer and the
    end-of-turn token.
    """
    return "\n\n".join(_show(row, encoder) for row in rows)


def _show(row: Mapping[str, Any], encoder: ChatEncoder) -> str:
    encoded = encoder.encode(row)
    trace = encoded.completion_ids[: encoded.answer_index]
    answer = encoded.completion_ids[encoded.answer_index :]
    decode = encoder.tokenizer.decode
    prompt = decode(encoded.prompt_ids)
    marked = "".join(f"{OPEN}{decode(part)}{CLOSE}" for part in (trace, answer) if part)
    counts = f"{len(encoded.prompt_ids)} prompt tokens, {len(trace)} trace, {len(answer)} answer"
    note = f"; {row['note']}" if row["note"] else ""
    return f"--- {row['id']} ({row['regime']}; {counts}{note})\n{prompt}{marked}"
