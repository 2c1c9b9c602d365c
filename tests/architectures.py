"""Tiny random models of many architectures, as configurations of `random:` entries.

Each has two layers or one period of its layer types, and mixes them where the architecture does.
"""

from typing import Any

_SIZES = {
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 2048,
}
_HEADS = {"head_dim": 8}
_WINDOW = {"sliding_window": 8, "layer_types": ["sliding_attention", "full_attention"]}
_EXPERTS = {"num_local_experts": 4, "num_experts_per_tok": 2}
_MAMBA = {"mamba_d_state": 16, "mamba_d_conv": 4, "mamba_expand": 2}
_MAMBA2 = {**_MAMBA, "mamba_n_heads": 4, "mamba_d_head": 16, "mamba_n_groups": 1}
_LINEAR = {
    "linear_conv_kernel_dim": 4,
    "linear_key_head_dim": 8,
    "linear_value_head_dim": 8,
    "linear_num_key_heads": 2,
    "linear_num_value_heads": 4,
    "layer_types": ["linear_attention", "full_attention"],
}
#: Attention alone carries what a token knows of others.
ATTENTION: dict[str, dict[str, Any]] = {
    "llama": {"model_type": "llama", **_SIZES},
    "qwen2": {"model_type": "qwen2", **_SIZES},
    "qwen3": {"model_type": "qwen3", **_SIZES, **_HEADS},
    "gemma2": {"model_type": "gemma2", **_SIZES, **_HEADS, **_WINDOW},
    "gemma3": {"model_type": "gemma3_text", **_SIZES, **_HEADS, **_WINDOW},
    "mistral": {"model_type": "mistral", **_SIZES, "sliding_window": 8},
    "phi3": {"model_type": "phi3", **_SIZES},
    "olmo2": {"model_type": "olmo2", **_SIZES},
    "gpt_oss": {"model_type": "gpt_oss", **_SIZES, **_HEADS, **_WINDOW, **_EXPERTS},
    "stablelm": {"model_type": "stablelm", **_SIZES},
}
#: Some layers keep state of their own: a convolution or a recurrence over tokens.
STATEFUL: dict[str, dict[str, Any]] = {
    "lfm2": {
        "model_type": "lfm2",
        **_SIZES,
        "block_auto_adjust_ff_dim": False,
        "layer_types": ["conv", "full_attention"],
    },
    "falcon_h1": {
        "model_type": "falcon_h1",
        **_SIZES,
        **_HEADS,
        **_MAMBA2,
        "mamba_d_ssm": 64,
    },
    "granitemoehybrid": {
        "model_type": "granitemoehybrid",
        **_SIZES,
        **_MAMBA2,
        **_EXPERTS,
        "shared_intermediate_size": 64,
        "layer_types": ["mamba", "attention"],
    },
    "mamba": {
        "model_type": "mamba",
        "hidden_size": 32,
        "num_hidden_layers": 2,
        "state_size": 16,
    },
    "mamba2": {
        "model_type": "mamba2",
        "hidden_size": 32,
        "num_hidden_layers": 2,
        "state_size": 16,
        "num_heads": 4,
        "head_dim": 16,
        "n_groups": 1,
    },
    "jamba": {
        "model_type": "jamba",
        **_SIZES,
        **_MAMBA,
        "num_experts": 4,
        "num_experts_per_tok": 2,
        "mamba_dt_rank": 8,
        "attn_layer_period": 2,
        "attn_layer_offset": 1,
        "expert_layer_period": 2,
        "expert_layer_offset": 1,
    },
    "qwen3_next": {
        "model_type": "qwen3_next",
        **_SIZES,
        **_HEADS,
        **_LINEAR,
        "num_experts": 4,
        "num_experts_per_tok": 2,
        "moe_intermediate_size": 32,
        "shared_expert_intermediate_size": 32,
    },
    "qwen3_5": {"model_type": "qwen3_5_text", **_SIZES, **_HEADS, **_LINEAR},
}
#: name -> `random: {template: llama, config: …}`
ARCHITECTURES = {**ATTENTION, **STATEFUL}
