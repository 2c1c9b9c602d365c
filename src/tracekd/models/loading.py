"""A models.yaml entry as tokenizer, base model and adapter."""

import json
import os
import re
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from tracekd.config import ModelSpec, TrainParams
from tracekd.errors import TracekdError
from tracekd.files import atomic_directory
from tracekd.models.encoding import ChatEncoder
from tracekd.models.sources import locate, quiet_transformers

if TYPE_CHECKING:
    from peft import PeftModel
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from tracekd.models.devices import Device

#: Relative to the project's root: where adapters find a base model that is not on the hub.
_BASES = Path("models/base")
#: Weights of attention sinks, as the architectures of transformers call them.
_SINK = re.compile(r"(^|\.)sink(s|_proj)(\.|$)")


def load_tokenizer(name: str, spec: ModelSpec) -> "PreTrainedTokenizerBase":
    """Return the model's tokenizer, called `name` in messages."""
    from transformers import AutoTokenizer

    with quiet_transformers():
        tokenizer: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(locate(spec))
    tokenizer.name_or_path = f"model {name}"
    return tokenizer


def load_encoder(name: str, spec: ModelSpec) -> ChatEncoder:
    """Return what turns this model's prompts and completions into tokens."""
    return ChatEncoder(load_tokenizer(name, spec), spec.template_args)


def load_base(name: str, spec: ModelSpec, device: "Device") -> "PreTrainedModel":
    """Return the model as published, on the device and in its number format, for evaluation.

    Raises:
        TracekdError: if generation could not compute its attention; better said before training.
    """
    from transformers import AutoModelForCausalLM

    with quiet_transformers():
        model: PreTrainedModel = AutoModelForCausalLM.from_pretrained(
            locate(spec), dtype=device.dtype, use_safetensors=True
        )
    _require_plain_attention(name, model)
    return model.to(device.device).eval()


def _require_plain_attention(name: str, model: "PreTrainedModel") -> None:
    """Refuse attention that `tracekd.generation.packed` does not compute."""
    config = model.config.get_text_config()
    found = ""
    if (cap := getattr(config, "attn_logit_softcapping", None)) is not None:
        found = f"caps its attention scores (attn_logit_softcapping: {cap} in its config.json)"
    sinks = [key for key, _ in model.named_parameters() if _SINK.search(key)]
    if sinks:
        found = f"has attention sinks (model_type: {config.model_type}, weights {sinks[0]})"
    if found:
        raise TracekdError(
            f"model {name}: {found}, which generation and probes do not compute; choose a model "
            "without, such as those of Llama, Qwen2 or Qwen3 (params.yaml: model)"
        )


def add_adapter(base: "PreTrainedModel", params: TrainParams, seed: int) -> "PeftModel":
    """Return `base` with new LoRA weights on all linear layers but the output head.

    A is drawn from `seed`, B is zero, so the untrained adapter changes nothing.
    """
    import torch
    from peft import LoraConfig, get_peft_model

    config = LoraConfig(
        r=params.lora_rank,
        lora_alpha=params.lora_alpha,
        lora_dropout=params.lora_dropout,
        target_modules="all-linear",
        task_type="CAUSAL_LM",
    )
    torch.manual_seed(seed)
    with quiet_transformers():
        # In fp32 whatever the base model's format: in bf16, small steps would be rounded away.
        model: PeftModel = get_peft_model(base, config, autocast_adapter_dtype=True)
    return model


def save_adapter(model: "PeftModel", folder: Path, base: str, revision: str | None = None) -> None:
    """Write the adapter into `folder`, byte for byte a function of its weights and settings.

    Args:
        model: the trained model.
        folder: exists; `adapter_model.safetensors` and `adapter_config.json` are written.
        base: what `AutoPeftModelForCausalLM` shall load the base model from.
        revision: its commit, if it is on the hub.
    """
    with quiet_transformers():
        model.save_pretrained(folder)
    (folder / "README.md").unlink(missing_ok=True)  # a form, with nothing filled in
    path = folder / "adapter_config.json"
    config = json.loads(path.read_text(encoding="utf-8"))
    config["base_model_name_or_path"], config["revision"] = base, revision
    # PEFT keeps a set, whose order changes from process to process.
    config["target_modules"] = sorted(config["target_modules"])
    path.write_text(json.dumps(config, indent=2, sort_keys=True) + "\n", encoding="utf-8")


def weights_of(adapter: Path) -> Path:
    """Return the file of an adapter's weights.

    Raises:
        TracekdError: if it is absent.
    """
    weights = adapter / "adapter_model.safetensors"
    if not weights.is_file():
        raise TracekdError(f"{adapter}: holds no adapter; run the train stage (dvc repro train)")
    return weights


def load_student(name: str, spec: ModelSpec, adapter: Path, device: "Device") -> "PreTrainedModel":
    """Return the base model with the adapter merged into its weights, for generation.

    Raises:
        TracekdError: if the adapter is absent or belongs to another model.
    """
    from peft import PeftModel

    weights_of(adapter)
    base = load_base(name, spec, device)
    try:
        with quiet_transformers():
            # The adapter in fp32: its product is added to the base weights and rounded once.
            model = PeftModel.from_pretrained(base, adapter, autocast_adapter_dtype=True)
    except RuntimeError as error:
        raise TracekdError(
            f"{adapter}: does not fit model {name}; train again (dvc repro train)"
        ) from error
    merged: PreTrainedModel = model.merge_and_unload()
    return merged.eval()


def base_reference(name: str, spec: ModelSpec, root: Path) -> str:
    """Return the base model's name for an adapter's configuration, and make it resolvable.

    A hub model goes by its hub name and a local one by its `path`, as models.yaml has them. Others,
    and a path from the home folder, which PEFT does not know, go by `models/base/NAME`, a link in
    the project: an absolute path would make the adapter a function of whose machine it was trained
    on.
    """
    if spec.path is not None and not spec.path.startswith("~"):
        return spec.path
    if spec.hub is not None and spec.path is None:
        return spec.hub.repo
    link, target = root / _BASES / name, locate(spec)
    if link.is_symlink() and link.resolve() == target.resolve():
        return str(_BASES / name)
    link.parent.mkdir(parents=True, exist_ok=True)
    if link.is_dir() and not link.is_symlink():
        shutil.rmtree(link)
    temporary = link.with_name(f".{name}.{os.getpid()}.tmp")
    try:
        temporary.symlink_to(target.resolve(), target_is_directory=True)
        temporary.replace(link)
    except OSError:  # a file system without links
        with atomic_directory(link) as copy:
            shutil.copytree(target, copy, dirs_exist_ok=True)
    return str(_BASES / name)
