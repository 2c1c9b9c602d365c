"""vLLM: many prompts at once on a GPU, with prefix caching and paged attention."""

import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from tracekd.config import project_root
from tracekd.errors import TracekdError
from tracekd.files import read_json
from tracekd.generation.backends import Student
from tracekd.generation.plain import release_memory, up_to_stop
from tracekd.generation.sampling import Sampler

PACKAGES = ("vllm",)
#: vLLM schedules by itself, the better the more it gets.
BATCHES = 64
#: Ranks of adapters that its kernels are made for.
_RANKS = (8, 16, 32, 64, 128, 256)
#: Settings of PEFT's adapters that it does not know.
_UNKNOWN = ("use_dora", "modules_to_save", "rank_pattern", "alpha_pattern")


class VllmBackend:
    """The student, served by vLLM in this process."""

    def __init__(self, student: Student) -> None:
        """Let vLLM load the base model and a LoRA adapter, or a whole model, from their folders.

        Other students (QLoRA, DoRA) are merged first, into a temporary folder of the project.

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
            from vllm.lora.request import LoRARequest
        except ImportError as error:
            raise TracekdError(
                "params.yaml: infer.backend: vllm needs the package vllm; pip install -e '.[vllm]'"
            ) from error
        self._stops, self._sampler = student.stops, student.sampler
        self._adapter: Any = None
        arguments: dict[str, Any] = {}
        with ExitStack() as until_loaded:
            model, rank = loadable(student)
            if model is None:
                (scratch := project_root() / ".checkpoints").mkdir(exist_ok=True)
                temporary = tempfile.TemporaryDirectory(prefix="vllm-", dir=scratch)
                model = Path(until_loaded.enter_context(temporary))
                student.load(student.device).save_pretrained(model)
                release_memory()  # vLLM claims nine tenths of the GPU's
            if rank:
                self._adapter = LoRARequest("student", 1, str(student.folder))
                arguments = {"enable_lora": True, "max_lora_rank": rank}
            self._llm: Any = LLM(
                model=str(model),
                skip_tokenizer_init=True,
                dtype=str(student.device.dtype).removeprefix("torch."),
                # By default it reserves memory for an answer as long as the model allows.
                max_model_len=student.max_length,
                enable_prefix_caching=True,
                seed=0,
                **arguments,
            )

    def generate(
        self, prompts: Sequence[Sequence[int]], limits: Sequence[int], seeds: Sequence[int] = ()
    ) -> list[list[int]]:
        """Return the new tokens of each prompt; see `Backend`."""
        from vllm import SamplingParams

        rows = zip(limits, seeds or [0] * len(limits), strict=True)
        outputs = self._llm.generate(
            [{"prompt_token_ids": list(prompt)} for prompt in prompts],
            [
                SamplingParams(**sampling_arguments(limit, self._stops, self._sampler, seed))
                for limit, seed in rows
            ],
            use_tqdm=False,
            lora_request=self._adapter,
        )
        return [up_to_stop(list(output.outputs[0].token_ids), self._stops) for output in outputs]

    def close(self) -> None:
        """End the engine's process, which holds nine tenths of the GPU's memory."""
        self._llm.llm_engine.engine_core.shutdown()
        del self._llm
        release_memory()


def loadable(student: Student) -> tuple[Path | None, int]:
    """Return the folder of a model that vLLM loads, and which rank it must allow adapters.

    Rank 0: no adapter. None: the student must be merged first.
    """
    folder = student.folder
    if folder is None or student.base is None:
        return student.base, 0
    note, adapter = folder / "training.json", folder / "adapter_config.json"
    method = read_json(note)["method"] if note.is_file() else "lora"
    if method in ("full", "none"):
        return (folder if method == "full" else student.base), 0
    config = read_json(adapter) if method == "lora" and adapter.is_file() else None
    if config is None or any(config.get(key) for key in _UNKNOWN):
        return None, 0
    rank = next((rank for rank in _RANKS if rank >= config["r"]), 0)
    return (student.base, rank) if rank else (None, 0)


def sampling_arguments(
    limit: int, stops: frozenset[int], sampler: Sampler, seed: int
) -> dict[str, Any]:
    """Return the arguments of vLLM's `SamplingParams` for an answer of token ids."""
    return {
        "temperature": sampler.temperature,
        "top_p": sampler.top_p,
        "seed": seed,
        "max_tokens": limit,
        "stop_token_ids": sorted(stops),
        "ignore_eos": True,  # its own EOS is among `stops`, if it is to stop an answer
        "detokenize": False,
    }


make = VllmBackend
