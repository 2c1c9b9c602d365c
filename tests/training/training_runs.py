"""Tiny students, a few rows, and runs of the training loop on them."""

from pathlib import Path

from tracekd.config import LoraParams, TrainParams, load_model
from tracekd.models.adapters import add_adapter
from tracekd.models.devices import Device
from tracekd.models.encoding import Encoded
from tracekd.models.loading import load_base, load_encoder

ROOT = Path(__file__).resolve().parents[2]
PARAMS = TrainParams(
    epochs=2, batch_size=2, learning_rate=1e-3, warmup=0.1, evaluations=2, compile="never",
    lora=LoraParams(rank=4, alpha=8, dropout=0.1),
)  # fmt: skip
A = Encoded("a", [1, 2, 3], [4, 5, 6, 9], 2)
B = Encoded("b", [1, 9], [7, 9], 0)


def rows(count, split="train"):
    places = ["kitchen", "garden", "office"]
    made = []
    for number in range(count):
        place = places[number % 3]
        trace = f"<think>\n- Mary went to the {place}.\n</think>\n" if number % 2 else ""
        made.append(
            {
                "id": f"t/{split}/{number}",
                "system": "You are helpful.",
                "prompt": "Mary is here. " * (number % 4) + f"Mary went to the {place}. Where?",
                "completion": f"{trace}<answer>{place}</answer>",
                "answer_start": len(trace),
            }
        )
    return made


def spec(name="tiny_llama"):
    return load_model(ROOT / "models.yaml", name)


def exact():
    import torch

    return Device(torch.device("cpu"), torch.float32)


def encoded(count, name="tiny_llama"):
    encoder = load_encoder(spec(name))
    return [encoder.encode(row) for row in rows(count)]


def with_changes(changes):
    """PARAMS with other values; `dropout` is the adapter's."""
    if "dropout" in changes:
        dropout = changes["dropout"]
        changes = {**changes, "lora": PARAMS.lora.model_copy(update={"dropout": dropout})}
        del changes["dropout"]
    return PARAMS.model_copy(update=changes)


class Workshop:
    """Runs the loop in a temporary folder, each run with a log of its own."""

    def __init__(self, folder):
        self.folder, self._runs = folder, 0

    def student(self, name="tiny_llama", **changes):
        base = load_base(spec(name), exact())
        return add_adapter(base, with_changes(changes), seed=3)

    def fit(self, model, examples, seed=0, **changes):
        from tracekd.training.loop import fit

        self._runs += 1
        self.log = self.folder / f"log{self._runs}"
        progress = self.folder / "progress"
        progress.mkdir(exist_ok=True)
        params = with_changes(changes)
        return fit(model, examples, examples, params, seed, exact(), self.log, progress)


def trained_weights(model):
    import torch

    return torch.cat([w.detach().flatten() for w in model.parameters() if w.requires_grad])
