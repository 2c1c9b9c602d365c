import pytest
import torch
from transformers import AutoConfig, AutoModelForCausalLM

from tracekd.models.encoding import ChatEncoder
from tracekd.models.tiny import tiny_tokenizer

SIZES = {"vocab_size": 800, "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2}
SIZES |= {"num_attention_heads": 4, "num_key_value_heads": 2, "pad_token_id": 0}
SIZES["initializer_range"] = 0.5  # less, and greedy answers repeat one token
WINDOW = {"use_sliding_window": True, "sliding_window": 4, "max_window_layers": 1}
#: Small models by what is special about their attention.
KINDS = {
    "llama": ("llama", {}),
    "qwen3": ("qwen3", {"head_dim": 16}),
    "sliding window": ("qwen2", WINDOW),
    "soft cap": ("gemma2", {"head_dim": 16}),
    "sinks": ("gpt_oss", {"head_dim": 16, "num_local_experts": 2, "num_experts_per_tok": 1}),
    "state outside attention": ("lfm2", {"layer_types": ["conv", "full_attention"]}),
    "attention of its own": ("bloom", {"n_layer": 2, "n_head": 4}),
}


@pytest.fixture(scope="module", autouse=True)
def threads(one_thread):
    """Each module computes in one thread."""


@pytest.fixture(scope="session")
def tiny():
    """Return a function that makes the same small random model of a kind each time."""

    def make(kind="llama", dtype=torch.float32):
        name, settings = KINDS[kind]
        config = AutoConfig.for_model(name, **{**SIZES, **settings})
        torch.manual_seed(1)
        return AutoModelForCausalLM.from_config(config, dtype=dtype).eval()

    return make


@pytest.fixture(scope="session")
def encoder():
    return ChatEncoder(tiny_tokenizer("llama"))
