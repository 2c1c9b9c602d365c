"""publish: a student -> a folder or a repository of the hub that others can load."""

from pathlib import Path
from typing import Annotated

import typer

from _stage import run


def main(
    experiment: Annotated[
        str, typer.Argument(help="A DVC experiment; by default the run that dvc.lock describes.")
    ] = "workspace",
    to: Annotated[str, typer.Option(metavar="FOLDER", help="Write this new folder.")] = "",
    repo: Annotated[
        str, typer.Option(metavar="USER/NAME", help="Upload it to this repository of the hub.")
    ] = "",
    merge: Annotated[
        bool, typer.Option("--merge", help="The base model with the adapter merged in.")
    ] = False,
    private: Annotated[
        bool, typer.Option("--private", help="With --repo: nobody else sees a new repository.")
    ] = False,
) -> None:
    """Publish a student: weights, tokenizer with the prompt it was trained on, and a model card.

    Reads models/student, metrics and settings of the experiment from DVC's cache, and checks
    nothing out. Writes FOLDER. Nothing is sent anywhere unless --repo is given.
    """
    from tempfile import TemporaryDirectory

    from tracekd.comparison.experiments import find_experiment
    from tracekd.comparison.store import find_store
    from tracekd.errors import TracekdError
    from tracekd.publishing.folder import publish
    from tracekd.publishing.upload import require_token, upload

    if not (to or repo):
        raise TracekdError("name --to FOLDER, or --repo USER/NAME of the Hugging Face hub")
    if private and not repo:
        raise TracekdError("--private: needs --repo USER/NAME")
    if repo:
        require_token(repo)
    root = Path()
    one = find_experiment(root, experiment)
    with TemporaryDirectory(prefix="tracekd-") as scratch:
        folder = Path(to) if to else Path(scratch, "student")
        publish(one, find_store(root), folder, repo or folder.name, merge=merge)
        if to:
            print(f"{one.name}: student in {folder}")
        if repo:
            print(f"{one.name}: uploaded, {upload(folder, repo, private=private)}")


if __name__ == "__main__":
    run(main)
