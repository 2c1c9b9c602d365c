"""Random models of a few thousand weights, for smoke tests without a network.

Weights are a function of the configuration and of the versions of torch and transformers. The
tokenizers are byte-level BPE, trained on the words below, with the control tokens and a chat
template like those of the real family.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from tracekd.config import RandomModel
from tracekd.errors import TracekdError

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

_SEED = 20240726
_MERGES = 512
_WORDS = """
You are a helpful assistant that answers questions from the given context.
Answer the question based on the context: Question: Only return the answer.
The category of the question is: single-supporting-fact. two-supporting-facts. counting. lists-sets.
The temporal relation between the event in question and the event in context is: during. overlap.
I need to use the following facts to answer the question:
Where is Mary? Mary went to the kitchen. John moved to the garden. Sandra journeyed to the hallway.
Daniel travelled back to the office. Mary got the milk there. John picked up the football.
The bathroom is north of the bedroom. What is in the box? How many objects is she carrying? none
worked for, played for, was the head of the government of, was a member of, held the position of,
from January 1990 to December 1999, while, who, which, in the same time, yes, no, nothing, one, two
<think> </think> <answer> </answer>
"""

#: Writes BOS itself, trims messages, and ends turns with <|eot_id|>.
_LLAMA = (
    "{{ bos_token }}{% for message in messages %}"
    "<|start_header_id|>{{ message['role'] }}<|end_header_id|>\n\n"
    "{{ message['content'] | trim }}<|eot_id|>{% endfor %}"
    "{% if add_generation_prompt %}<|start_header_id|>assistant<|end_header_id|>\n\n{% endif %}"
)
#: No BOS. Removes think blocks from the assistant's messages, and starts a turn that must not think
#: with an empty one.
_QWEN3 = (
    "{% for message in messages %}{% set content = message['content'] %}"
    "{% if message['role'] == 'assistant' %}"
    "{% set content = content.split('</think>')[-1].lstrip('\n') %}{% endif %}"
    "<|im_start|>{{ message['role'] }}\n{{ content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n"
    "{% if enable_thinking is defined and not enable_thinking %}<think>\n\n</think>\n\n{% endif %}"
    "{% endif %}"
)
_FAMILIES: dict[str, dict[str, Any]] = {
    "llama": {
        "chat_template": _LLAMA,
        "bos_token": "<|begin_of_text|>",
        "eos_token": "<|eot_id|>",
        "pad_token": "<|end_of_text|>",
        "additional_special_tokens": ["<|start_header_id|>", "<|end_header_id|>"],
    },
    "qwen3": {
        "chat_template": _QWEN3,
        "bos_token": None,
        "eos_token": "<|im_end|>",
        "pad_token": "<|endoftext|>",
        "additional_special_tokens": ["<|im_start|>"],
    },
}
#: Added to the vocabulary, but not special.
_ADDED = {"llama": [], "qwen3": ["<think>", "</think>"]}


def save_random_model(spec: RandomModel, folder: Path, entry: str = "models.yaml") -> None:
    """Write tokenizer and weights of a random model into `folder`; `entry` is for messages.

    Raises:
        TracekdError: if transformers refuses the configuration.
    """
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    tokenizer = tiny_tokenizer(spec.template)
    settings = dict(spec.config)
    kind = settings.pop("model_type", None)
    ids = {key: getattr(tokenizer, key) for key in ("bos_token_id", "eos_token_id", "pad_token_id")}
    try:
        config = AutoConfig.for_model(kind, **{"vocab_size": len(tokenizer), **ids, **settings})
    except (ValueError, TypeError, KeyError) as error:
        raise TracekdError(f"{entry}: random: config: {error}") from error
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(_SEED)
        model = AutoModelForCausalLM.from_config(config, dtype=torch.float32)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def tiny_tokenizer(template: str) -> "PreTrainedTokenizerBase":
    """Return the byte-level tokenizer of a template family, `llama` or `qwen3`."""
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    backend = Tokenizer(models.BPE())
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=len(alphabet) + _MERGES, initial_alphabet=alphabet, show_progress=False
    )
    backend.train_from_iterator(_WORDS.splitlines(), trainer)
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=backend, **_FAMILIES[template])
    tokenizer.add_tokens([AddedToken(token, special=False) for token in _ADDED[template]])
    return tokenizer
