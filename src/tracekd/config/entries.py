"""models.yaml and datasets.yaml: what there is to choose from."""

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from tracekd.config.params import Count, Key, Seed
from tracekd.config.pins import HUB_NAME, GitHash, HubModel, Repo, Revision, Sha256
from tracekd.config.reading import S, Settings, matching, module_in, parse_settings, read_yaml
from tracekd.errors import TracekdError, nearest

#: Arguments of pip, which would take a leading dash for an option.
Package = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]
Version = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9.!+_-]*$")]
Address = Annotated[str, Field(pattern=r"^https?://[^\s]+$")]
#: Of a downloaded file in a folder of ours: never a path.
_FileName = Annotated[str, matching(r"[A-Za-z0-9_][A-Za-z0-9._-]*", "a plain file name")]
_ClassSentence = Annotated[
    str,
    matching(
        r"(?=.*\{class\})(?!.*\{class\}.*\{class\})[^\n]*",
        "one line that contains {class} exactly once",
    ),
]


class HubDataset(Settings):
    """A dataset repository on the Hugging Face hub, at one commit."""

    repo: Repo
    revision: Revision
    subset: Annotated[str, Field(pattern=rf"^{HUB_NAME}$")] | None = None


class DatasetFile(Settings):
    """A file at a fixed address, verified by git's hash of its content.

    Attributes:
        size: in bytes, for messages; the hash covers it.
    """

    url: Address
    git_hash: GitHash
    size: Count | None = None


class DatasetSpec(Settings):
    """One entry of datasets.yaml.

    Attributes:
        name: its key.
        reader: a module of `tracekd.datasets.readers`.
        answer_metric: a module of `tracekd.scoring.answers`.
        answers: whether `answers` together make the answer (`all`) or are alternatives (`any`).
        class_sentence: the Classification step as taught; `{class}` is the class.
        facts: for each value of `decompose.facts`, a rule of `tracekd.traces.rules`.
        path: folder or file in the upstream format, relative to the project root. Takes
            precedence over `files` and `hub`.
        sha256: content hash of `path` (`python stages/prepare.py --pin NAME` writes it).
        files: where to download the raw files from.
        hub: where to download the dataset from.
        options: settings of the reader, validated by it.
        licence: of the data, for model cards: a name that the hub knows, or any text.
        tuned_on: every `data_seed` on whose test questions a setting was chosen; figures that are
            published come from another.
    """

    name: Key
    reader: Annotated[str, module_in("datasets/readers")]
    answer_metric: Annotated[str, module_in("scoring/answers")] = "exact_match"
    answers: Literal["all", "any"] = "all"
    class_sentence: _ClassSentence = "The category of the question is: {class}."
    facts: dict[Literal["paper", "full"], str] = Field(
        default={"paper": "annotated", "full": "annotated"}
    )
    path: str | None = None
    sha256: Sha256 | None = None
    files: dict[_FileName, DatasetFile] | None = None
    hub: HubDataset | None = None
    options: dict[str, Any] = Field(default_factory=dict)
    licence: str | None = None
    tuned_on: list[Seed] = Field(default_factory=list)

    @model_validator(mode="after")
    def _agrees_with_itself(self) -> "DatasetSpec":
        if self.files is not None and self.hub is not None:
            raise ValueError("files and hub are two sources; keep one")
        if self.sha256 is not None and self.path is None:
            raise ValueError("sha256 pins path, which is null; set both or neither")
        return self


class WheelModel(Settings):
    """A GGUF file inside a wheel on the Python package index, verified by its SHA-256."""

    package: Package
    version: Version
    file: str
    sha256: Sha256


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
        name: its key.
        path: a folder of model files, relative to the project root: your own model, or beside
            `hub` a local copy of the repository's files, which are then not downloaded.
        sha256: content hash of that folder (`python stages/train.py --pin NAME` writes it).
        max_length: longest prompt and completion together, in tokens.
        template_args: further variables of the model's chat template.
        licence: of the model, for model cards, as the hub names it.
        native_tags: write the think tags of completions as the tokenizer's own tokens.
    """

    name: Key
    hub: HubModel | None = None
    wheel: WheelModel | None = None
    random: RandomModel | None = None
    path: str | None = None
    sha256: Sha256 | None = None
    max_length: Count
    template_args: dict[str, bool | str] = Field(default_factory=dict)
    licence: str | None = None
    native_tags: bool = False

    @model_validator(mode="after")
    def _has_one_source(self) -> "ModelSpec":
        sources = sum(source is not None for source in (self.hub, self.wheel, self.random))
        if sources + (self.path is not None and self.hub is None) != 1:
            raise ValueError(
                "needs exactly one of hub, wheel, random and path (path may accompany hub, as a "
                "copy of its files)"
            )
        return self


def load_dataset(path: Path, name: str, named_by: str = "params.yaml: dataset") -> DatasetSpec:
    """Read one entry of datasets.yaml; error messages cite `named_by` as what asks for it."""
    return load_entry(DatasetSpec, path, name, named_by)


def load_model(
    path: Path, name: str, named_by: str = "params.yaml: model", folder: str | None = None
) -> ModelSpec:
    """Read one entry of models.yaml as `load_dataset` does; `folder` replaces its `path`."""
    return load_entry(ModelSpec, path, name, named_by, folder)


def load_entry(kind: type[S], path: Path, name: str, named_by: str, folder: str | None = None) -> S:
    """Read one entry of a settings file as `kind`, which has a `name`."""
    entries = read_yaml(path)
    if not isinstance(entries, dict) or not isinstance(entries.get(name), dict):
        known = map(str, entries) if isinstance(entries, dict) else ()
        raise TracekdError(
            f"{named_by}: {path} has no entry {name!r} with settings; {nearest(name, known)}"
        )
    changes = {"name": name} if folder is None else {"name": name, "path": folder}
    return parse_settings(kind, entries[name] | changes, f"{path}: {name}")
