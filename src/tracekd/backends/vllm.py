"""vLLM: many prompts at once on a GPU, with prefix caching and paged attention."""

import tempfile
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from tracekd.errors import TracekdError

if TYPE_CHECKING:
    from transformers import PreTrainedModel

    from tracekd.devices import Device


class VllmBackend:
    """The merged student, served by vLLM in this process.

    vLLM reads models from folders, so the student is saved into a temporary one first.
    """

    #: vLLM schedules by itself, the better the more it is given.
    batches = 64

    def __init__(
        self,
        model: "PreTrainedModel",
        stops: frozenset[int],
        device: "Device",
        _taught: Sequence[Sequence[int]] = (),
    ) -> None:
        """Generate with `model` until a token of `stops`; `model` leaves the GPU.

        Raises:
            TracekdError: if vLLM is not installed or `device` is not a GPU.
        """
        if device.device.type != "cuda":
            raise TracekdError(
                f"params.yaml: infer.backend: vllm needs an NVIDIA GPU, and this machine computes "
                f"on {device.device.type}; use auto or transformers"
            )
        try:
            from vllm import LLM
        except ImportError as error:
            raise TracekdError(
                "params.yaml: infer.backend: vllm needs the package vllm; pip install -e '.[vllm]'"
            ) from error
        self._stops = sorted(stops)
        model.to("cpu")
        with tempfile.TemporaryDirectory() as folder:
            model.save_pretrained(folder)
            self._llm: Any = LLM(
                model=folder,
                skip_tokenizer_init=True,
                dtype=str(device.dtype).removeprefix("torch."),
                enable_prefix_caching=True,
                seed=0,
            )

    def generate(self, prompts: Sequence[Sequence[int]], limits: Sequence[int]) -> list[list[int]]:
        """Return the new tokens of each prompt; see `Backend`."""
        from vllm import SamplingParams

        outputs = self._llm.generate(
            [{"prompt_token_ids": list(prompt)} for prompt in prompts],
            [SamplingParams(**sampling(limit, self._stops)) for limit in limits],
            use_tqdm=False,
        )
        return [up_to_stop(list(output.outputs[0].token_ids), self._stops) for output in outputs]

    def crew_memory(self) -> int:
        """Return 0: vLLM works on the GPU."""
        return 0


def sampling(limit: int, stops: Sequence[int]) -> dict[str, Any]:
    """Return the arguments of vLLM's `SamplingParams` for a greedy answer of token ids."""
    return {
        "temperature": 0.0,
        "max_tokens": limit,
        "stop_token_ids": list(stops),
        "ignore_eos": True,  # its own EOS is among `stops`, if it is to stop an answer
        "detokenize": False,
    }


def up_to_stop(tokens: list[int], stops: Sequence[int]) -> list[int]:
    """Return `tokens` up to and with the first that is in `stops`."""
    for place, token in enumerate(tokens):
        if token in stops:
            return tokens[: place + 1]
    return tokens
