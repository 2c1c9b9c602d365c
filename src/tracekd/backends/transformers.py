"""A model of transformers in this process: packed rows, a preallocated cache, drafted tokens."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from tracekd.backends.drafts import DRAFT, Recollection

if TYPE_CHECKING:
    from transformers import PreTrainedModel

    from tracekd.devices import Device


class TransformersBackend:
    """Greedy decoding in which every forward pass may yield several tokens of a row.

    The tokens are those of decoding one by one: in exact arithmetic always, in bf16 but for near
    ties, as between any two batch sizes.
    """

    #: How many batches of `infer.batch_size` prompts it wants at once.
    batches = 1

    def __init__(
        self,
        model: "PreTrainedModel",
        stops: frozenset[int],
        device: "Device",
        taught: Sequence[Sequence[int]] = (),
        draft: int = DRAFT,
    ) -> None:
        """Generate with `model`, which is on `device`, until a token of `stops`.

        Args:
            model: its attention function is replaced.
            stops: tokens that end an answer.
            device: where the model is.
            taught: answers of the kind to be expected; they save time and change nothing.
            draft: most tokens to guess at once; 0 for decoding one by one.
        """
        from tracekd.backends.packed import PackedModel
        from tracekd.kernels.norms import fuse_norm

        model.requires_grad_(False)
        if device.device.type == "cpu":
            for module in model.modules():
                fuse_norm(module)
        self._model, self._stops, self._draft = PackedModel(model), stops, draft
        self._taught = Recollection()
        for answer in taught:
            self._taught.extend(answer, new=True)

    def generate(self, prompts: Sequence[Sequence[int]], limits: Sequence[int]) -> list[list[int]]:
        """Return the new tokens of each prompt; see `Backend`."""
        import torch

        from tracekd.backends.decoding import decode, read_prompts

        longest = max(len(prompt) + limit for prompt, limit in zip(prompts, limits, strict=True))
        with torch.inference_mode():
            cache = self._model.cache(len(prompts), longest)
            said = [[token] for token in read_prompts(self._model, cache, prompts)]
            decode(
                self._model, cache, prompts, said, limits, self._stops, self._taught, self._draft
            )
        return said
