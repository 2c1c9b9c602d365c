"""vLLM: many prompts at once on a GPU, with prefix caching and paged attention."""

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tracekd.config import project_root
from tracekd.errors import TracekdError
from tracekd.generation.backends import Student
from tracekd.generation.plain import release_memory, up_to_stop

PACKAGES = ("vllm",)
#: vLLM schedules by itself, the better the more it gets.
BATCHES = 64


class VllmBackend:
    """The student, served by vLLM in this process."""

    def __init__(self, student: Student) -> None:
        """Let vLLM load the student; one with an adapter is merged first, into a temporary folder.

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
        self._stops, self._sampler = student.stops, student.sampler
        (scratch := project_root() / ".checkpoints").mkdir(exist_ok=True)
        with tempfile.TemporaryDirectory(prefix="vllm-", dir=scratch) as temporary:
            folder = student.folder
            if folder is None:
                folder = Path(temporary)
                student.load(student.device).save_pretrained(folder)
                release_memory()  # vLLM claims nine tenths of the GPU's
            self._llm: Any = LLM(
                model=str(folder),
                skip_tokenizer_init=True,
                dtype=str(student.device.dtype).removeprefix("torch."),
                # By default it reserves memory for an answer as long as the model allows.
                max_model_len=student.max_length,
                enable_prefix_caching=True,
                seed=0,
            )

    def generate(
        self, prompts: Sequence[Sequence[int]], limits: Sequence[int], seeds: Sequence[int] = ()
    ) -> list[list[int]]:
        """Return the new tokens of each prompt; see `Backend`."""
        from vllm import SamplingParams

        outputs = self._llm.generate(
            [{"prompt_token_ids": list(prompt)} for prompt in prompts],
            [
                SamplingParams(
                    temperature=self._sampler.temperature,
                    top_p=self._sampler.top_p,
                    seed=seed,
                    max_tokens=limit,
                    stop_token_ids=sorted(self._stops),
                    ignore_eos=True,  # its own EOS is among `_stops`, if it is to stop an answer
                    detokenize=False,
                )
                for limit, seed in zip(limits, seeds or [0] * len(limits), strict=True)
            ],
            use_tqdm=False,
        )
        return [up_to_stop(list(output.outputs[0].token_ids), self._stops) for output in outputs]

    def close(self) -> None:
        """End the engine's process, which holds nine tenths of the GPU's memory."""
        self._llm.llm_engine.engine_core.shutdown()
        del self._llm
        release_memory()


make = VllmBackend
