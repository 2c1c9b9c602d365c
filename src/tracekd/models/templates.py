"""A model's chat template as tokens: what comes before, between and after the messages' texts.

The template is rendered once around markers and cut at them, so text from the data never passes
through it. A template that removes think blocks from earlier turns sees none in a marker: whatever
is put in the marker's place is shown whole.
"""

import json
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from tracekd.errors import TracekdError

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

#: Stands in for a message while the template is rendered. Letters and digits only, so that a
#: template that trims, splits or changes white space leaves it whole.
_MARKER = "TRACEKD7Q{}Q"
_MARKERS = re.compile(_MARKER.format(r"\d+"))
#: Some templates (Llama 3.x) print the current date by calling this: the same question would get
#: another prompt tomorrow. The macro answers with the date that those templates fall back to.
_CLOCK = "strftime_now"
_FIXED_DATE = "{% macro " + _CLOCK + "(format) %}26 Jul 2024{% endmacro %}"
#: What only a completion may open; in a prompt's end it would be there in every regime.
_BLOCKS = re.compile(r"</? *(?:think\w*|answer) *>", re.IGNORECASE)
#: How Qwen3's template switches thinking off: a part of the prompt, the same in every regime.
_EMPTY_BLOCK = re.compile(r"<think>\s*</think>")

TemplateArgs = Mapping[str, bool | str]


class ChatTemplate:
    """The chat template of one tokenizer, with its arguments; `name` is the model's."""

    def __init__(
        self, tokenizer: "PreTrainedTokenizerBase", arguments: TemplateArgs, *, native_tags: bool
    ) -> None:
        """Take a tokenizer; with `native_tags`, traces are in the model's own think block."""
        self.tokenizer, self._arguments, self._native_tags = tokenizer, arguments, native_tags
        self.name = str(tokenizer.name_or_path or "the tokenizer")

    def cut(self, roles: Sequence[str]) -> list[list[int]]:
        """Return the tokens before, between and after messages of these roles.

        The last piece ends where the assistant starts to speak.

        Raises:
            TracekdError: if there is no template, if it does not show every message once and in
                order, or if it opens or fills a block of the grammar in the assistant's turn.
        """
        rendered = self._render(roles, add_generation_prompt=True)
        if _MARKERS.findall(rendered) != [_MARKER.format(place) for place in range(len(roles))]:
            raise TracekdError(
                f"{self.name}: its chat template does not show each message "
                f"({' '.join(roles)}) exactly once and in order; choose another model, or empty "
                "prompt.system or set prompt.shots: 0 (params.yaml)"
            )
        pieces = _MARKERS.split(rendered)
        for piece, role in zip(pieces, [*roles, "assistant"], strict=True):
            if role == "assistant":
                self._check_turn(piece)
        return [self._control_ids(piece) for piece in pieces]

    def end_of_turn(self) -> int:
        """Return the special token that ends an assistant's turn."""
        dialogue = self._render(["user", "assistant"], add_generation_prompt=False)
        tail = self._control_ids(dialogue.rpartition(_MARKER.format(1))[2])
        end = tail[0] if tail else self.tokenizer.eos_token_id
        if end not in self.tokenizer.all_special_ids:
            raise TracekdError(
                f"{self.name}: its chat template ends a turn with "
                f"{self.tokenizer.decode([end])!r}, which is no special token; "
                "generation could not stop there"
            )
        return int(end)

    def _check_turn(self, head: str) -> None:
        """Raise if the text before an assistant's message begins what belongs to a completion."""
        if block := _BLOCKS.search(_EMPTY_BLOCK.sub("", head)):
            # Regimes without a trace would answer in or after a trace, the others write a second.
            raise TracekdError(
                f"{self.name}: its chat template begins the assistant's turn with {head!r}; "
                f"{block[0]} belongs to the completion, or the regimes could not be compared. "
                "Change template_args in models.yaml (Qwen3: enable_thinking: false), or choose "
                "another model"
            )
        if self._native_tags and _EMPTY_BLOCK.search(head):
            raise TracekdError(
                f"{self.name}: its chat template begins the assistant's turn with an empty think "
                "block, and native_tags would write a second one; in models.yaml, remove "
                "native_tags or the template_args that switch thinking off"
            )

    def _render(self, roles: Sequence[str], *, add_generation_prompt: bool) -> str:
        if not self.tokenizer.chat_template:
            raise TracekdError(f"{self.name}: has no chat template; choose an instruct model")
        template = self.tokenizer.get_chat_template()
        messages = [
            {"role": role, "content": _MARKER.format(place)} for place, role in enumerate(roles)
        ]
        try:
            rendered = self.tokenizer.apply_chat_template(
                messages,
                chat_template=fixed_template(template, self._arguments),
                tokenize=False,
                add_generation_prompt=add_generation_prompt,
            )
        except Exception as error:  # a template may raise anything, jinja2 errors among them
            raise TracekdError(
                f"{self.name}: its chat template refuses {' and '.join(dict.fromkeys(roles))} "
                f"messages: {error}"
            ) from error
        return str(rendered)

    def _control_ids(self, piece: str) -> list[int]:
        return list(self.tokenizer(piece, add_special_tokens=False)["input_ids"])


def fixed_template(template: str, arguments: TemplateArgs) -> str:
    """Return a chat template that needs neither the arguments nor the clock.

    The prompts of a published student are then those that it was trained with.
    """
    # "+" keeps a line break after it.
    filled = "".join(
        f"{{% set {name} = {json.dumps(value)} +%}}" for name, value in arguments.items()
    )
    return (_FIXED_DATE if _CLOCK in template else "") + filled + template
