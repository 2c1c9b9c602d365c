"""What continues prompts, greedily: one module per backend, registered here by name.

    transformers.py  this process, on any device
        packed.py    rows of different length in one pass, no padding
        drafts.py    guesses at the next tokens
        decoding.py  reads prompts, verifies guesses
    vllm.py          an extra, on NVIDIA GPUs

To add one: a class with the constructor of the others and `Backend`'s attributes, and its line in
`BACKENDS`.
"""

import importlib.util
from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

from tracekd.backends.transformers import TransformersBackend
from tracekd.backends.vllm import VllmBackend
from tracekd.encoding import ChatEncoder
from tracekd.errors import TracekdError, nearest

if TYPE_CHECKING:
    from transformers import PreTrainedModel

    from tracekd.devices import Device

#: Ways to continue prompts, by the name that `infer.backend` gives them.
BACKENDS = {"transformers": TransformersBackend, "vllm": VllmBackend}


class Backend(Protocol):
    """Continues prompts with the most likely token at every step.

    Attributes:
        batches: how many batches of `infer.batch_size` prompts it is given at once.
    """

    batches: int

    def generate(self, prompts: Sequence[Sequence[int]], limits: Sequence[int]) -> list[list[int]]:
        """Return the new tokens of each prompt, up to and with a stop token.

        A function of its arguments alone, so that a run that is resumed ends like one that is not.

        Args:
            prompts: not empty, none of them empty.
            limits: how many new tokens each may have, at least one.
        """
        ...

    def crew_memory(self) -> int:
        """Return the bytes of memory that other processes have taken beside this one."""
        ...


def choose_backend(name: str, device: "Device") -> str:
    """Return a name in `BACKENDS`; `auto` is vLLM where it is installed and there is a GPU.

    Raises:
        TracekdError: if the name is unknown.
    """
    if name == "auto":
        fast = device.device.type == "cuda" and importlib.util.find_spec("vllm") is not None
        return "vllm" if fast else "transformers"
    if name not in BACKENDS:
        known = ["auto", *BACKENDS]
        raise TracekdError(
            f"params.yaml: infer.backend: unknown backend {name!r}; {nearest(name, known)}"
        )
    return name


def make_backend(
    name: str,
    model: "PreTrainedModel",
    encoder: ChatEncoder,
    device: "Device",
    taught: Sequence[Sequence[int]] = (),
) -> Backend:
    """Return a backend by its registered name, or `auto`, for a model on its device.

    Args:
        name: what `choose_backend` knows.
        model: the student; the backend may change how it computes, and where.
        encoder: knows the tokens that end an answer.
        device: where the model is.
        taught: answers of the kind to be expected, as tokens. They may save time, and change
            nothing.
    """
    backend: Backend = BACKENDS[choose_backend(name, device)](
        model, stop_ids(model, encoder), device, taught
    )
    return backend


def stop_ids(model: "PreTrainedModel", encoder: ChatEncoder) -> frozenset[int]:
    """Return the tokens that end an answer: the template's end of turn and the model's own EOS."""
    own = model.generation_config.eos_token_id if model.generation_config is not None else None
    others = own if isinstance(own, list) else [own]
    ids = {encoder.end_of_turn, encoder.tokenizer.eos_token_id, *others}
    return frozenset(token for token in ids if token is not None)
