"""report: many experiments -> a page in which every question can be seen across them."""

from pathlib import Path
from typing import Annotated

import typer

from _stage import run


def main(
    experiment: Annotated[
        list[str] | None,
        typer.Argument(help="DVC experiments; by default all that compare.py uses."),
    ] = None,
    out: Annotated[Path, typer.Option(metavar="FILE", help="Write this file.")] = Path(
        "report_all.html"
    ),
    rate: Annotated[
        bool, typer.Option("--rate", help="Write rate.html instead: raters judge traces on it.")
    ] = False,
) -> None:
    """Write a page over many experiments: regimes compared, and every question in each of them.

    Reads the experiments from DVC's cache, and checks nothing out. The page is one file, which
    opens from disk without a network. That of the last run alone is report.html.

    With --rate, reads rating.yaml, and params.yaml and data of the workspace. Writes rate.html, a
    page on which raters judge traces, and metrics/rating_key.json for stages/ratings.py.
    """
    if rate:
        from tracekd.rating.page import write_rating_page

        print(write_rating_page(Path()))
        return
    from tracekd.comparison.pages import gather
    from tracekd.errors import TracekdError
    from tracekd.report.page import write_page

    contents, comparison = gather(Path(), experiment or ())
    missing = comparison["experiments"]["rejected"]
    missing |= dict.fromkeys(comparison["experiments"]["scores_absent"], "no scores here: dvc pull")
    if not contents:
        first = next(iter(missing.items()), ("", "nothing was run"))
        raise TracekdError(f"no experiment is complete on this machine: {': '.join(first)}")
    title = contents[0].name if len(contents) == 1 else f"{len(contents)} experiments"
    write_page(out, contents, comparison, title)
    print(f"Wrote {out}: {title}")
    for name, reason in missing.items():
        print(f"WARNING: left out {name}: {reason}")


if __name__ == "__main__":
    run(main)
