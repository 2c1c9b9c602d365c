"""LoRA adapters: new ones, a pinned one to continue from, and their files, which PEFT reads."""

import json
import os
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tracekd.config import ModelSpec, TrainParams, project_root
from tracekd.errors import TracekdError, nearest
from tracekd.files import read_json
from tracekd.models.sources import locate, locate_adapter, quiet_transformers

if TYPE_CHECKING:
    from peft import PeftModel
    from transformers import PreTrainedModel

#: Relative to the project root: where adapters find a base model that is not on the hub.
_BASES = Path("models/base")
#: Architectures whose kernels read the weight of `out_proj` past an adapter, so PEFT refuses it.
_FUSED = {"falcon_h1", "falcon_mamba", "mamba", "mamba2", "nemotron_h"}
_CONFIG, _WEIGHTS = "adapter_config.json", "adapter_model.safetensors"
#: Names in `train.lora` and in an adapter's configuration.
_OPTIONS = {"rank": "r", "alpha": "lora_alpha", "rslora": "use_rslora", "dora": "use_dora"}


def locate_start(spec: ModelSpec, params: TrainParams) -> Path | None:
    """Return the folder of the adapter that training continues from; None for a new adapter.

    Raises:
        TracekdError: if it is not there, is no LoRA adapter, belongs to another model than `spec`,
            or has other options than `train.lora`.
    """
    if params.start is None:
        return None
    folder, where = locate_adapter(params.start), "params.yaml: train.start"
    if not (folder / _CONFIG).is_file() or not (folder / _WEIGHTS).is_file():
        raise TracekdError(f"{where}: {folder} has no {_CONFIG} or no {_WEIGHTS}")
    config = read_json(folder / _CONFIG)
    if (kind := config.get("peft_type")) != "LORA":
        raise TracekdError(f"{where}: {folder} is an adapter of type {kind}; choose a LoRA adapter")
    names = [name for name in (spec.path, spec.hub and spec.hub.repo) if name]
    names.append(str(_BASES / spec.name))
    if (base := config.get("base_model_name_or_path")) not in names:
        raise TracekdError(
            f"{where}: {folder} is an adapter of {base}, not of model {spec.name} "
            f"({', '.join(names)}); choose its own model (params.yaml: model)"
        )
    found = {name: config.get(key, False) for name, key in _OPTIONS.items()}
    wrong = {name: value for name, value in found.items() if value != getattr(params.lora, name)}
    if wrong:
        remedy = ", ".join(f"train.lora.{name}: {json.dumps(v)}" for name, v in wrong.items())
        raise TracekdError(f"{where}: {folder} has other options than train.lora; set {remedy}")
    return folder


@quiet_transformers()
def add_adapter(
    base: "PreTrainedModel", params: TrainParams, seed: int, start: Path | None = None
) -> "PeftModel":
    """Return `base` with trainable LoRA weights, new ones or those of the folder `start`.

    Of new ones A is drawn from `seed`, and B is zero, so that they change nothing yet.

    Raises:
        TracekdError: if the model has no such modules, PEFT refuses the options for them, or
            `start` has weights for others.
    """
    import torch
    from peft import LoraConfig, get_peft_model

    options = params.lora
    _require_modules(base, options.targets)
    own: set[str] = set()
    if start:
        config = LoraConfig.from_pretrained(start)
        named = config.target_modules  # a string is a pattern of module names
        own = {named} if isinstance(named, str) else set(named)
        config.target_modules = options.targets
        config.lora_dropout, config.inference_mode = options.dropout, False
    else:
        config = LoraConfig(
            r=options.rank,
            lora_alpha=options.alpha,
            lora_dropout=options.dropout,
            target_modules=options.targets,
            exclude_modules=["out_proj"] if base.config.model_type in _FUSED else None,
            use_rslora=options.rslora,
            use_dora=options.dora,
            task_type="CAUSAL_LM",
        )
    torch.manual_seed(seed)
    try:
        with warnings.catch_warnings():
            # Merging into weights that the input and the output share would change both.
            warnings.filterwarnings("error", "Model .*tie_word_embeddings")
            # In fp32 whatever the base model's format: in bf16, small steps would be rounded away.
            model: PeftModel = get_peft_model(base, config, autocast_adapter_dtype=True)
    except (ValueError, TypeError, NotImplementedError, UserWarning) as error:
        reason = " ".join(str(error).split())[:300]
        raise TracekdError(f"params.yaml: train.lora: not possible here: {reason}") from error
    if start:
        message = (
            f"params.yaml: train.start: {start} does not fit the model and train.lora.targets; set "
            f"train.lora.targets: [{', '.join(sorted(own))}]"
        )
        _load_weights(model, start, message)
    return model


def save_adapter(model: "PeftModel", folder: Path, spec: ModelSpec) -> None:
    """Write the adapter into an existing folder, byte for byte a function of weights and settings.

    `AutoPeftModelForCausalLM` then finds the base model `spec` from the project root.
    """
    model.save_pretrained(folder)
    (folder / "README.md").unlink(missing_ok=True)  # a template, with nothing filled in
    config = read_json(folder / _CONFIG)
    config["base_model_name_or_path"], config["revision"] = _base_reference(spec)
    if isinstance(config["target_modules"], list):
        # PEFT keeps a set, whose order changes from process to process.
        config["target_modules"] = sorted(config["target_modules"])
    text = json.dumps(config, indent=2, sort_keys=True) + "\n"
    (folder / _CONFIG).write_text(text, encoding="utf-8")


def merge_adapter(base: "PreTrainedModel", folder: Path, spec: ModelSpec) -> "PreTrainedModel":
    """Return `base`, the model `spec`, with the adapter in `folder` merged into its weights.

    Raises:
        TracekdError: if the adapter does not fit.
    """
    from peft import LoraConfig, get_peft_model

    remedy = f"{folder}: does not fit model {spec.name}; train again (dvc repro train)"
    try:
        config = LoraConfig.from_pretrained(folder)
        config.base_model_name_or_path = None  # PEFT warns where a machine keeps it elsewhere
        # The adapter in fp32: its product is added to the base weights and rounded once.
        model = get_peft_model(base, config, autocast_adapter_dtype=True)
    except ValueError as error:
        raise TracekdError(remedy) from error
    _load_weights(model, folder, remedy)
    merged: PreTrainedModel = model.merge_and_unload()
    return merged


def _load_weights(model: "PeftModel", folder: Path, message: str) -> None:
    """Load all weights of an adapter, or raise `message`: PEFT leaves out what does not fit."""
    from peft import set_peft_model_state_dict
    from safetensors.torch import load_file

    try:
        found = set_peft_model_state_dict(model, load_file(folder / _WEIGHTS))
    except (RuntimeError, FileNotFoundError) as error:
        raise TracekdError(message) from error
    if found.unexpected_keys or any("lora_" in key for key in found.missing_keys):
        raise TracekdError(message)


def _require_modules(base: "PreTrainedModel", targets: str | list[str]) -> None:
    """Raise if one of `train.lora.targets` names no module: PEFT passes over it if others do."""
    from torch.nn import Linear

    modules: dict[str, Any] = dict(base.named_modules())
    linear = {key.rpartition(".")[2] for key, part in modules.items() if isinstance(part, Linear)}
    for target in targets if isinstance(targets, list) else ():
        if not any(f".{name}".endswith(f".{target}") for name in modules):
            raise TracekdError(
                f"params.yaml: train.lora.targets: the model has no module {target!r}; "
                f"{nearest(target, linear)}"
            )


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
