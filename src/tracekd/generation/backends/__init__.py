"""What continues prompts, greedily: one module per backend, registered here by name.

    transformers.py  this process, on any device
        packed.py    rows of different length in one pass, no padding
        drafts.py    guesses at the next tokens
        decoding.py  reads prompts, verifies guesses
    vllm.py          an extra, on NVIDIA GPUs

To add one: a module with a class that has what `Backend` and `MakesBackend` list, the line
`BACKEND: MakesBackend = TheClass`, by which mypy compares them, and its line in `BACKENDS`.
"""

import importlib
import importlib.util
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Protocol, cast

from tracekd.errors import TracekdError, nearest

if TYPE_CHECKING:
    from transformers import PreTrainedModel

    from tracekd.models.devices import Device
    from tracekd.models.encoding import ChatEncoder

#: Ways to continue prompts, by the name that `infer.backend` gives them. A fixed table, as
#: `READERS` of data sets is; nothing of a backend is imported before it is chosen.
BACKENDS = {
    "transformers": "tracekd.generation.backends.transformers",
    "vllm": "tracekd.generation.backends.vllm",
}
#: What `Backend` and `MakesBackend` list.
_OF_AN_OBJECT = ("generate", "batches", "crew_memory")
_OF_A_CLASS = ("on_cpu", "packages")


@dataclass(frozen=True)
class Student:
    """What a backend is made from, and takes what it needs of.

    Attributes:
        model: the student; the backend may change how it computes, and where.
        encoder: turns text into the model's tokens and back.
        stops: tokens that end an answer.
        device: where to compute, and in which number format.
        max_length: longest prompt and answer together, in tokens.
        taught: answers of the kind to be expected, as tokens. They may save time, and change
            nothing.
    """

    model: "PreTrainedModel"
    encoder: "ChatEncoder"
    stops: frozenset[int]
    device: "Device"
    max_length: int
    taught: Sequence[Sequence[int]] = ()


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


class MakesBackend(Protocol):
    """The class of a backend.

    Attributes:
        on_cpu: whether it wants the student in main memory, whatever the device.
        packages: those that decide what it says, beside torch and transformers; their versions
            are part of what its answers were made from.
    """

    on_cpu: bool
    packages: tuple[str, ...]

    def __call__(self, student: Student, /) -> Backend:
        """Return a backend."""
        ...


def check_backend(name: str) -> None:
    """Refuse a name that is neither `auto` nor in `BACKENDS`; nothing is imported for it.

    Raises:
        TracekdError: naming the known ones.
    """
    known = ["auto", *BACKENDS]
    if name not in known:
        raise TracekdError(
            f"params.yaml: infer.backend: unknown backend {name!r}; {nearest(name, known)} "
            "(to add one: src/tracekd/generation/backends/__init__.py)"
        )


def choose_backend(name: str, device: "Device") -> str:
    """Return a name in `BACKENDS`; `auto` is vLLM where it is installed and there is a GPU.

    Raises:
        TracekdError: if the name is unknown.
    """
    check_backend(name)
    if name == "auto":
        fast = device.device.type == "cuda" and importlib.util.find_spec("vllm") is not None
        return "vllm" if fast else "transformers"
    return name


def backend_class(name: str) -> MakesBackend:
    """Import a backend by its name in `BACKENDS`.

    Raises:
        TracekdError: if its module does not say which class it is, or the class lacks something.
    """
    found = getattr(importlib.import_module(BACKENDS[name]), "BACKEND", None)
    if found is None:
        raise TracekdError(
            f"{BACKENDS[name]}: says of no class that it is the backend {name}; add the line "
            "BACKEND: MakesBackend = TheClass (see src/tracekd/generation/backends/__init__.py)"
        )
    _require(name, found, _OF_A_CLASS)
    return cast(MakesBackend, found)


def student_device(name: str, device: "Device") -> "Device":
    """Return where to load the student for a backend of that name, in the device's format."""
    import torch

    if backend_class(name).on_cpu:
        return replace(device, device=torch.device("cpu"))
    return device


def make_backend(name: str, student: Student) -> Backend:
    """Return a backend by its registered name, or `auto`.

    Raises:
        TracekdError: if the name is unknown, or the backend lacks what `Backend` lists.
    """
    chosen = choose_backend(name, student.device)
    backend = backend_class(chosen)(student)
    _require(chosen, backend, _OF_AN_OBJECT)
    return backend


def _require(name: str, owner: Any, wanted: Sequence[str]) -> None:
    """Refuse a backend that would fail later: at worst after hours, with all answers generated."""
    if missing := [attribute for attribute in wanted if not hasattr(owner, attribute)]:
        kind = owner if isinstance(owner, type) else type(owner)
        raise TracekdError(
            f"{BACKENDS[name]}: {getattr(kind, '__name__', kind)} lacks {', '.join(missing)}; a "
            "backend has what Backend and MakesBackend in "
            "src/tracekd/generation/backends/__init__.py list"
        )


def stop_ids(model: "PreTrainedModel", encoder: "ChatEncoder") -> frozenset[int]:
    """Return the tokens that end an answer: the template's end of turn and the model's own EOS."""
    own = model.generation_config.eos_token_id if model.generation_config is not None else None
    others = own if isinstance(own, list) else [own]
    ids = {encoder.end_of_turn, encoder.tokenizer.eos_token_id, *others}
    return frozenset(token for token in ids if token is not None)
