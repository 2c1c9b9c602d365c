"""A models.yaml entry as tokenizer, base model and student.

A student's folder holds `training.json`, which names the method, and

    lora, qlora   a PEFT adapter
    full          a model: configuration, weights and tokenizer
    none          nothing else: the student is the base model
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tracekd.config import ModelSpec
from tracekd.errors import TracekdError
from tracekd.files import read_json
from tracekd.models.adapters import merge_adapter, save_adapter
from tracekd.models.devices import Device
from tracekd.models.encoding import ChatEncoder
from tracekd.models.sources import locate, quiet_transformers

if TYPE_CHECKING:
    from transformers import PreTrainedModel

#: Says in a student's folder how it was made.
NOTE = "training.json"
#: Bytes, a billion weights in bf16: more are not trained on a CPU but by mistake.
_LARGE = 2_000_000_000


@quiet_transformers()
def load_encoder(spec: ModelSpec, shots: Sequence[Mapping[str, Any]] = ()) -> ChatEncoder:
    """Return what turns this model's prompts and completions into tokens; see `ChatEncoder`."""
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(locate(spec))
    tokenizer.name_or_path = f"model {spec.name}"  # for messages
    return ChatEncoder(tokenizer, spec.template_args, native_tags=spec.native_tags, shots=shots)


@quiet_transformers()
def load_base(spec: ModelSpec, device: Device, method: str = "lora") -> "PreTrainedModel":
    """Return the base model that a method trains on the device, in evaluation mode.

    As published and in the device's number format; for `qlora` with linear layers in 4-bit NF4 with
    double quantisation (Dettmers et al. 2023, arXiv 2305.14314), which compute in that format; for
    `full` in fp32, since steps are smaller than the spacing of bf16 numbers: under autocast it
    computes in bf16 nevertheless.

    Raises:
        TracekdError: if a package that the weights need is missing, they cannot be trained, or they
            are too many for a CPU, and torch cannot use the machine's GPU.
    """
    import torch

    if method == "full":
        device = replace(device, dtype=torch.float32)
    model = _load(locate(spec), device, f"models.yaml: {spec.name}", nf4=method == "qlora")
    if method == "full" and getattr(model, "is_quantized", False):
        raise TracekdError(
            f"models.yaml: {spec.name}: its weights are quantised, and train.method: full cannot "
            "train them; choose a repository with unquantised weights, or lora"
        )
    return model


@quiet_transformers()
def save_student(
    model: Any, folder: Path, spec: ModelSpec, device: Device, whole: Any = None
) -> None:
    """Write the student into an existing folder, all but its note.

    An adapter in fp32; a whole model in the device's number format, in which it will predict and to
    which it is converted in place. `whole` are its weights by name, already in that format, if
    several processes hold parts of them.
    """
    from peft import PeftModel
    from transformers import AutoTokenizer

    if isinstance(model, PeftModel):
        save_adapter(model, folder, spec)
        return
    model.config._name_or_path = ""  # a path of this machine
    model.to(device.dtype).save_pretrained(folder, state_dict=whole)
    AutoTokenizer.from_pretrained(locate(spec)).save_pretrained(folder)


@quiet_transformers()
def load_student(spec: ModelSpec, folder: Path, device: Device) -> "PreTrainedModel":
    """Return the student for generation, as one plain model: an adapter is merged.

    A 4-bit base model is dequantised first, so predictions are those of the weights trained on.

    Raises:
        TracekdError: if there is no student, or its adapter belongs to another model.
    """
    method = _method(folder)
    if method is None or (method != "none" and not list(folder.glob("*.safetensors"))):
        raise TracekdError(f"{folder}: contains no student; run the train stage (dvc repro train)")
    if method == "full":
        return _load(folder, device, str(folder))
    base = load_base(spec, device, method)
    if getattr(base, "is_quantized", False):
        base = base.dequantize(device.dtype)
    return base if method == "none" else merge_adapter(base, folder, spec).eval()


def model_folder(spec: ModelSpec, student: Path | None) -> Path | None:
    """Return the folder of a student that is a whole model, the base model's without `student`.

    Returns None for a student with an adapter.
    """
    method = "none" if student is None else _method(student)
    if method == "none":
        return locate(spec)
    return student if method == "full" else None


def _method(student: Path) -> str | None:
    """Return the method that a student's note names; None without a note."""
    note = student / NOTE
    method: str | None = read_json(note).get("method") if note.is_file() else None
    return method


def _load(folder: Path, device: Device, entry: str, nf4: bool = False) -> "PreTrainedModel":
    from transformers import AutoModelForCausalLM, BitsAndBytesConfig

    size = sum(path.stat().st_size for path in folder.glob("*.safetensors"))
    if device.unused_gpu and size > _LARGE:
        raise TracekdError(f"{entry} is too large for a CPU, and {device.unused_gpu}")
    quantisation = {}
    try:
        if nf4:
            quantisation["quantization_config"] = BitsAndBytesConfig(
                load_in_4bit=True,
                bnb_4bit_quant_type="nf4",
                bnb_4bit_use_double_quant=True,
                bnb_4bit_compute_dtype=device.dtype,
            )
        model: PreTrainedModel = AutoModelForCausalLM.from_pretrained(
            folder,
            dtype=device.dtype,
            device_map={"": device.device},
            use_safetensors=True,
            **quantisation,
        )
    except ImportError as error:
        raise TracekdError(
            f"{entry}: {' '.join(str(error).split())} (train.method: qlora needs `python -m pip "
            "install -e '.[qlora]'`)"
        ) from error
    for module in model.modules():
        # In evaluation on a CPU, bitsandbytes would repack the weights for a kernel without a
        # gradient, and training after a validation would go on with wrong gradients.
        if hasattr(module, "support_avx512bf16_for_cpu"):
            module.support_avx512bf16_for_cpu = False
    return model.eval()
