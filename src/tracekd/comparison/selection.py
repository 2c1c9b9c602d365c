"""What keeping a teacher's traces selected: which questions, and how the others are answered.

Regimes with a teacher's traces are taught only questions for which one was kept, and which these
are follows their difficulty; with `teacher.match`, all regimes are taught the same ones.
"""

from collections.abc import Iterable
from statistics import fmean

from tracekd.comparison.experiments import Experiment
from tracekd.comparison.locks import DETAILS
from tracekd.comparison.store import Store
from tracekd.errors import TracekdError
from tracekd.files import read_json
from tracekd.statistics.values import Tree, Undefined, ratio


def kept_shares(one: Experiment, store: Store) -> Tree | Undefined:
    """Return the shares of training questions with a kept trace; none without a teacher.

    By kind of trace, then class, and over `all`. Undefined if the manifest is not on this machine.
    """
    if one.run.params.get("teacher.name", "none") == "none":
        return {}
    try:
        manifest = read_json(store.folder(one, "data/teacher")["manifest.json"])
    except TracekdError as error:
        return Undefined(str(error))
    shares = {}
    for kind, found in manifest["kinds"].items():
        train = found["splits"]["train"]
        shares[kind] = {
            name: ratio(part["with_kept_trace"], part["questions"], "no such question")
            for name, part in {"all": train, **train["classes"]}.items()
        }
    return shares


def by_selection(group: Iterable[Experiment], store: Store) -> Tree:
    """Return the mean accuracy of experiments on test questions with and without a kept trace.

    See `scoring.quality.selection`. Empty without traces of test questions.
    """
    found = [one for each in group if (one := store.json(each, DETAILS).get("selection"))]
    means: dict[str, Tree | Undefined] = {}
    for part in ("with_trace", "without_trace") if found else ():
        shares = [one[f"accuracy_{part}"] for one in found]
        known = [share for share in shares if share is not None]
        means[part] = {"mean": fmean(known)} if known else Undefined("no such test question")
    return means
