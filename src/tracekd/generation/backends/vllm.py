"""vLLM: many prompts at once on a GPU, with prefix caching and paged attention."""

import tempfile
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from tracekd.errors import TracekdError
from tracekd.generation.backends import Student
from tracekd.generation.plain import up_to_stop

PACKAGES = ("vllm",)
#: vLLM schedules by itself, the better the more it gets.
BATCHES = 64


class VllmBackend:
    """The merged student, served by vLLM in this process."""

    def __init__(self, student: Student) -> None:
        """Save the student into a temporary folder, from which vLLM loads it.

        Raises:
            TracekdError: if vLLM is not installed or the student's device is not an NVIDIA GPU.
        """
        kind = student.device.device.type
        if kind != "cuda":
            raise TracekdError(
                f"params.yaml: infer.backend: vllm needs an NVIDIA GPU, but this machine computes "
                f"on {kind}; use auto or transformers"
            )
        try:
            from vllm import LLM
        except ImportError as error:
            raise TracekdError(
                "params.yaml: infer.backend: vllm needs the package vllm; pip install -e '.[vllm]'"
            ) from error
        import torch

        self._stops = student.stops
        # On the CPU: vLLM claims nine tenths of the GPU's memory and fails if less is free.
        model = student.load(replace(student.device, device=torch.device("cpu")))
        with tempfile.TemporaryDirectory() as folder:
            model.save_pretrained(folder)
            del model
            self._llm: Any = LLM(
                model=folder,
                skip_tokenizer_init=True,
                dtype=str(student.device.dtype).removeprefix("torch."),
                # By default it reserves memory for an answer as long as the model allows.
                max_model_len=student.max_length,
                enable_prefix_caching=True,
                seed=0,
            )

    def generate(self, prompts: Sequence[Sequence[int]], limits: Sequence[int]) -> list[list[int]]:
        """Return the new tokens of each prompt; see `Backend`."""
        from vllm import SamplingParams

        outputs = self._llm.generate(
            [{"prompt_token_ids": list(prompt)} for prompt in prompts],
            [SamplingParams(**sampling_arguments(limit, self._stops)) for limit in limits],
            use_tqdm=False,
        )
        return [up_to_stop(list(output.outputs[0].token_ids), self._stops) for output in outputs]


def sampling_arguments(limit: int, stops: frozenset[int]) -> dict[str, Any]:
    """Return the arguments of vLLM's `SamplingParams` for a greedy answer of token ids."""
    return {
        "temperature": 0.0,
        "max_tokens": limit,
        "stop_token_ids": sorted(stops),
        "ignore_eos": True,  # its own EOS is among `stops`, if it is to stop an answer
        "detokenize": False,
    }


make = VllmBackend
