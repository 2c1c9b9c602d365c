"""Settings, read strictly: the base of what a settings file may hold, and how its faults are told.

Nothing is guessed: an unknown key, a key that stands twice or is a number, a true where a number
belongs, or a number without end is an error that names file, field, what was found and what would
be right.
"""

import re
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from reprlib import Repr
from typing import Any, TypeVar, get_args

import yaml
from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    ValidationError,
    ValidationInfo,
    field_validator,
)

from tracekd.errors import TracekdError, nearest
from tracekd.files import atomic_file

#: Aliases make a YAML file of a line stand for a structure of gigabytes.
_SHORT = Repr()
_SHORT.maxlevel, _SHORT.maxstring, _SHORT.maxother = 2, 200, 200
_LONGEST_KEY = 100
#: A number to everyone but YAML 1.1, which wants a point in it: 2e-3.
_NUMBER = re.compile(r"[-+]?\d+e[-+]?\d+", re.IGNORECASE)


class Settings(BaseModel):
    """Base of all settings: immutable, unknown keys rejected, numbers finite."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    @field_validator("*", mode="before")
    @classmethod
    def _is_what_it_looks_like(cls, value: Any, info: ValidationInfo) -> Any:
        """Refuse what pydantic or Parquet would take amiss: true as 1, half a surrogate pair."""
        field = cls.model_fields[str(info.field_name)]
        items = value if isinstance(value, list) else [value]
        if _takes(field.annotation, int, float):
            if any(isinstance(item, bool) for item in items):
                raise ValueError("must be a number, not true or false")
            if any(isinstance(item, str) and not _NUMBER.fullmatch(item) for item in items):
                raise ValueError("must be a number, not text")
        if field.annotation is bool and not isinstance(value, bool):
            raise ValueError("must be true or false")
        for item in items:
            if isinstance(item, str) and not item.isascii():
                try:
                    item.encode("utf-8")
                except UnicodeEncodeError as error:
                    raise ValueError("holds half a surrogate pair") from error
        return value


S = TypeVar("S", bound=Settings)


def parse_settings(kind: type[S], content: Any, where: str) -> S:
    """Validate `content` as `kind`; every fault is told with its place and a remedy.

    Raises:
        TracekdError: one line per fault, each naming `where`, the field and what was found.
    """
    if not isinstance(content, dict):
        found = "nothing" if content is None else type(content).__name__
        raise TracekdError(f"{where}: expected a mapping of keys, found {found}")
    try:
        return kind.model_validate(content)
    except ValidationError as error:
        lines = [_explain(kind, dict(fault), where) for fault in error.errors()]
        raise TracekdError("\n".join(lines)) from error


def read_yaml(path: Path) -> Any:
    """Return what a YAML file holds: plain values only.

    Raises:
        TracekdError: if there is no such file, or it is not YAML, or a key stands twice
            or is not text.
    """
    try:
        return yaml.load(path.read_text(encoding="utf-8"), Loader=_OnceLoader)  # noqa: S506
    except FileNotFoundError as error:
        raise TracekdError(f"{path}: no such file; run from the project's root") from error
    except IsADirectoryError as error:
        raise TracekdError(f"{path}: is a folder, not a file") from error
    except RecursionError as error:
        raise TracekdError(f"{path}: not valid YAML: nested too deeply") from error
    # ValueError: bytes that are not UTF-8, a date like 2001-99-99, a number without end
    except (yaml.YAMLError, ValueError) as error:
        raise TracekdError(f"{path}: not valid YAML: {error}") from error


def write_entry(path: Path, name: str, values: Mapping[str, str]) -> None:
    """Set values of one entry of a YAML file; comments, order and all else stay as they are.

    A key that the entry lacks is put before its last one, behind which the comment of the next
    entry may stand.
    """
    from ruamel.yaml import YAML

    round_trip = YAML()
    round_trip.preserve_quotes = True
    round_trip.width = 4096
    # Its default writes null as nothing at all.
    round_trip.representer.add_representer(
        type(None), lambda writer, _: writer.represent_scalar("tag:yaml.org,2002:null", "null")
    )
    content = round_trip.load(path.read_text(encoding="utf-8"))
    entry = content[name]
    for key, value in values.items():
        if key in entry:
            entry[key] = value
        else:
            entry.insert(max(0, len(entry) - 1), key, value)
    with atomic_file(path) as temporary, temporary.open("w", encoding="utf-8") as out:
        round_trip.dump(content, out)


class _OnceLoader(yaml.SafeLoader):
    """The safe loader, which builds plain values only; keys are text and none stands twice."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """Return the mapping of `node`."""
        # A merge (`<<`) may repeat keys, and does so on purpose: compared before it is resolved.
        keys = [(key.tag, key.value) for key, _ in node.value if isinstance(key, yaml.ScalarNode)]
        if len(keys) > len(set(keys)):
            twice = Counter(keys).most_common(1)[0][0][1]
            raise yaml.constructor.ConstructorError(
                None, None, f"the key {twice!r} stands twice; leave one", node.start_mark
            )
        made = super().construct_mapping(node, deep)
        for key in made:
            if not isinstance(key, str):
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key {key!r} is not text; write quotes", node.start_mark
                )
        return made


def matching(pattern: str, words: str) -> AfterValidator:
    """Return a check that a text is of a pattern; its message says in words what is right."""

    def check(text: str) -> str:
        if not re.fullmatch(pattern, text):
            raise ValueError(f"must be {words}")
        return text

    return AfterValidator(check)


def _takes(annotation: Any, *types: type) -> bool:
    return annotation in types or any(_takes(each, *types) for each in get_args(annotation))


def _explain(kind: type[Settings], fault: dict[str, Any], where: str) -> str:
    path = [str(part)[:_LONGEST_KEY] for part in fault["loc"]]
    place = f"{where}: {'.'.join(path)}" if path else where
    if fault["type"] == "extra_forbidden":
        return f"{place}: unknown key; {nearest(path[-1], _known_keys(kind, path[:-1]))}"
    if fault["type"] == "missing":
        return f"{place}: missing"
    message = fault["msg"].removeprefix("Value error, ")
    return f"{place}: {message}; found {_SHORT.repr(fault['input'])}"


def _known_keys(kind: type[Settings], path: list[str]) -> list[str]:
    for part in path:
        field = kind.model_fields.get(part)
        annotation = field.annotation if field else None
        options = [annotation, *getattr(annotation, "__args__", ())]
        inner = [o for o in options if isinstance(o, type) and issubclass(o, Settings)]
        if not inner:
            return []
        kind = inner[0]
    return list(kind.model_fields)
