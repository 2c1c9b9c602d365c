"""What DVC's queue has not finished: what a report lacks only because it is not there yet."""

from pathlib import Path

from tracekd.errors import TracekdError

_QUEUE = Path(".dvc", "tmp", "exps", "celery")


def unfinished(root: Path) -> dict[str, str]:
    """Return experiments of DVC's queue that are not done -> "queued" or "running".

    One whose worker was killed counts as running, as it does in `dvc queue status`.

    Args:
        root: a folder of the DVC project. Where there is no queue, DVC is not even loaded.

    Raises:
        TracekdError: if there is a queue and it cannot be read.
    """
    here = root.resolve()
    project = next((one for one in (here, *here.parents) if (one / ".dvc").is_dir()), here)
    if not (project / _QUEUE).is_dir():
        return {}
    from dvc.exceptions import DvcException
    from dvc.repo import Repo

    try:
        with Repo(str(project)) as repo:
            queue = repo.experiments.celery_queue
            # In this order: a task that is taken by a worker meanwhile is seen twice, not never.
            queued = {one.name or one.stash_rev[:7]: "queued" for one in queue.iter_queued()}
            running = {one.name or one.stash_rev[:7]: "running" for one in queue.iter_active()}
    except (DvcException, OSError, ValueError) as error:
        raise TracekdError(
            f"{project / _QUEUE}: DVC's queue cannot be read ({error}); "
            "see what `dvc queue status` says"
        ) from error
    return running | {name: state for name, state in queued.items() if name not in running}
