"""What a grid starts from: the committed code, the git remote, and the experiments there are."""

from pathlib import Path

from tracekd.config.reading import read_yaml
from tracekd.repository import experiment_name, git


def experiment_refs(root: Path, remote: str | None = None) -> dict[str, str]:
    """Return the refs of all experiments here, or of those on a remote, by name.

    Raises:
        TracekdError: if git does not know the remote or cannot reach it.
    """
    if remote is None:
        lines = git(root, "for-each-ref", "--format=%(objectname)\t%(refname)", "refs/exps")
    else:
        lines = git(root, "ls-remote", remote, "refs/exps/*")
    refs = (line.split("\t")[1] for line in lines.splitlines())
    return {name: ref for ref in refs if (name := experiment_name(ref))}


def code_hashes(root: Path) -> dict[str, str]:
    """Return git's hash of every file and folder that a stage of dvc.yaml depends on, as committed.

    Outs of other stages are left out, and the settings files, of which entries count.
    """
    stages = read_yaml(root / "dvc.yaml")["stages"].values()
    settings = {"models.yaml", "datasets.yaml", "teachers.yaml", "params.yaml"}
    deps = {dep for stage in stages for dep in stage.get("deps", ()) if dep not in settings}
    listed = git(root, "ls-tree", "-z", "HEAD", "--", *sorted(deps))
    rows = (row.split("\t") for row in listed.split("\0") if row)
    return {path: entry.split(" ")[2] for entry, path in rows}


def remote_url(root: Path, remote: str) -> str:
    """Return the address of a git remote, absolute if it is a folder."""
    url = git(root, "remote", "get-url", remote).strip()
    return str((root / url).resolve()) if (root / url).exists() else url
