"""The folder that is published: weights, tokenizer, model card and run card, without paths."""

import json
import shutil
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeVar

import torch

from tracekd import records
from tracekd.comparison.experiments import Experiment
from tracekd.comparison.locks import CARD, DETAILS
from tracekd.comparison.store import Store
from tracekd.config import DatasetSpec, ModelSpec, Settings, parse_settings
from tracekd.errors import TracekdError
from tracekd.files import atomic_directory, read_json, write_json
from tracekd.models.devices import Device, choose_device
from tracekd.models.encoding import ChatEncoder
from tracekd.models.loading import load_encoder, load_student
from tracekd.models.sources import quiet_transformers
from tracekd.models.templates import fixed_template
from tracekd.publishing.card import model_card
from tracekd.traces.regimes import regime

S = TypeVar("S", bound=Settings)
_ADAPTER = "adapter_config.json"
#: Where this machine keeps a model, in any settings.
_PATHS = ("path", "_name_or_path")


@quiet_transformers()
def publish(one: Experiment, store: Store, folder: Path, name: str, *, merge: bool) -> None:
    """Write what is to be published of a run into a new folder.

    `name` is what the model card calls it. With `merge`, the base model is written, with the
    adapter merged in.

    Raises:
        TracekdError: if the folder has files already, the run's outs are not on this machine, or
            nobody else could load the adapter.
    """
    if folder.is_dir() and any(folder.iterdir()):
        raise TracekdError(f"--to: {folder} is not empty; choose another folder")
    spec = _entry(one, ModelSpec, "models.yaml", one.run.model)
    dataset = _entry(one, DatasetSpec, "datasets.yaml", one.run.dataset)
    run_card = _read(store.file(one, CARD))
    details = read_json(store.file(one, DETAILS))
    with TemporaryDirectory(prefix="tracekd-") as scratch, atomic_directory(folder) as target:
        student = Path(scratch, "student")
        for file, source in store.folder(one, "models/student").items():
            (student / file).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, student / file)
        adapter = (student / _ADAPTER).is_file()
        if not adapter and not (student / "config.json").is_file():
            raise TracekdError(f"{one.name} trained no model (train.method): nothing to publish")
        encoder = load_encoder(spec)
        tokenizer = encoder.tokenizer
        tokenizer.chat_template = fixed_template(tokenizer.get_chat_template(), spec.template_args)
        tokenizer.save_pretrained(target)
        if adapter and merge:
            # In the number format of the run's predictions.
            dtype = getattr(torch, run_card["infer"]["made_from"]["machine"]["dtype"])
            device = Device(choose_device().device, dtype)
            load_student(spec, student, device).save_pretrained(target)
            adapter = False
        elif adapter and spec.hub is None:
            raise TracekdError(
                f"model {spec.name} is not on the Hugging Face hub, so nobody else could load an "
                "adapter of it; add --merge to publish all weights"
            )
        else:
            shutil.copytree(student, target, dirs_exist_ok=True)
        for path in target.glob("*config.json"):
            content = _read(path)
            if path.name == _ADAPTER and spec.hub is not None:  # wherever this machine keeps it
                content["base_model_name_or_path"] = spec.hub.repo
                content["revision"] = spec.hub.revision
            write_json(path, content)
        write_json(target / "run.json", run_card)
        filler = _filler(one, store, encoder)
        card = model_card(
            one, details, run_card, spec, dataset, name, adapter=adapter, filler=filler
        )
        card.save(target / "README.md")


def _entry(one: Experiment, kind: type[S], file: str, name: str) -> S:
    entry = one.run.entries.get(file, {}).get(name, {})
    return parse_settings(kind, {**entry, "name": name}, f"{one.name}: {file}: {name}")


def _filler(one: Experiment, store: Store, encoder: ChatEncoder) -> str:
    """Return the filler at the end of every prompt that the student was given; "" if none."""
    if regime(one.run.regime.regime).like is None:
        return ""
    row = records.read(store.file(one, "data/sft/train.parquet"), records.SFT).row(0, named=True)
    prompt = encoder.prompt_ids(row["system"], row["prompt"])
    return encoder.decode(encoder.given_ids(row)[len(prompt) :])


def _read(path: Path) -> Any:
    """Return the content of a JSON file without what is a path on this machine."""
    return json.loads(
        path.read_text(encoding="utf-8"),
        object_hook=lambda found: {key: found[key] for key in found if key not in _PATHS},
    )
