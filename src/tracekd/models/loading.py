"""A models.yaml entry as tokenizer, base model, adapter and student."""

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tracekd.config import ModelSpec, TrainParams, project_root
from tracekd.errors import TracekdError
from tracekd.models.devices import Device
from tracekd.models.encoding import ChatEncoder
from tracekd.models.sources import locate, quiet_transformers

if TYPE_CHECKING:
    from peft import PeftModel
    from transformers import PreTrainedModel

#: Relative to the project root: where adapters find a base model that is not on the hub.
_BASES = Path("models/base")


@quiet_transformers()
def load_encoder(spec: ModelSpec, shots: Sequence[Mapping[str, Any]] = ()) -> ChatEncoder:
    """Return what turns this model's prompts and completions into tokens.

    `shots` are rows of `records.SFT`, shown before every question.
    """
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(locate(spec))
    tokenizer.name_or_path = f"model {spec.name}"  # for messages
    return ChatEncoder(tokenizer, spec.template_args, native_tags=spec.native_tags, shots=shots)


@quiet_transformers()
def load_base(spec: ModelSpec, device: Device) -> "PreTrainedModel":
    """Return the model as published, on the device and in its number format, for evaluation."""
    from transformers import AutoModelForCausalLM

    model: PreTrainedModel = AutoModelForCausalLM.from_pretrained(
        locate(spec), dtype=device.dtype, device_map={"": device.device}, use_safetensors=True
    )
    return model.eval()


@quiet_transformers()
def add_adapter(base: "PreTrainedModel", params: TrainParams, seed: int) -> "PeftModel":
    """Return `base` with new LoRA weights on all linear layers but the output head.

    A is drawn from `seed`, B is zero, so the untrained adapter changes nothing.
    """
    import torch
    from peft import LoraConfig, get_peft_model

    config = LoraConfig(
        r=params.lora.rank,
        lora_alpha=params.lora.alpha,
        lora_dropout=params.lora.dropout,
        target_modules=params.lora.targets,
        use_rslora=params.lora.rslora,
        use_dora=params.lora.dora,
        task_type="CAUSAL_LM",
    )
    torch.manual_seed(seed)
    # In fp32 whatever the base model's format: in bf16, small steps would be rounded away.
    model: PeftModel = get_peft_model(base, config, autocast_adapter_dtype=True)
    return model


@quiet_transformers()
def save_student(model: "PeftModel", folder: Path, spec: ModelSpec) -> None:
    """Write the adapter into an existing folder, byte for byte a function of weights and settings.

    `AutoPeftModelForCausalLM` then finds the base model `spec` from the project root.
    """
    model.save_pretrained(folder)
    (folder / "README.md").unlink(missing_ok=True)  # a template, with nothing filled in
    path = folder / "adapter_config.json"
    config = json.loads(path.read_text(encoding="utf-8"))
    config["base_model_name_or_path"], config["revision"] = _base_reference(spec)
    # PEFT keeps a set, whose order changes from process to process.
    config["target_modules"] = sorted(config["target_modules"])
    path.write_text(json.dumps(config, indent=2, sort_keys=True) + "\n", encoding="utf-8")


@quiet_transformers()
def load_student(spec: ModelSpec, folder: Path, device: Device) -> "PreTrainedModel":
    """Return the base model with the adapter merged into its weights, for generation.

    Raises:
        TracekdError: if the adapter is absent or belongs to another model.
    """
    from peft import PeftModel

    if not (folder / "adapter_model.safetensors").is_file():
        raise TracekdError(f"{folder}: contains no adapter; run the train stage (dvc repro train)")
    base = load_base(spec, device)
    try:
        # The adapter in fp32: its product is added to the base weights and rounded once.
        model = PeftModel.from_pretrained(base, folder, autocast_adapter_dtype=True)
    except RuntimeError as error:
        raise TracekdError(
            f"{folder}: does not fit model {spec.name}; train again (dvc repro train)"
        ) from error
    merged: PreTrainedModel = model.merge_and_unload()
    return merged.eval()


def _base_reference(spec: ModelSpec) -> tuple[str, str | None]:
    """Return the base model's name and revision for an adapter's configuration.

    A hub model is named by its repository and a local one by its `path`, as in models.yaml. Others,
    and a path in the home folder, which PEFT does not expand, are named by `models/base/NAME`, a
    link in the project: an absolute path would make the adapter depend on the machine.
    """
    if spec.path is not None and not spec.path.startswith("~"):
        return spec.path, None
    if spec.hub is not None and spec.path is None:
        return spec.hub.repo, spec.hub.revision
    link = project_root() / _BASES / spec.name
    link.parent.mkdir(parents=True, exist_ok=True)
    temporary = link.with_name(f".{spec.name}.{os.getpid()}.tmp")
    temporary.symlink_to(locate(spec).resolve(), target_is_directory=True)
    temporary.replace(link)
    return str(_BASES / spec.name), None
