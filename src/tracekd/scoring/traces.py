"""The steps of traces against the gold of their own questions, all traces at once as columns.

What the verdicts on one trace mean:

class_predicted   the class that the trace names
class_correct     it is the gold one but for case and punctuation
facts_predicted   P, the facts of the context that the trace quotes: their indexes, in its order
facts_unmatched   U, how many different texts it quotes that are no fact, each a wrong one
facts_lenient     how many different texts are a fact only but for case and punctuation
facts_precision   |P and G| / (|P| + U), with G the gold facts
facts_recall      |P and G| / |G|
facts_f1          harmonic mean of the two
facts_exact       P = G and U = 0: all gold facts and no other text, in any order
trace_correct     every step that the regime teaches is right (class_correct, facts_exact), in a
                  text that could be read: one without an answer stopped before its trace was whole

Facts that read the same are one, the first of them; runs of white space are one space. Where no
fact is gold and none quoted, precision, recall and F1 are 1; where P and G share nothing otherwise,
0. A trace without the step quotes nothing and is never right, nor has it any precision or recall.

The facts of all traces are three relations, with `row` for the trace: `quoted` (row, text), `gold`
(row, text) and `context` (row, index, text). `_match` finds in which fact of its row's context a
text stands, `_count` counts by row what was found, `_figures` has the formulas above.

To add a figure of the facts, state it here, in `_figures` and in `records.SCORES`; to add a step,
write its function and enter it in `_STEPS`.
"""

import string
from collections.abc import Callable, Collection

import polars as pl

from tracekd import records
from tracekd.scoring.columns import normalised
from tracekd.traces.grammar import one_lined
from tracekd.traces.regimes import Step as Step

#: The columns of the table of scores that come from here.
VERDICTS = (
    "class_predicted",
    "class_correct",
    "facts_predicted",
    "facts_precision",
    "facts_recall",
    "facts_f1",
    "facts_exact",
    "facts_lenient",
    "facts_unmatched",
    "trace_correct",
)
# What `normalise` leaves out at the beginning of a text.
_SILENT = string.punctuation + "".join(filter(str.isspace, map(chr, range(0x3001))))


def score_traces(traces: pl.DataFrame, steps: Collection[Step]) -> pl.DataFrame:
    """Return the verdicts on the steps that a regime teaches, columns `VERDICTS`.

    What belongs to a step that the regime does not teach is null.

    Args:
        traces: form, class_name and facts as in `tracekd.traces.reading.READINGS`, each fact one
            line; question_class, context and gold_facts (indexes into it, or none) as in
            `tracekd.records.DECOMPOSED`.
        steps: the taught steps, `tracekd.traces.regimes.REGIMES[name].steps`.
    """
    taught = [_STEPS[step] for step in _STEPS if step in steps]
    verdicts = [score(traces) for score, _ in taught]
    table = pl.concat([traces.select("form"), *verdicts], how="horizontal")
    if taught:
        right = pl.all_horizontal(column for _, column in taught)
        table = table.with_columns(trace_correct=right & (pl.col("form") != "failed"))
    missing = [pl.lit(None).alias(name) for name in VERDICTS if name not in table.columns]
    types = pl.Schema({name: records.SCORES[name] for name in VERDICTS})
    return table.with_columns(missing).select(VERDICTS).cast(types)


def score_class(traces: pl.DataFrame) -> pl.DataFrame:
    """Return class_predicted and class_correct; see `score_traces`."""
    named, gold = (normalised(traces[name]) for name in ("class_name", "question_class"))
    return traces.select(class_predicted="class_name", class_correct=named.eq_missing(gold))


def score_facts(traces: pl.DataFrame) -> pl.DataFrame:
    """Return the columns `facts_*`; see `score_traces`."""
    rows = traces.select("facts", "context", "gold_facts").with_row_index("row")
    places = pl.int_ranges(pl.col("context").list.len())
    context = rows.select("row", index=places, text="context").explode("index", "text")
    context = context.with_columns(sign=_sign(context["text"]))
    quoted = _texts(rows, pl.col("facts")).unique(maintain_order=True)
    gold = _texts(rows, pl.col("context").list.gather(pl.col("gold_facts")))
    gold = gold.with_columns(one_lined(pl.col("text")))
    shown = rows.select("row", shown=pl.col("facts").is_not_null())
    found, wanted = _match(quoted, context), _match(gold, context).select("row", "index").unique()
    return _figures(_count(shown, found, wanted))


#: The function of each step, and the column that says whether the step is right.
_STEPS: dict[Step, tuple[Callable[[pl.DataFrame], pl.DataFrame], str]] = {
    "class": (score_class, "class_correct"),
    "facts": (score_facts, "facts_exact"),
}


def _texts(rows: pl.DataFrame, lists: pl.Expr) -> pl.DataFrame:
    return rows.select("row", text=lists).explode("text").drop_nulls("text")


def _match(texts: pl.DataFrame, context: pl.DataFrame) -> pl.DataFrame:
    """Return for each text the first fact of its row's context that reads the same.

    Args:
        texts: columns row and text, each text one line.
        context: columns row, index, text and sign (`_sign` of the text).

    Returns:
        Columns row, index (null if there is no such fact) and lenient (the fact was found only
        without regard to case and punctuation), in the order of `texts`.
    """
    texts = texts.with_columns(sign=_sign(texts["text"])).with_row_index("key")
    # Only texts that begin alike can be equal, so that of the contexts little is compared.
    pairs = texts.join(context, on=["row", "sign"], suffix="_fact")
    equal = _equal(pairs)
    others = pairs.join(equal, on="key", how="anti")
    alike = others.filter(normalised(others["text"]) == normalised(others["text_fact"]))
    found = pl.concat(
        part.group_by("key").agg(pl.col("index").min(), lenient=pl.lit(lenient))
        for part, lenient in ((equal, False), (alike, True))
    )
    placed = texts.join(found, on="key", how="left", maintain_order="left")
    return placed.select("row", "index", "lenient")


def _equal(pairs: pl.DataFrame) -> pl.DataFrame:
    """Return the pairs whose text is the fact's as one line."""
    same = pl.col("text") == pl.col("text_fact")
    # Most facts are one line already.
    others = pairs.filter(~same)
    return pl.concat(
        [
            pairs.filter(same),
            others.filter(pl.col("text") == one_lined(pl.col("text_fact"))),
        ]
    )


def _count(shown: pl.DataFrame, found: pl.DataFrame, wanted: pl.DataFrame) -> pl.DataFrame:
    """Count by row what the formulas need.

    Args:
        shown: columns row (every one) and shown (the trace has the step).
        found: `_match` of the quoted texts.
        wanted: row and index of the gold facts, each once.

    Returns:
        The rows of `shown` with columns predicted (the indexes quoted, each once), lenient,
        unmatched, gold and shared (gold facts that are quoted).
    """
    said = found.group_by("row", maintain_order=True).agg(
        predicted=pl.col("index").drop_nulls().unique(maintain_order=True),
        lenient=pl.col("lenient").sum(),
        unmatched=pl.col("index").null_count(),
    )
    gold = wanted.group_by("row").agg(gold=pl.len())
    hits = wanted.join(found, on=["row", "index"], how="semi").group_by("row").agg(shared=pl.len())
    for counts in (said, gold, hits):
        shown = shown.join(counts, on="row", how="left", maintain_order="left")
    return shown.with_columns(
        pl.col("predicted").fill_null(pl.lit([], dtype=said.schema["predicted"])),
        pl.col("lenient", "unmatched", "gold", "shared").fill_null(0),
    )


def _figures(counts: pl.DataFrame) -> pl.DataFrame:
    """Return the columns `facts_*` from what `_count` returns, as the module says."""
    shown, gold, shared = pl.col("shown"), pl.col("gold"), pl.col("shared")
    quoted = pl.col("predicted").list.len() + pl.col("unmatched")
    nothing = shown & (quoted == 0) & (gold == 0)
    precision = _share(shared, quoted, nothing=nothing)
    recall = _share(shared, gold, nothing=nothing)
    f1 = 2 * precision * recall / (precision + recall)
    return counts.select(
        facts_predicted="predicted",
        facts_precision=precision,
        facts_recall=recall,
        facts_f1=pl.when(precision + recall > 0).then(f1).otherwise(0.0),
        facts_exact=shown & (quoted == shared) & (gold == shared),
        facts_lenient="lenient",
        facts_unmatched="unmatched",
    )


def _share(part: pl.Expr, whole: pl.Expr, *, nothing: pl.Expr) -> pl.Expr:
    """Return part / whole, 0 if part is 0, and 1 if there was `nothing` to quote and none was."""
    return pl.when(nothing).then(1.0).when(part == 0).then(0.0).otherwise(part / whole)


def _sign(texts: pl.Series) -> pl.Series:
    """Return the first sign of each text that case and punctuation do not change; "" if none."""
    first = texts.str.head(1)
    kinds = first.unique()
    signs = first.replace_strict(kinds, _sign_in(kinds), return_dtype=pl.String)
    others = (signs == "").arg_true()  # they begin with something silent
    return signs.scatter(others, _sign_in(texts[others]))


def _sign_in(texts: pl.Series) -> pl.Series:
    # What is lower case of one letter alone may be several.
    return texts.str.strip_chars_start(_SILENT).str.head(1).str.to_lowercase().str.head(1)
