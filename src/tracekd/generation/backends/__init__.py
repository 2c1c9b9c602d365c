"""Backends: what continues prompts. One module each, found by name.

    transformers.py  this process, on any device
    vllm.py          an extra, on NVIDIA GPUs, for large jobs

To add one, put a module here. It needs `make(student) -> Backend`, and may have

    PACKAGES  packages that decide what it generates, beside torch and transformers: their versions
              become part of what predictions were made from
    BATCHES   how many batches of `infer.batch_size` prompts `generate` gets at once; 1 without it
"""

import importlib
import importlib.util
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from tracekd.generation.sampling import GREEDY, Sampler
from tracekd.models.devices import Device
from tracekd.models.encoding import ChatEncoder

if TYPE_CHECKING:
    from transformers import PreTrainedModel

#: Most new tokens from which vLLM's start, about a minute, pays for itself: packed decoding makes
#: some 20,000 tokens a second of a 1B model, and most answers end long before their limit.
_LARGE_JOB = 5_000_000


@dataclass(frozen=True)
class Student:
    """What a backend is made from.

    Attributes:
        load: loads the student, adapter merged, onto a device, ready for generation.
        device: where to compute, and in which number format.
        encoder: turns text into the model's tokens and back.
        stops: tokens that end an answer.
        max_length: longest prompt and answer together, in tokens.
        examples: token sequences like those to be expected; they may save time, and change nothing.
        sampler: how tokens are chosen.
        folder: of the student if it is a whole model, for backends that load it themselves; None if
            it has an adapter, which `load` merges.
    """

    load: Callable[[Device], "PreTrainedModel"]
    device: Device
    encoder: ChatEncoder
    stops: frozenset[int]
    max_length: int
    examples: Sequence[Sequence[int]] = ()
    sampler: Sampler = GREEDY
    folder: Path | None = None


class Backend(Protocol):
    """Continues prompts with tokens as the student's `sampler` chooses them."""

    def generate(
        self, prompts: Sequence[Sequence[int]], limits: Sequence[int], seeds: Sequence[int] = ()
    ) -> list[list[int]]:
        """Return the new tokens of each prompt, up to and including a stop token.

        There is at least one prompt, and none is empty. `limits` are how many new tokens each may
        have, at least one; `seeds`, below 2**63, what each draws by, none needed if greedy.
        """
        ...

    def close(self) -> None:
        """Release all memory, for another model to load."""
        ...


def backend_module(name: str) -> Any:
    """Import a backend by the name of its module."""
    return importlib.import_module(f"{__name__}.{name}")


def choose_backend(name: str, device: Device, new_tokens: int) -> str:
    """Return `name`; for `auto`, vLLM if the job is large, on a GPU, and it is installed.

    `new_tokens` is the most that the job may generate.
    """
    if name != "auto":
        return name
    if device.device.type != "cuda" or new_tokens < _LARGE_JOB:
        return "transformers"
    installed = importlib.util.find_spec("vllm") is not None
    if not installed:
        print(f"infer.backend: vllm, faster for {new_tokens:,} new tokens, is not installed")
    return "vllm" if installed else "transformers"


def stop_ids(folder: Path, encoder: ChatEncoder) -> frozenset[int]:
    """Return the tokens that end an answer: the template's end of turn and the model's own EOS."""
    from transformers import AutoConfig, GenerationConfig

    try:
        config = GenerationConfig.from_pretrained(folder)
    except OSError:  # no generation_config.json: transformers takes it from the model's config
        config = GenerationConfig.from_model_config(AutoConfig.from_pretrained(folder))
    others = config.eos_token_id
    others = others if isinstance(others, list) else [others]
    ids = {encoder.end_of_turn, encoder.tokenizer.eos_token_id, *others}
    return frozenset(token for token in ids if token is not None)
