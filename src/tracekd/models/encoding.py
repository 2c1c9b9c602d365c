r"""Prompt and completion as tokens: what the student reads, and which tokens teach it.

    text    <bos><user> ...question... <end><assistant>  <think>...</think>\n <answer>..</answer>
    tokens  p  p  p     p  p  p        p    p            t  t  t  t  t         a  a  a  a        E
    loss    .  .  .     .  .  .        .    .            x  x  x  x  x         x  x  x  x        x
                                                         ^ completion_ids[0]  ^ [answer_index]

p comes from the model's own chat template, t (trace) and a (answer) are the completion
unchanged (but for a filler trace, which gets its length here, where tokens are made), E is the
end-of-turn token of that template. Training and inference share `ChatEncoder.prompt_ids`.

Text from the data is always plain text: a passage that contains `<|im_end|>` or `</think>` is
spelt with ordinary tokens, never with the model's control tokens. So are the completion's own
tags. To that end the template is rendered once around markers, cut at them, and only the
template's pieces are read with control tokens; no token spans a cut, nor the border between trace
and answer.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tracekd.errors import TracekdError
from tracekd.text import fill

if TYPE_CHECKING:
    from tokenizers import Tokenizer
    from transformers import PreTrainedTokenizerBase

#: Stand in for data while the template is rendered. Letters and digits only, so that a template
#: that trims, splits or changes white space leaves them whole.
_MARKERS = {role: f"TRACEKD7Q{role.upper()}7Q" for role in ("system", "user", "assistant")}
#: Some templates (Llama 3.x) print the current date by calling this: the same question would get
#: another prompt tomorrow. The macro answers with the date that those templates fall back to.
_CLOCK = "strftime_now"
_FIXED_DATE = "{% macro " + _CLOCK + "(format) %}26 Jul 2024{% endmacro %}"
#: Unicode normalisation would change the text. Byte-level vocabularies can spell any string.
_LOSSY_NORMALIZERS = frozenset({"NFC", "NFD", "NFKC", "NFKD"})

#: What only a completion may open; in a prompt's end it would be there in every regime.
_BLOCKS = re.compile(r"</? *(?:think\w*|answer) *>", re.IGNORECASE)

TemplateArgs = Mapping[str, bool | str]


@dataclass(frozen=True)
class Encoded:
    """One example as tokens; the drawing in this module's docstring shows the parts.

    Attributes:
        id: the question's id.
        prompt_ids: never supervised.
        completion_ids: trace, answer and one end-of-turn token; all supervised.
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
        end_of_turn: id of the token with which the template ends an assistant's turn: Llama 3
            `<|eot_id|>`, ChatML `<|im_end|>`.
    """

    def __init__(
        self, tokenizer: "PreTrainedTokenizerBase", template_args: TemplateArgs | None = None
    ) -> None:
        """Read the chat template.

        Raises:
            TracekdError: if there is none, if it does not keep a system and a user message, or if
                it opens or fills a block of the grammar in the assistant's turn.
        """
        self.tokenizer = tokenizer
        self._template_args = dict(template_args or {})
        self._plain = _without_control_tokens(tokenizer)
        self._special_ids = frozenset(tokenizer.all_special_ids)
        self._pieces = {with_system: self._cut(with_system) for with_system in (True, False)}
        self.end_of_turn = self._find_end_of_turn()

    def prompt_ids(self, system: str, prompt: str) -> list[int]:
        """Return the tokens up to the point where the assistant starts to speak.

        An empty `system` means no system message (some templates then put in their own).
        """
        first, *pieces = self._pieces[bool(system)]
        ids = list(first)
        for text, piece in zip([system, prompt] if system else [prompt], pieces, strict=True):
            ids += [*self.plain_ids(text), *piece]
        return ids

    def encode(self, row: Mapping[str, Any]) -> Encoded:
        """Return a row of `records.SFT` as tokens.

        The "..." of a row with `filler_for` is repeated to as many tokens as that trace has.

        Raises:
            TracekdError: if the completion's tokens do not spell exactly the completion, or
                `answer_start` is outside it.
        """
        completion, start = row["completion"], row["answer_start"]
        if not 0 <= start <= len(completion):
            raise TracekdError(
                f"{row['id']}: answer_start is {start}, but the completion has "
                f"{len(completion)} characters; build the training text again"
            )
        trace, answer = completion[:start], completion[start:]
        if (like := row.get("filler_for")) is not None:
            trace = fill(trace, like, self.plain_ids)
            completion = trace + answer
        trace_ids, answer_ids = self.plain_ids(trace), self.plain_ids(answer)
        spelt = self.decode(trace_ids + answer_ids)
        if spelt != completion:
            raise TracekdError(
                f"{row['id']}: the tokenizer cannot spell the completion; it reads back as "
                f"{spelt!r} instead of {completion!r}; choose a model with a byte-level tokenizer"
            )
        return Encoded(
            id=row["id"],
            prompt_ids=self.prompt_ids(row["system"], row["prompt"]),
            completion_ids=[*trace_ids, *answer_ids, self.end_of_turn],
            answer_index=len(trace_ids),
        )

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

    def _cut(self, with_system: bool) -> list[list[int]]:
        """Return the template's tokens before, between and after the messages' texts."""
        roles = ["system", "user"] if with_system else ["user"]
        rest, pieces = self._render(roles, add_generation_prompt=True), []
        for role in roles:
            before, marker, rest = rest.partition(_MARKERS[role])
            if not marker or _MARKERS[role] in rest:
                raise TracekdError(
                    f"{self._name}: its chat template does not show the {role} message exactly "
                    "once; choose another model or empty the system prompt (params.yaml: prompt)"
                )
            pieces.append(before)
        if block := _BLOCKS.search(rest):
            # Regimes without a trace would answer in or after a trace, the others write a second.
            raise TracekdError(
                f"{self._name}: its chat template begins the assistant's turn with {rest!r}; "
                f"{block[0]} belongs to the completion, or the regimes could not be compared. "
                "Change template_args in models.yaml (Qwen3: no enable_thinking: false), or choose "
                "another model"
            )
        return [self._control_ids(piece) for piece in [*pieces, rest]]

    def _find_end_of_turn(self) -> int:
        dialogue = self._render(["user", "assistant"], add_generation_prompt=False)
        tail = self._control_ids(dialogue.rpartition(_MARKERS["assistant"])[2])
        end = tail[0] if tail else self.tokenizer.eos_token_id
        if end not in self.tokenizer.all_special_ids:
            raise TracekdError(
                f"{self._name}: its chat template ends a turn with "
                f"{self.tokenizer.decode([end])!r}, which is no special token; "
                "generation could not stop there"
            )
        return int(end)

    def _render(self, roles: list[str], *, add_generation_prompt: bool) -> str:
        if not self.tokenizer.chat_template:
            raise TracekdError(f"{self._name}: has no chat template; choose an instruct model")
        template = fixed_template(self.tokenizer.get_chat_template(), self._template_args)
        messages = [{"role": role, "content": _MARKERS[role]} for role in roles]
        try:
            rendered = self.tokenizer.apply_chat_template(
                messages,
                chat_template=template,
                tokenize=False,
                add_generation_prompt=add_generation_prompt,
            )
        except Exception as error:  # a template may raise anything, jinja2 errors among them
            raise TracekdError(
                f"{self._name}: its chat template refuses {' and '.join(roles)} messages: {error}"
            ) from error
        return str(rendered)

    def _control_ids(self, piece: str) -> list[int]:
        return list(self.tokenizer(piece, add_special_tokens=False)["input_ids"])

    @property
    def _name(self) -> str:
        return str(self.tokenizer.name_or_path or "the tokenizer")


def fixed_template(template: str, arguments: TemplateArgs) -> str:
    """Return a chat template that needs neither the arguments nor the clock.

    The prompts of a published student are then those that it was trained with.
    """
    # "+" keeps a line break after it.
    filled = "".join(
        f"{{% set {name} = {json.dumps(value)} +%}}" for name, value in arguments.items()
    )
    return (_FIXED_DATE if _CLOCK in template else "") + filled + template


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
