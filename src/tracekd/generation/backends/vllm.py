"""vLLM: many prompts at once on a GPU, with prefix caching and paged attention."""

import tempfile
from collections.abc import Sequence
from typing import Any, ClassVar

from tracekd.errors import TracekdError
from tracekd.generation.backends import MakesBackend, Student


class VllmBackend:
    """The merged student, served by vLLM in this process.

    vLLM reads models from folders, so the student is saved into a temporary one first.
    """

    #: vLLM schedules by itself, the better the more it is given.
    batches = 64
    #: vLLM claims nine tenths of the GPU's memory and fails if less is free. What the student has
    #: once taken there, torch keeps.
    on_cpu = True
    packages: ClassVar[tuple[str, ...]] = ("vllm",)

    def __init__(self, student: Student) -> None:
        """Generate with the student's model, which leaves the GPU.

        Raises:
            TracekdError: if vLLM is not installed or the student's device is not a GPU.
        """
        device = student.device
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
        import torch

        self._stops = sorted(student.stops)
        student.model.to("cpu")  # where it is already, unless someone has used it before
        torch.cuda.empty_cache()
        with tempfile.TemporaryDirectory() as folder:
            student.model.save_pretrained(folder)
            dtype = str(device.dtype).removeprefix("torch.")
            self._llm: Any = LLM(**engine(folder, dtype, student.max_length))

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


def engine(folder: str, dtype: str, max_length: int) -> dict[str, Any]:
    """Return the arguments of vLLM's `LLM`.

    Without `max_model_len` it demands room for one answer of the length in the model's own
    configuration, 131072 tokens for Llama 3.
    A longer one than that it refuses.
    https://docs.vllm.ai/en/latest/configuration/engine_args.html
    """
    return {
        "model": folder,
        "skip_tokenizer_init": True,
        "dtype": dtype,
        "max_model_len": max_length,
        "enable_prefix_caching": True,
        "seed": 0,
    }


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


BACKEND: MakesBackend = VllmBackend
