"""Which questions are in which split: stratified, nested in size, without leakage."""

from dataclasses import dataclass

import polars as pl

from tracekd import randomness
from tracekd.config import Params, PrepareParams
from tracekd.errors import TracekdError

#: Share of train that validation takes where its size is null.
VALIDATION_SHARE = 0.1


@dataclass(frozen=True)
class Split:
    """The three splits, and the questions removed from train.

    Attributes:
        tables: "train", "validation", "test": keys in upstream order.
        in_test: train questions that also occur in upstream test.
        in_validation: train questions that also occur in validation.
        share_entity: train questions that are about something that a test question is about.
    """

    tables: dict[str, pl.DataFrame]
    in_test: pl.DataFrame
    in_validation: pl.DataFrame
    share_entity: pl.DataFrame


def split(train: pl.DataFrame, test: pl.DataFrame, sizes: PrepareParams, data_seed: int) -> Split:
    """Cut validation from train, remove what leaks, and sample each split stratified by class.

    Sizes nest: with the same seed a larger split contains a smaller one, so an experiment can be
    repeated with more of the same data. Validation is taken from the end of train's order and train
    from its start, so that neither moves the other.

    Args:
        train: `tracekd.datasets.keys.KEYS` of upstream train; further columns are kept. If one is
            `entities`, questions that share one with a test question leave train.
        test: those of upstream test.
        sizes: questions per split; null takes all there are, in validation a tenth of train.
        data_seed: decides which questions.

    Raises:
        TracekdError: if a class has no question in train or test, or there are fewer questions than
            a split should have.
    """
    clean, in_test = without(train, test)
    shared = clean.clear()
    if "entities" in clean.columns:
        named = test["entities"].explode().unique().implode()
        shares = clean["entities"].list.eval(pl.element().is_in(named)).list.any()
        clean, shared = clean.filter(~shares), clean.filter(shares)
    _require_all_classes(clean, test, in_test)
    order = stratified_order(clean, data_seed)
    size = _validation_size(clean, sizes)
    validation = clean[sorted(order[len(order) - size :])]
    rest, in_validation = without(clean[order[: len(order) - size]], validation)
    tables = {
        "train": _in_order_of(clean, _beginning(rest, sizes.train, "prepare.train")),
        "validation": validation,
        "test": first(test, sizes.test, data_seed, "prepare.test"),
    }
    return Split(tables, in_test, in_validation, shared)


def without(table: pl.DataFrame, others: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return the rows of `table` whose question is not in `others`, and those whose question is."""
    inside = table["identity"].is_in(others["identity"].implode())
    return table.filter(~inside), table.filter(inside)


def first(table: pl.DataFrame, size: int | None, seed: int, name: str) -> pl.DataFrame:
    """Return `size` rows, stratified by class, in their order in `table`; None returns all.

    With the same seed a larger size contains a smaller one.

    Raises:
        TracekdError: if there are fewer; cites `name`, the parameter that holds the size.
    """
    if size is None:
        return table
    ordered = table[stratified_order(table, seed)]
    return _in_order_of(table, _beginning(ordered, size, name))


def draw(train: pl.DataFrame, params: Params) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return the training sample, and `prompt.shots` questions that are not in it.

    The shots end the order that the sample begins, so they follow the same seed, and their number
    does not change a sample of a given size.

    Raises:
        TracekdError: if there are fewer questions.
    """
    size, shots = params.sample_size, params.prompt.shots
    left = max(0, len(train) - (size or 1))
    if shots > left:
        raise TracekdError(
            f"params.yaml: prompt.shots is {shots}, but sample_size leaves {left} of {len(train)} "
            "training questions for them; lower one of the two, or raise prepare.train"
        )
    size = len(train) - shots if size is None else size
    ordered = train[stratified_order(train, params.sampled_by)]
    return first(train, size, params.sampled_by, "sample_size"), ordered.tail(shots)


def stratified_order(table: pl.DataFrame, seed: int) -> list[int]:
    """Return row numbers in an order of which every beginning and end is stratified by class.

    The k-th of a class's n rows, ordered by a hash of the id, comes at (k - 1/2) / n. The first N
    rows are then the Webster (Sainte-Laguë) apportionment of N among the classes. Unlike largest
    remainders, it never takes a row away when N grows.
    """
    hashes = [randomness.digest(seed, "split", key) for key in table["id"]]
    order = pl.DataFrame(
        {"class": table["question_class"], "hash": pl.Series(hashes, dtype=pl.UInt64)}
    ).with_row_index("row")
    rank = pl.col("hash").rank("ordinal").over("class")
    position = (2 * rank.cast(pl.Int64) - 1) / (2 * pl.len().over("class"))
    ordered = order.with_columns(position=position).sort("position", "hash")
    rows: list[int] = ordered["row"].to_list()
    return rows


def _beginning(ordered: pl.DataFrame, size: int | None, name: str) -> pl.DataFrame:
    if size is not None and size > len(ordered):
        raise TracekdError(
            f"params.yaml: {name} is {size}, but only {len(ordered)} questions are "
            f"available ({_counts(ordered)}); set fewer, or null for all"
        )
    return ordered.head(len(ordered) if size is None else size)


def _in_order_of(table: pl.DataFrame, some: pl.DataFrame) -> pl.DataFrame:
    return table.join(some.select("id"), on="id", how="semi", maintain_order="left")


def _validation_size(train: pl.DataFrame, sizes: PrepareParams) -> int:
    size = sizes.validation
    if size is None:
        size = max(1, round(VALIDATION_SHARE * len(train)))
    if size + (sizes.train or 1) > len(train):
        raise TracekdError(
            f"params.yaml: prepare.train and prepare.validation need {sizes.train or 'at least 1'} "
            f"and {size} questions, but only {len(train)} are available together "
            f"({_counts(train)}); set fewer"
        )
    return size


def _require_all_classes(train: pl.DataFrame, test: pl.DataFrame, in_test: pl.DataFrame) -> None:
    names = {"train": train, "test": test}
    classes = {name: set(table["question_class"]) for name, table in names.items()}
    for name, other in (("train", "test"), ("test", "train")):
        if missing := sorted(classes[other] - classes[name]):
            leaked = in_test.filter(question_class=missing[0]).height if name == "train" else 0
            why = f", because all {leaked} also occur in test" if leaked else ""
            raise TracekdError(
                f"no {name} question of the class {missing[0]!r}{why}; available: "
                f"{_counts(names[name])}; add some to the raw data, or leave the class out"
            )


def _counts(table: pl.DataFrame) -> str:
    counts = table.group_by("question_class").len().sort("question_class")
    return ", ".join(f"{label}: {count}" for label, count in counts.iter_rows()) or "none"
