"""What raters sent back: read strictly, and joined with the key to the page that they rated."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import polars as pl
from pydantic import Field
from pydantic_core import from_json

from tracekd.config.reading import Settings, parse_settings
from tracekd.errors import TracekdError

#: One rating: `trace` is an id of the page, `seconds` how long the trace was visible.
RATINGS = {
    "rater": pl.String,
    "slot": pl.Int32,
    "trace": pl.String,
    "question": pl.String,
    "type": pl.String,
    "item": pl.String,
    "value": pl.Int32,
    "seconds": pl.Float64,
    "comment": pl.String,
}
#: What a file can be, besides complete -> what becomes of it.
NOTES = {
    "unreadable": "not used",
    "foreign": "from another page, not used",
    "duplicated": "not used: another file of the rater has as many ratings, or more",
    "inattentive": "failed attention checks, not used",
    "same slot": "used, as is the other rater of the slot",
    "incomplete": "used: the traces rated on every item",
}


class TraceRating(Settings):
    """What a rater said of one trace; `values` are by item."""

    values: dict[str, int]
    comment: str
    seconds: Annotated[float, Field(ge=0)]


class RatingExport(Settings):
    """A file that the page wrote."""

    plan: str
    slot: int
    rater: str
    ratings: dict[str, TraceRating]


def read_exports(
    paths: Sequence[Path], key: Mapping[str, Any]
) -> tuple[pl.DataFrame, dict[str, dict[str, str]]]:
    """Return the ratings that count, without attention checks, and what was found in other files.

    `key` is that of the page that the files should be from.

    Returns:
        rows of `RATINGS`; one of `NOTES` -> file -> details.

    Raises:
        TracekdError: if there is no rating that counts.
    """
    notes: dict[str, dict[str, str]] = {note: {} for note in NOTES}
    read: list[tuple[str, RatingExport, dict[str, TraceRating]]] = []
    for path in dict.fromkeys(map(str, paths)):
        try:
            one = _read(path)
            if one.plan == key["checksum"]:
                read.append((path, one, _rated(one, key)))
            else:
                notes["foreign"][path] = f"checksum {one.plan:.12}, not {key['checksum']:.12}"
        except TracekdError as error:
            notes["unreadable"][path] = str(error)
    of_rater: dict[str, str] = {}
    of_slot: dict[int, str] = {}
    rows: list[dict[str, Any]] = []
    for path, one, rated in sorted(read, key=lambda file: -len(file[2])):
        asked, checks = key["slots"][one.slot - 1], key["checks"].items()
        failed = [c for c, v in checks if c in rated and {*rated[c].values.values()} != {v}]
        if of_rater.setdefault(one.rater, path) != path:
            notes["duplicated"][path] = f"the rater of {of_rater[one.rater]}"
        elif failed:
            notes["inattentive"][path] = f"{len(failed)} of {len(checks)}"
        else:
            rows.extend(_rows(one, rated, key))
            if of_slot.setdefault(one.slot, path) != path:
                notes["same slot"][path] = f"slot {one.slot}, as {of_slot[one.slot]}"
            if len(rated) < len(asked):
                notes["incomplete"][path] = f"{len(rated)} of {len(asked)} traces"
    if not rows:
        counts = ", ".join(f"{len(files)} {note}" for note, files in notes.items() if files)
        raise TracekdError(f"no rating that counts in {len(paths)} files ({counts})")
    return pl.DataFrame(rows, schema=RATINGS), {note: of for note, of in notes.items() if of}


def _read(path: str) -> RatingExport:
    try:
        content = from_json(Path(path).read_bytes())
    except ValueError as error:
        raise TracekdError(f"not JSON: {error}") from error
    return parse_settings(RatingExport, content, "not an export")


def _rated(one: RatingExport, key: Mapping[str, Any]) -> dict[str, TraceRating]:
    """Return the traces that are rated on every item, if the page can have written all ratings."""
    slots, settings = key["slots"], key["settings"]
    if not 1 <= one.slot <= len(slots):
        raise TracekdError(f"slot {one.slot}; the page has 1 to {len(slots)}")
    items, scale = {item["name"] for item in settings["items"]}, range(1, settings["points"] + 1)
    for trace, rating in one.ratings.items():
        known = trace in slots[one.slot - 1] and rating.values.keys() <= items
        if not known or not all(value in scale for value in rating.values.values()):
            raise TracekdError(f"slot {one.slot} cannot rate {trace} {rating.values}")
    return {name: one for name, one in one.ratings.items() if one.values.keys() == items}


def _rows(
    one: RatingExport, rated: Mapping[str, TraceRating], key: Mapping[str, Any]
) -> Iterator[dict[str, Any]]:
    for trace in filter(key["traces"].get, rated):
        question, kind = key["traces"][trace]
        row = {"rater": one.rater, "slot": one.slot, "trace": trace, "question": question}
        row |= {"type": kind, **rated[trace].model_dump(include={"seconds", "comment"})}
        for item, value in rated[trace].values.items():
            yield {**row, "item": item, "value": value}
