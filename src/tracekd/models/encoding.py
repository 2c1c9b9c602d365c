r"""Prompt and completion as tokens: what the student reads, and which tokens teach it.

    text    <bos><user> ...question... <end><assistant>  <think>...</think>\n <answer>..</answer>
    tokens  p  p  p     p  p  p        p    p            t  t  t  t  t         a  a  a  a        E
    loss    .  .  .     .  .  .        .    .            x  x  x  x  x         x  x  x  x        x
                                                         ^ completion_ids[0]  ^ [answer_index]

p comes from the model's own chat template, t (trace) and a (answer) are the completion
unchanged, E is the end-of-turn token of that template. Training and inference share
`ChatEncoder.given_ids`. With shots, each is a user's and an assistant's turn before the question.

A filler trace gets its length here, where tokens are made, and is part of p: the student is given
it in training and at inference, and learns the answer alone (pause tokens: Goyal et al. 2024,
arXiv 2310.02226). A student that had to write it would rarely write the right number of words and
then stop.

Text from the data is always plain text: a passage that contains `<|im_end|>` or `</think>` is
spelt with ordinary tokens, never with the model's control tokens. So are the completion's own
tags, unless `native_tags` makes `<think>` and `</think>` the model's own tokens; in a completion,
text from the data that spells them has a backslash before. Only the template's pieces
(`tracekd.models.templates`) are read with control tokens; no token spans their ends, nor the border
between trace and answer.
"""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING, Any

from tracekd.errors import TracekdError
from tracekd.models.templates import ChatTemplate, TemplateArgs
from tracekd.text import fill

if TYPE_CHECKING:
    from tokenizers import Tokenizer
    from transformers import PreTrainedTokenizerBase

#: Unicode normalisation would change the text. Byte-level vocabularies can spell any string.
_LOSSY_NORMALIZERS = frozenset({"NFC", "NFD", "NFKC", "NFKD"})
#: The grammar's own tags in a completion: it writes those of the data with a backslash before.
_THINK_TAGS = re.compile(r"((?<!\\)</?think>)")


@dataclass(frozen=True)
class Encoded:
    """One example as tokens; the drawing in this module's docstring shows the parts.

    Attributes:
        prompt_ids: never supervised; with the filler, if any.
        completion_ids: trace (but no filler), answer and one end-of-turn token; all supervised.
        answer_index: position in `completion_ids` of the answer's first token.
    """

    id: str
    prompt_ids: list[int]
    completion_ids: list[int]
    answer_index: int

    def __len__(self) -> int:
        return len(self.prompt_ids) + len(self.completion_ids)


class ChatEncoder:
    """Turns text into tokens and back for one tokenizer and its chat template.

    Attributes:
        end_of_turn: the token that ends an assistant's turn: Llama 3 `<|eot_id|>`, ChatML
            `<|im_end|>`.
    """

    def __init__(
        self,
        tokenizer: "PreTrainedTokenizerBase",
        template_args: TemplateArgs | None = None,
        *,
        native_tags: bool = False,
        shots: Sequence[Mapping[str, Any]] = (),
    ) -> None:
        """Read the chat template, which gets `template_args`.

        With `native_tags` a completion's think tags are the tokenizer's own tokens. `shots` are
        rows of `records.SFT`, shown with their completions before every question.

        Raises:
            TracekdError: if the template cannot be used (`ChatTemplate.cut`), the tokenizer cannot
                spell a shot, or it has no native tags.
        """
        self.tokenizer = tokenizer
        template = ChatTemplate(tokenizer, template_args or {}, native_tags=native_tags)
        self._name = template.name
        self._plain = _without_control_tokens(tokenizer)
        self._special_ids = frozenset(tokenizer.all_special_ids)
        self._native = self._native_tags() if native_tags else {}
        #: User's and assistant's turns, alternately.
        self._shots: list[list[int]] = []
        for row in shots:
            self._shots += [self.plain_ids(row["prompt"]), [*chain(*self._completion(row))]]
        roles = [*["user", "assistant"] * len(shots), "user"]
        self._pieces = {True: template.cut(["system", *roles]), False: template.cut(roles)}
        self.end_of_turn = template.end_of_turn()

    def prompt_ids(self, system: str, prompt: str) -> list[int]:
        """Return the tokens up to the point where the assistant starts to speak.

        An empty `system` means no system message (some templates then put in their own).
        """
        first, *pieces = self._pieces[bool(system)]
        ids = list(first)
        messages = [self.plain_ids(system)] if system else []
        messages += [*self._shots, self.plain_ids(prompt)]
        for message, piece in zip(messages, pieces, strict=True):
            ids += [*message, *piece]
        return ids

    def check_room(self, lengths: Iterable[int], limit: int) -> None:
        """Raise if any of `lengths`, in tokens, is above `limit` with the shots and not without."""
        tokens = sum(map(len, [*self._shots, *self._pieces[False][1 : len(self._shots) + 1]]))
        crowded = [length for length in lengths if length > limit >= length - tokens]
        if crowded:
            raise TracekdError(
                f"params.yaml: prompt.shots is {len(self._shots) // 2}, which take {tokens} tokens "
                f"of {self._name}, so {len(crowded)} questions need more than {limit} (up to "
                f"{max(crowded)}); set fewer, or raise max_length"
            )

    def given_ids(self, row: Mapping[str, Any]) -> list[int]:
        """Return what the student reads of a row of `records.SFT`: its prompt, and a filler if any.

        The filler is the "..." of a row with `filler_for`, repeated to as many tokens as that trace
        has. Errors are those of `encode`.
        """
        filler = [] if row.get("filler_for") is None else self._completion(row)[0]
        return [*self.prompt_ids(row["system"], row["prompt"]), *filler]

    def encode(self, row: Mapping[str, Any]) -> Encoded:
        """Return a row of `records.SFT` as tokens.

        Raises:
            TracekdError: if the completion's tokens do not spell exactly the completion.
        """
        trace_ids, answer_ids = self._completion(row)
        written = trace_ids if row.get("filler_for") is None else []
        return Encoded(
            id=row["id"],
            prompt_ids=self.given_ids(row),
            completion_ids=[*written, *answer_ids, self.end_of_turn],
            answer_index=len(written),
        )

    def completion_ids(self, text: str) -> list[int]:
        """Return a completion, or a part of one, as tokens: ordinary ones but for native tags."""
        ids: list[int] = []
        for part in _THINK_TAGS.split(text) if self._native else [text]:
            ids += [self._native[part]] if part in self._native else self.plain_ids(part)
        return ids

    def plain_ids(self, text: str) -> list[int]:
        """Return `text` as ordinary tokens, whatever control tokens it may spell."""
        ids = list(self._plain.encode(text, add_special_tokens=False).ids)
        if not self._special_ids.isdisjoint(ids):
            raise TracekdError(
                f"{self._name}: reads {text!r} as control tokens; choose a model with a "
                "byte-level tokenizer"
            )
        return ids

    def decode(self, ids: list[int]) -> str:
        """Return the text of `ids` byte for byte, without control tokens."""
        options = {"skip_special_tokens": True, "clean_up_tokenization_spaces": False}
        return str(self.tokenizer.decode(ids, **options))

    def _completion(self, row: Mapping[str, Any]) -> tuple[list[int], list[int]]:
        """Return the tokens of a row's trace and of its answer; errors as for `encode`."""
        completion, start = row["completion"], row["answer_start"]
        trace, answer = completion[:start], completion[start:]
        if (like := row.get("filler_for")) is not None:
            trace = fill(trace, like, self.completion_ids)
            completion = trace + answer
        trace_ids, answer_ids = self.completion_ids(trace), self.completion_ids(answer)
        spelt = self.decode(trace_ids + answer_ids)
        if spelt != completion:
            raise TracekdError(
                f"{row['id']}: the tokenizer cannot spell the completion; it reads back as "
                f"{spelt!r} instead of {completion!r}; choose a model with a byte-level tokenizer"
            )
        return trace_ids, answer_ids

    def _native_tags(self) -> dict[str, int]:
        """Return the tokenizer's own think tags."""
        # Special ones would be missing from decoded text.
        added = self.tokenizer.added_tokens_decoder.items()
        known = {token.content: number for number, token in added if not token.special}
        try:
            return {tag: known[tag] for tag in ("<think>", "</think>")}
        except KeyError as error:
            raise TracekdError(
                f"{self._name}: native_tags: its tokenizer has no token {error} that is not "
                "special; remove native_tags from its entry in models.yaml"
            ) from error


def _without_control_tokens(tokenizer: "PreTrainedTokenizerBase") -> "Tokenizer":
    """Return a copy of the tokenizer's pipeline that knows no added tokens.

    `split_special_tokens=True` would not do: it leaves added tokens that are not marked special,
    such as Qwen3's `</think>`, as they are.
    """
    from tokenizers import Tokenizer

    backend = getattr(tokenizer, "backend_tokenizer", None)
    if backend is None:
        raise TracekdError(f"{tokenizer.name_or_path}: has no tokenizer.json")
    pipeline = json.loads(backend.to_str())
    pipeline.update(added_tokens=[], post_processor=None, truncation=None, padding=None)
    pipeline["normalizer"] = _lossless(pipeline["normalizer"])
    return Tokenizer.from_str(json.dumps(pipeline))


def _lossless(normalizer: dict[str, Any] | None) -> dict[str, Any] | None:
    if normalizer is None or normalizer["type"] in _LOSSY_NORMALIZERS:
        return None
    if normalizer["type"] == "Sequence":
        kept = [part for part in map(_lossless, normalizer["normalizers"]) if part is not None]
        return {**normalizer, "normalizers": kept}
    return normalizer
