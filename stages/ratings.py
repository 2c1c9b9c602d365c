"""ratings: what raters sent back -> agreement, means by trace type, and accuracy beside them."""

from pathlib import Path
from typing import Annotated

import typer

from _stage import run


def main(
    files: Annotated[list[Path], typer.Argument(help="Files that rate.html exported.")],
    key: Annotated[Path, typer.Option(help="The key that was written with the page.")] = Path(
        "metrics/rating_key.json"
    ),
) -> None:
    """Analyse the ratings of traces that `python stages/report.py --rate` asked for.

    Reads the files, the key, and the scores of all experiments. Writes metrics/ratings.json,
    metrics/ratings.md, metrics/ratings.csv (a row per rating) and plots/ratings.png.
    """
    from tracekd.errors import TracekdError
    from tracekd.files import read_json
    from tracekd.rating import exports, report

    if not key.is_file():
        raise TracekdError(f"{key}: no such file; --key names the key of the page that was rated")
    plan = read_json(key)
    if "checksum" not in plan:
        raise TracekdError(f"{key}: not the key of a page; --key names the key of the page")
    ratings, notes = exports.read_exports(files, plan)
    print(report.write(Path(), ratings, notes, plan))


if __name__ == "__main__":
    run(main)
