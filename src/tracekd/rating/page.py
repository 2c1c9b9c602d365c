"""rating.yaml and the data in the workspace -> rate.html, which needs no server, and its key."""

from pathlib import Path

import polars as pl

from tracekd import config, records
from tracekd.errors import TracekdError
from tracekd.files import atomic_file, read_json, write_json
from tracekd.rating.plan import Traces, make_plan
from tracekd.rating.settings import load_rating
from tracekd.report.page.inline import BASE, ELEMENTS, packed, render
from tracekd.traces import examples, taught
from tracekd.traces.grammar import Grammar
from tracekd.traces.lenient import thought_of

PAGE, KEY = "rate.html", "metrics/rating_key.json"
_FOLDER = Path(__file__).parent


def write_rating_page(root: Path) -> str:
    """Write the page, which names no trace type, and the key; return a sentence about them.

    Raises:
        TracekdError: if there is another page's key, without which its exports are lost.
    """
    settings = load_rating(root / "rating.yaml")
    page, key = make_plan(settings, *_read(root, settings.types))
    checksum = key["checksum"]
    if (root / KEY).exists() and read_json(root / KEY)["checksum"] != checksum:
        raise TracekdError(
            f"{KEY}: the key of a page with other settings or traces, which exports from that page "
            "need; move it away, or delete it"
        )
    html = render(
        _FOLDER / "rate.html.j2",
        [BASE, _FOLDER / "rate.css"],
        [ELEMENTS, _FOLDER / "rate.js"],
        plan=packed(page),
        settings=settings,
    )
    write_json(root / KEY, key)
    with atomic_file(root / PAGE) as temporary:
        temporary.write_text(html, encoding="utf-8", newline="\n")
    return (
        f"Wrote {PAGE} for {settings.raters} raters (checksum {checksum:.12}), and {KEY}, which "
        "says what each trace is: no rater may see it, and stages/ratings.py needs it"
    )


def _read(root: Path, types: list[str]) -> tuple[str, pl.DataFrame, dict[str, Traces]]:
    """Return dataset, test questions and, by regime, traces made as build-sft makes taught ones."""
    params = config.load_params(root / "params.yaml")
    spec = config.load_dataset(root / "datasets.yaml", params.dataset)
    tables = records.read_splits(root)
    written = records.read(root / "data/teacher/traces.parquet", taught.TEACHER)
    kept = taught.taught_of(written, spec, params.seed)
    grammar = Grammar(spec.class_sentence, free_text=True)
    traces: dict[str, Traces] = {}
    for name in types:
        regime = params.model_copy(update={"trace_mode": name})
        made = examples.build(tables, regime, spec, kept)["test"]
        # Without those that are not what the regime promises.
        texts = made.filter(pl.col("note").is_null()).select("id", "completion").iter_rows()
        traces[name] = {
            key: (trace, grammar.read(text).answer_text or "")
            for key, text in texts
            if (trace := thought_of(text))
        }
    return params.dataset, tables["test"], traces
