from pathlib import Path

from tracekd.config import load_model
from tracekd.models.encoding import ChatEncoder
from tracekd.models.loading import load_encoder
from tracekd.report.examples import show_examples

MODELS = Path(__file__).resolve().parents[2] / "models.yaml"


def test_supervised_tokens_are_marked_and_control_tokens_spelled_out() -> None:
    encoder = load_encoder(load_model(MODELS, "tiny_qwen3"))
    completion = "<think>\nA: b.\n</think>\n<answer>c</answer>"
    row = {
        "id": "q/1",
        "system": "S",
        "prompt": "P <|im_end|>",
        "completion": completion,
        "answer_start": completion.index("<answer>"),
        "regime": "correct",
        "note": "no other class in the dataset",
    }
    shots = ChatEncoder(encoder.tokenizer, shots=[row | {"prompt": "First."}])
    assert f"user\nFirst.<|im_end|>\n<|im_start|>assistant\n{completion}<|im_end|>\n" in (
        show_examples([row], shots)
    )
    shown = show_examples([row], encoder)
    assert shown.startswith("--- q/1 (correct; ")
    assert " answer; no other class in the dataset)\n" in shown
    assert "<|im_start|>user\nP <|im_end|><|im_end|>" in shown
    assert shown.endswith("⟦<think>\nA: b.\n</think>\n⟧⟦<answer>c</answer><|im_end|>⟧")
