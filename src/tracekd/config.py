"""Validated settings: what may stand in params.yaml, models.yaml and datasets.yaml.

Unknown keys are rejected with the nearest known names, so that a misspelt parameter can never be
ignored. Only stage scripts read these files; the package gets the validated objects.
"""

import os
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from tracekd.errors import TracekdError, nearest
from tracekd.settings import S, matching, read_yaml
from tracekd.settings import Settings as Settings
from tracekd.settings import parse_settings as parse_settings

#: Keys of models.yaml and datasets.yaml: DVC reads a dot as a path into the file.
Key = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]+$")]
#: A commit of a hub repository. A branch name would let the data change under a pinned result.
Revision = Annotated[
    str, matching(r"[0-9a-f]{40}", "the 40 hexadecimal digits of a commit, not a branch or a tag")
]
Sha256 = Annotated[str, matching(r"[0-9a-f]{64}", "64 hexadecimal digits")]
Count = Annotated[int, Field(ge=1, lt=2**31)]
#: The hub's own rule. A name becomes a part of an address and of a path.
_Name = r"[A-Za-z0-9_](?:[A-Za-z0-9_-]|\.[A-Za-z0-9_-])*"
Repo = Annotated[str, Field(pattern=rf"^{_Name}(/{_Name})?$")]
Subset = Annotated[str, Field(pattern=rf"^{_Name}$")]
#: They stand on pip's command line, where a leading dash would make an option of them.
Package = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]
Version = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9.!+_-]*$")]
Fraction = Annotated[float, Field(ge=0, le=1)]


class PrepareParams(Settings):
    """How many questions each split holds; null: all there are (validation: a tenth of train)."""

    train: Count | None
    validation: Count | None
    test: Count | None


class DecomposeParams(Settings):
    """Which rule finds the gold facts.

    Attributes:
        facts: `paper` (as published) or `full` (all facts needed to derive the answer).
    """

    facts: Literal["paper", "full"] = "paper"


class PromptParams(Settings):
    """The one prompt, shared by training and inference."""

    system: str
    template: str

    @field_validator("template")
    @classmethod
    def _has_both_slots(cls, template: str) -> str:
        for slot in ("{context}", "{question}"):
            if template.count(slot) != 1:
                raise ValueError(f"must contain {slot} exactly once")
        return template


class TrainParams(Settings):
    """LoRA fine-tuning.

    Attributes:
        batch_size: examples per forward pass; `accumulate` passes make one optimizer step.
        learning_rate: peak of the schedule, reached after `warmup` (a fraction of all steps),
            then a cosine to 0.
        max_length: tokens of prompt and completion together; null means the model's own limit.
        too_long: what happens to a longer example: `error`, or `drop` (counted in the manifest).
        evaluations: how often the validation loss is measured, evenly over the run.
    """

    epochs: Annotated[float, Field(gt=0)]
    batch_size: Count
    accumulate: Count = 1
    learning_rate: Annotated[float, Field(gt=0)]
    warmup: Fraction
    weight_decay: Annotated[float, Field(ge=0)] = 0.0
    max_grad_norm: Annotated[float, Field(gt=0)] = 1.0
    lora_rank: Count
    lora_alpha: Count
    lora_dropout: Annotated[float, Field(ge=0, lt=1)]
    max_length: Count | None = None
    too_long: Literal["error", "drop"] = "error"
    evaluations: Count = 1


class InferParams(Settings):
    """Greedy generation.

    Attributes:
        backend: a name in `tracekd.generation.backends.BACKENDS`, or `auto`.
    """

    backend: str = "auto"
    batch_size: Count
    max_new_tokens: Count


class ProbeParams(Settings):
    """Answers to given traces in the place of the student's own.

    Attributes:
        enabled: whether the infer stage asks for them.
        limit: how many test questions are probed, the same ones in every experiment with the same
            `data_seed`; null means all.
    """

    enabled: bool = False
    limit: Count | None = 100


class Params(Settings):
    """All of params.yaml.

    Attributes:
        model, dataset: keys of models.yaml and datasets.yaml.
        trace_mode: a name in `tracekd.traces.regimes.REGIMES`.
        corruption: fraction of incorrect traces under `trace_mode: mixed`.
        seed: adapter initialisation, order of examples, corruption.
        data_seed: which questions. Experiments to be compared share it.
    """

    model: Key
    dataset: Key
    trace_mode: str
    corruption: Fraction
    seed: Annotated[int, Field(ge=0, lt=2**32)]
    data_seed: Annotated[int, Field(ge=0, lt=2**32)]
    prepare: PrepareParams
    decompose: DecomposeParams
    prompt: PromptParams
    train: TrainParams
    infer: InferParams
    probes: ProbeParams = ProbeParams()


class HubDataset(Settings):
    """A data set repository on the Hugging Face hub, at one commit."""

    repo: Repo
    revision: Revision
    subset: Subset | None = None


class DatasetSpec(Settings):
    """One entry of datasets.yaml.

    Attributes:
        reader: a module of `tracekd.datasets`, by its registered name.
        answer_metric: a name in `tracekd.scoring.answers.METRICS`.
        answers: whether `answers` together make the answer (`all`) or are alternatives (`any`).
        class_sentence: the Classification step as taught; `{class}` is the class.
        facts: for each value of `decompose.facts`, a rule of `tracekd.traces.gold.RULES`.
        path: folder in the upstream format, relative to the project root. Wins over `hub`.
        sha256: content hash of that folder (`python stages/prepare.py --pin NAME` writes it).
        hub: where to read from if `path` is null.
        options: settings of the reader, validated by it.
    """

    reader: str
    answer_metric: str
    answers: Literal["all", "any"]
    class_sentence: str
    facts: dict[Literal["paper", "full"], str]
    path: str | None = None
    sha256: Sha256 | None = None
    hub: HubDataset | None = None
    options: dict[str, Any] = Field(default_factory=dict)

    @field_validator("class_sentence")
    @classmethod
    def _has_the_slot(cls, sentence: str) -> str:
        if sentence.count("{class}") != 1 or "\n" in sentence:
            raise ValueError("must be one line that contains {class} exactly once")
        return sentence


class WheelModel(Settings):
    """A GGUF file inside a wheel on the Python package index, verified by its SHA-256."""

    package: Package
    version: Version
    file: str
    sha256: Sha256


class HubModel(Settings):
    """A model repository on the Hugging Face hub, at one commit."""

    repo: Repo
    revision: Revision


class RandomModel(Settings):
    """Random weights from a configuration, with a small byte-level tokenizer: for smoke tests.

    Attributes:
        template: chat template family, `llama` (adds BOS) or `qwen3` (rewrites think blocks).
        config: keyword arguments of the transformers configuration, `model_type` among them.
    """

    template: Literal["llama", "qwen3"]
    config: dict[str, Any]


class ModelSpec(Settings):
    """One entry of models.yaml: exactly one of `hub`, `wheel`, `random`, or `path` alone.

    Attributes:
        path: a folder of model files, relative to the project root: a model of one's own, or
            beside `hub` a copy of the repository's files, which are then not fetched.
        sha256: content hash of that folder (`python stages/train.py --pin NAME` writes it).
        max_length: longest prompt and completion together, in tokens.
        template_args: further variables of the model's chat template.
    """

    hub: HubModel | None = None
    wheel: WheelModel | None = None
    random: RandomModel | None = None
    path: str | None = None
    sha256: Sha256 | None = None
    max_length: Count
    template_args: dict[str, bool | str] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _has_one_source(self) -> "ModelSpec":
        sources = sum(source is not None for source in (self.hub, self.wheel, self.random))
        if sources + (self.path is not None and self.hub is None) != 1:
            raise ValueError(
                "needs exactly one of hub, wheel, random and path; path may also stand beside hub, "
                "as a copy of its files"
            )
        return self


def load_params(path: Path) -> Params:
    """Read and validate params.yaml."""
    return parse_settings(Params, read_yaml(path), str(path))


def load_dataset(path: Path, name: str, named_by: str = "params.yaml: dataset") -> DatasetSpec:
    """Read one entry of datasets.yaml; messages say that `named_by` asks for it."""
    return _load_entry(DatasetSpec, path, name, "data set", named_by)


def load_model(
    path: Path, name: str, named_by: str = "params.yaml: model", folder: str | None = None
) -> ModelSpec:
    """Read one entry of models.yaml as `load_dataset` does; `folder` is to be its `path`."""
    return _load_entry(ModelSpec, path, name, "model", named_by, folder)


def project_root() -> Path:
    """Return the user's own checkout, from a queue or `--temp` run too.

    DVC runs those in another checkout, without untracked files, and sets DVC_ROOT.
    """
    return Path(os.environ.get("DVC_ROOT", ".")).resolve()


def cache_folder() -> Path:
    """Return where fetched and converted models are kept: TRACEKD_CACHE or the user's cache."""
    if chosen := os.environ.get("TRACEKD_CACHE"):
        return Path(chosen).expanduser()
    return Path(os.environ.get("XDG_CACHE_HOME", "~/.cache")).expanduser() / "tracekd"


def _load_entry(
    kind: type[S], path: Path, name: str, noun: str, named_by: str, folder: str | None = None
) -> S:
    entries = read_yaml(path)
    if not isinstance(entries, dict) or name not in entries:
        known = entries if isinstance(entries, dict) else {}
        raise TracekdError(
            f"{named_by}: unknown {noun} {name!r}; {nearest(name, map(str, known))} "
            f"(entries of {path})"
        )
    entry = entries[name]
    if folder is not None and isinstance(entry, dict):
        entry = {**entry, "path": folder}
    return parse_settings(kind, entry, f"{path}: {name}")
