"""Reading settings files strictly, with errors that name file, field, value and remedy.

Unknown keys are rejected with the nearest known names, and nothing is converted silently: text or a
boolean in place of a number is an error.
"""

import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, ValidationError, model_validator
from pydantic_core import PydanticCustomError
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from tracekd.errors import TracekdError, nearest
from tracekd.files import atomic_file, expanded

_PACKAGE = Path(__file__).parents[1]


class Settings(BaseModel):
    """Base of all settings: immutable, strict, unknown keys rejected, numbers finite."""

    model_config = ConfigDict(frozen=True, strict=True, allow_inf_nan=False)

    @model_validator(mode="before")
    @classmethod
    def _knows_every_key(cls, content: Any) -> Any:
        for key in content if isinstance(content, dict) else ():
            if key not in cls.model_fields:
                known = nearest(str(key), cls.model_fields)
                raise PydanticCustomError(
                    "unknown", "unknown key; {known}", {"key": key, "known": known}
                )
        return content


S = TypeVar("S", bound=Settings)


def _distinct(items: list[Any]) -> list[Any]:
    if len(set(items)) < len(items):
        raise ValueError("has a duplicate; remove it")
    return items


#: A validator for lists without duplicates.
DISTINCT = AfterValidator(_distinct)


def matching(pattern: str, words: str) -> AfterValidator:
    """Return a validator for text of a pattern; its message states in words what is right."""

    def check(text: str) -> str:
        if not re.fullmatch(pattern, text):
            raise ValueError(f"must be {words}")
        return text

    return AfterValidator(check)


def module_in(folder: str, *others: str) -> AfterValidator:
    """Return a validator for the name of a module in a folder of this package, or one of `others`.

    The module is not imported, so a stage that passes the name on does not depend on its code.
    """

    def check(name: str) -> str:
        known = [*others, *module_names(folder)]
        if name not in known:
            raise ValueError(
                f"must be the name of a module in src/tracekd/{folder}; {nearest(name, known)}"
            )
        return name

    return AfterValidator(check)


def module_names(folder: str) -> list[str]:
    """Return the names of the public modules and packages in a folder of this package."""
    found = (path.stem for path in (_PACKAGE / folder).iterdir() if path.suffix in ("", ".py"))
    return sorted(name for name in found if not name.startswith("_"))


def parse_settings(kind: type[S], content: Any, where: str) -> S:
    """Validate `content` as `kind`.

    Raises:
        TracekdError: one line per fault, each with `where`, the field and what was found.
    """
    if not isinstance(content, dict):
        found = "nothing" if content is None else type(content).__name__
        raise TracekdError(f"{where}: expected a mapping of keys, found {found}")
    try:
        return kind.model_validate(content)
    except ValidationError as error:
        lines = [_explain(dict(fault), where) for fault in error.errors()]
        raise TracekdError("\n".join(dict.fromkeys(lines))) from error


def _explain(fault: dict[str, Any], where: str) -> str:
    unknown = [fault["ctx"]["key"]] if fault["type"] == "unknown" else []
    field = ".".join(map(str, [*fault["loc"], *unknown]))
    place = f"{where}: {field}" if field else where
    if fault["type"] == "missing":
        return f"{place}: missing"
    if unknown:
        return f"{place}: {fault['msg']}"
    message = fault["msg"].removeprefix("Value error, ")
    return f"{place}: {message}; found {fault['input']!r:.200}"


def read_yaml(path: Path) -> Any:
    """Return the content of a YAML 1.2 file (2e-3 is a number), as plain values.

    Raises:
        TracekdError: if the file is absent or not YAML, or has a duplicate key.
    """
    try:
        return YAML(typ="safe", pure=True).load(path)
    except FileNotFoundError as error:
        raise TracekdError(f"{path}: no such file; run from the project's root") from error
    except (YAMLError, ValueError, RecursionError) as error:
        raise TracekdError(f"{path}: not valid YAML: {error}") from error


def leaves(tree: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield the dotted key and the value of everything in a tree that is not a tree itself."""
    for name, value in tree.items():
        if isinstance(value, Mapping):
            yield from leaves(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


def write_entry(path: Path, name: str, values: Mapping[str, Any]) -> None:
    """Set values in one entry of a YAML file; comments, order and all else are kept."""
    yaml = YAML()
    yaml.preserve_quotes, yaml.width = True, 4096
    # The default writes null as an empty value.
    yaml.representer.add_representer(
        type(None), lambda writer, _: writer.represent_scalar("tag:yaml.org,2002:null", "null")
    )
    content = yaml.load(path)
    entry = content[name]
    for key, value in values.items():
        if key in entry:
            entry[key] = value
        else:  # before the last key: after it may come the comment of the next entry
            entry.insert(max(0, len(entry) - 1), key, value)
    with atomic_file(path.resolve()) as temporary:
        yaml.dump(content, temporary)


def project_root() -> Path:
    """Return the user's own checkout, also in queue and `--temp` runs and in tasks of a grid.

    Those run in another checkout, without untracked files; DVC sets DVC_ROOT, a task TRACEKD_ROOT.
    """
    return Path(os.environ.get("TRACEKD_ROOT") or os.environ.get("DVC_ROOT", ".")).resolve()


def cache_folder() -> Path:
    """Return the folder of downloaded and converted models: TRACEKD_CACHE or the user's cache."""
    if chosen := os.environ.get("TRACEKD_CACHE"):
        return expanded(chosen)
    return expanded(os.environ.get("XDG_CACHE_HOME", "~/.cache")) / "tracekd"
