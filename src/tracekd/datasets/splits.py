"""Which questions are in which split: stratified, nested in size, without leakage."""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import polars as pl

from tracekd import randomness
from tracekd.config import PrepareParams
from tracekd.errors import TracekdError
from tracekd.traces.grammar import one_lined

#: Share of train that validation takes where its size is null.
VALIDATION_SHARE = 0.1


#: What tells a question from others as a rule, and what then is left. Letter case and white space
#: make no difference, as in a prompt: each text is the one line that `sft.prompted` makes of it.
_OPENING = {
    "question": one_lined(pl.col("question")),
    "opening": one_lined(pl.col("context").list.first()),
}
_WHOLE = {"context": pl.col("context").list.eval(one_lined(pl.element())).list.join("\n")}
#: Two hashes of 64 bits each: of a million questions, two that differ have equal ones with a
#: probability of 1e-26.
_SEEDS = (0, 1)
_OPENINGS, _WHOLES = (
    [f"{name}_{seed}" for name in texts for seed in _SEEDS] for texts in (_OPENING, _WHOLE)
)
_IDENTITY = [*_OPENINGS, *_WHOLES]


@dataclass(frozen=True)
class Split:
    """The three splits, and what left train.

    Attributes:
        tables: "train", "validation", "test", rows of `identified` in upstream order.
        in_test: train questions that stand in upstream test too.
        in_validation: train questions that stand in validation too.
    """

    tables: dict[str, pl.DataFrame]
    in_test: pl.DataFrame
    in_validation: pl.DataFrame


def identified(questions: pl.DataFrame) -> pl.DataFrame:
    """Return id and class of each question, and what tells it from others, its context included.

    That is all a split is made from, and a hundredth of the questions themselves. Letter case and
    white space make no difference.
    """
    return pl.concat([opened(questions), whole(questions)], how="horizontal")


def opened(questions: pl.DataFrame) -> pl.DataFrame:
    """Return `identified` without hashes of whole contexts, which are most of the work."""
    return questions.select("id", "question_class").hstack(_hashes(questions, _OPENING))


def whole(questions: pl.DataFrame) -> pl.DataFrame:
    """Return what `identified` has beside `opened`."""
    return _hashes(questions, _WHOLE)


def alike(tables: Sequence[pl.DataFrame]) -> list[list[int]]:
    """Return of each `opened` table the rows that only `whole` tells from others of any table."""
    twice = pl.concat([table.select(_OPENINGS) for table in tables]).is_duplicated()
    ends = list(itertools.accumulate(map(len, tables)))
    return [
        twice[end - len(table) : end].arg_true().to_list()
        for table, end in zip(tables, ends, strict=True)
    ]


def with_whole(table: pl.DataFrame, rows: Sequence[int], found: pl.DataFrame) -> pl.DataFrame:
    """Return an `opened` table as an `identified` one.

    Args:
        table: whose rows differ in their openings, but for some.
        rows: these, ascending.
        found: `whole` of them.
    """
    columns = [
        pl.zeros(len(table), dtype=pl.UInt64, eager=True).scatter(rows, found[name]).alias(name)
        for name in _WHOLES
    ]
    return table.hstack(columns)


def _hashes(questions: pl.DataFrame, texts: Mapping[str, pl.Expr]) -> pl.DataFrame:
    chosen = questions.select(**texts)
    return chosen.select(
        pl.col(name).str.to_lowercase().hash(seed).alias(f"{name}_{seed}")
        for name in texts
        for seed in _SEEDS
    )


def split(train: pl.DataFrame, test: pl.DataFrame, sizes: PrepareParams, data_seed: int) -> Split:
    """Cut validation from train, drop what leaks, and sample each split stratified by class.

    Sizes nest: with the same seed a larger split contains a smaller one, so an experiment can be
    repeated with more of the same data. Validation is taken from the end of train's order and train
    from its start, so that neither moves the other.

    Args:
        train: upstream train, `identified`.
        test: upstream test, `identified`.
        sizes: questions per split; null takes all there are, in validation a tenth of train.
        data_seed: decides which questions.

    Raises:
        TracekdError: if a class has no question in train or test, or a split would be smaller than
            asked.
    """
    clean, in_test = without(train, test)
    _require_all_classes(clean, test, in_test)
    order = stratified_order(clean, data_seed)
    size = _validation_size(clean, sizes)
    validation = clean[sorted(order[len(order) - size :])]
    rest, in_validation = without(clean[order[: len(order) - size]], validation)
    tables = {
        "train": _in_order_of(clean, _beginning(rest, sizes.train, "train")),
        "validation": validation,
        "test": first(test, sizes.test, data_seed, "test"),
    }
    return Split(tables, in_test, in_validation)


def without(table: pl.DataFrame, others: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return the rows of `table` whose question, context included, is not in `others`; and is."""
    found = table.with_row_index("_row").join(others, on=_IDENTITY, how="semi")["_row"]
    inside = pl.int_range(pl.len()).is_in(found.implode())
    return table.filter(~inside), table.filter(inside)


def distinct(table: pl.DataFrame) -> int:
    """Return how many different questions, contexts included, the rows hold."""
    return table.select(_IDENTITY).n_unique() if len(table) else 0


def first(table: pl.DataFrame, size: int | None, data_seed: int, name: str) -> pl.DataFrame:
    """Return `size` rows, stratified by class, in their order in `table`; None returns all.

    Raises:
        TracekdError: if there are fewer.
    """
    if size is None:
        return table
    ordered = table[stratified_order(table, data_seed)]
    return _in_order_of(table, _beginning(ordered, size, name))


def stratified_order(table: pl.DataFrame, data_seed: int) -> list[int]:
    """Return row numbers in an order of which every beginning and end is stratified by class.

    The k-th of a class's n rows, hashed by id, stands at (k - 1/2) / n. The first N rows are then
    the Webster (Sainte-Laguë) apportionment of N among the classes. Unlike largest remainders, it
    never takes a row away when N grows.
    """
    hashes = randomness.digests(table["id"], data_seed, "split")
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
            f"params.yaml: prepare.{name}: {size} asked, {len(ordered)} available "
            f"({_counts(ordered)}); ask for fewer, or null for all"
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
            f"params.yaml: prepare.train and prepare.validation: {sizes.train or 'at least 1'} and "
            f"{size} asked, {len(train)} available together ({_counts(train)}); ask for fewer"
        )
    return size


def _require_all_classes(train: pl.DataFrame, test: pl.DataFrame, in_test: pl.DataFrame) -> None:
    names = {"train": train, "test": test}
    classes = {name: set(table["question_class"]) for name, table in names.items()}
    for name, other in (("train", "test"), ("test", "train")):
        if missing := sorted(classes[other] - classes[name]):
            leaked = in_test.filter(question_class=missing[0]).height if name == "train" else 0
            why = f", as all {leaked} stand in test too" if leaked else ""
            raise TracekdError(
                f"zero {name} questions of the class {missing[0]!r}{why}; available: "
                f"{_counts(names[name])}. Add some to the raw data or leave the class out"
            )


def _counts(table: pl.DataFrame) -> str:
    counts = table.group_by("question_class").len().sort("question_class")
    return ", ".join(f"{label}: {count}" for label, count in counts.iter_rows()) or "none"
