"""What continues prompts, greedily: one module per backend, registered here by name.

    transformers.py  this process, on any device
        packed.py    rows of different length in one pass, no padding
        drafts.py    guesses at the next tokens
        decoding.py  reads prompts, verifies guesses
    vllm.py          an extra, on NVIDIA GPUs

To add one: a class with the constructor of `BackendClass` and what `Backend` asks for, and its line
in `BACKENDS`. What it generates with, a tokenizer too, it finds at `model.name_or_path`.
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


_ASKED_FOR = ("batches", "generate", "crew_memory")


class BackendClass(Protocol):
    """Makes a backend.

    Attributes:
        copies: whether it puts a copy of the model on the device; the model is then loaded on the
            CPU, so that there is room for the copy.
    """

    copies: bool

    def __call__(
        self,
        model: "PreTrainedModel",
        stops: frozenset[int],
        device: "Device",
        taught: Sequence[Sequence[int]] = (),
        /,
        *,
        max_length: int | None = None,
    ) -> Backend:
        """Return a backend.

        Args:
            model: the student; the backend may change how it computes, and where.
            stops: tokens that end an answer, and that its answers end with.
            device: where to compute.
            taught: answers of the kind to be expected; they save time and change nothing.
            max_length: longest prompt and answer together; None: the model's own limit.
        """
        ...


#: Ways to continue prompts, by the name that `infer.backend` gives them.
BACKENDS: dict[str, BackendClass] = {"transformers": TransformersBackend, "vllm": VllmBackend}


def check_name(name: str) -> None:
    """Raise unless `infer.backend` may have that name.

    Raises:
        TracekdError: naming the nearest backends.
    """
    known = ["auto", *BACKENDS]
    if name not in known:
        raise TracekdError(
            f"params.yaml: infer.backend: unknown backend {name!r}; {nearest(name, known)} "
            "(an own one: src/tracekd/backends/__init__.py)"
        )


def choose_backend(name: str, device: "Device") -> str:
    """Return a name in `BACKENDS`; `auto` is vLLM where it is installed and there is a GPU.

    Raises:
        TracekdError: if the name is unknown.
    """
    if name == "auto":
        fast = device.device.type == "cuda" and importlib.util.find_spec("vllm") is not None
        return "vllm" if fast else "transformers"
    check_name(name)
    return name


def make_backend(
    name: str,
    model: "PreTrainedModel",
    encoder: ChatEncoder,
    device: "Device",
    taught: Sequence[Sequence[int]] = (),
    max_length: int | None = None,
) -> Backend:
    """Return a backend by its registered name, or `auto`, for a model on its device.

    Args:
        name: what `choose_backend` knows.
        model: the student; the backend may change how it computes, and where.
        encoder: knows the tokens that end an answer.
        device: where the model is.
        taught: answers of the kind to be expected, as tokens. They may save time, and change
            nothing.
        max_length: longest prompt and answer together; None: the model's own limit.
    """
    chosen = choose_backend(name, device)
    made = BACKENDS[chosen](model, stop_ids(model, encoder), device, taught, max_length=max_length)
    # Now rather than after the answers: type checkers see this, but not everyone runs one.
    if missing := [each for each in _ASKED_FOR if not hasattr(made, each)]:
        raise TracekdError(f"backend {chosen}: {type(made).__name__} has no {', '.join(missing)}")
    return made


def stop_ids(model: "PreTrainedModel", encoder: ChatEncoder) -> frozenset[int]:
    """Return the tokens that end an answer: the template's end of turn and the model's own EOS."""
    own = model.generation_config.eos_token_id if model.generation_config is not None else None
    others = own if isinstance(own, list) else [own]
    ids = {encoder.end_of_turn, encoder.tokenizer.eos_token_id, *others}
    return frozenset(token for token in ids if token is not None)
