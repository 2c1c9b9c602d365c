"""Files of a repository on the Hugging Face hub at one commit, each verified by its hash.

The hub's client checks sizes only. Its cache names each file by the hash that the hub states: the
SHA-256 of a large file, git's SHA-1 of a small one
(https://huggingface.co/docs/huggingface_hub/guides/manage-cache), which is compared here, once
for each file and repository. A file that does not fit is taken out of the cache and fetched again.
"""

import errno
import hashlib
import json
import re
import sys
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from tracekd.config import cache_folder
from tracekd.errors import TracekdError
from tracekd.files import write_json

_PAGE = "https://huggingface.co"
_CHUNK = 1 << 20
_HASH = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
#: Faults of this machine that have their own advice; see `tracekd.cli`.
_OWN_FAULTS = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES})


@dataclass(frozen=True)
class Repository:
    """A repository at one commit.

    Attributes:
        kind: `model` or `dataset`.
        name: the key of models.yaml or datasets.yaml, or None where messages go without.
        repo: its name on the hub.
        revision: the commit.
    """

    kind: Literal["model", "dataset"]
    name: str | None
    repo: str
    revision: str

    @property
    def page(self) -> str:
        """Address of its page."""
        return f"{_PAGE}/datasets/{self.repo}" if self.kind == "dataset" else f"{_PAGE}/{self.repo}"


def fetch(repository: Repository, patterns: Sequence[str], ignored: Sequence[str] = ()) -> Path:
    """Return a folder with the repository's files; those that are not in the cache are fetched.

    Args:
        repository: which, at which commit.
        patterns: files to fetch, in the manner of a shell.
        ignored: files among them to leave.

    Raises:
        TracekdError: one line that names the repository, what was tried and what to do.
    """
    from filelock import FileLock

    record = _record(repository)
    record.parent.mkdir(parents=True, exist_ok=True)
    # Whoever comes second must not read a file that the first is about to take out as damaged.
    with FileLock(record.with_suffix(".lock")):
        return _fetch(repository, patterns, ignored)


def explain(repository: Repository, error: Exception) -> str:
    """Return one line for the user about a fault of the hub or on the way to it."""
    from huggingface_hub.errors import (
        GatedRepoError,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )

    tried, local = _tried(repository), _local(repository)
    causes = list(_causes(error))
    kinds = tuple(type(cause) for cause in causes)
    log_in = f"run `hf auth login`, or {local}"
    if any(issubclass(kind, GatedRepoError) for kind in kinds):
        return f"{tried}, but it is gated; accept its licence at {repository.page} and {log_in}"
    if any(issubclass(kind, RevisionNotFoundError) for kind in kinds):
        return (
            f"{tried}, but it has no such revision; choose one from {repository.page}/commits/main "
            f"or {local}"
        )
    if any(issubclass(kind, RepositoryNotFoundError) for kind in kinds):
        return f"{tried}, but it does not exist or is not open to you; check the name, {log_in}"
    status = next((code for cause in causes if (code := _status(cause))), None)
    if status in (401, 403):
        return f"{tried}, but it refuses you (HTTP {status}); {log_in}"
    if status is not None:
        return f"{tried}, but it answers HTTP {status}; try again later, or {local}"
    reason = " ".join(str(causes[-1]).split())[:300] or type(causes[-1]).__name__
    return (
        f"{tried}, but could not reach it or was cut off ({reason}); check the network and run "
        f"again, which goes on where it stopped, or {local}"
    )


def _fetch(repository: Repository, patterns: Sequence[str], ignored: Sequence[str]) -> Path:
    for attempt in range(2):
        folder = _snapshot(repository, patterns, ignored)
        broken = _broken_files(repository, folder)
        if not broken:
            return folder
        for link in broken:
            link.resolve().unlink(missing_ok=True)
            link.unlink(missing_ok=True)
        names = ", ".join(sorted(link.relative_to(folder).as_posix() for link in broken)[:3])
        if attempt == 0:
            print(f"{repository.repo}: fetching {names} again: damaged", file=sys.stderr)
    raise TracekdError(
        f"{_tried(repository)}, but the content of {names} is not what the hub states (its hash "
        "differs), twice in a row; the damaged files were deleted; try another network: "
        f"something on the way changes them; or {_local(repository)}"
    )


def _snapshot(repository: Repository, patterns: Sequence[str], ignored: Sequence[str]) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import LocalEntryNotFoundError

    def download(*, local_files_only: bool) -> Path:
        return Path(
            snapshot_download(
                repository.repo,
                repo_type=repository.kind,
                revision=repository.revision,
                allow_patterns=list(patterns),
                ignore_patterns=list(ignored),
                local_files_only=local_files_only,
            )
        )

    # Without the list of its files nobody can tell whether what the cache holds is all of them.
    if _is_listed(repository):
        try:
            return download(local_files_only=True)
        except LocalEntryNotFoundError:
            pass
    try:
        _knock(repository)
        folder = download(local_files_only=False)
    except Exception as error:  # the hub's errors, the file system's and the HTTP client's own
        if isinstance(error, OSError) and error.errno in _OWN_FAULTS:
            raise
        raise TracekdError(explain(repository, error)) from error
    if not _is_listed(repository):
        raise TracekdError(
            f"{_tried(repository)}, but could not reach it, and the cache holds some of its files, "
            f"maybe not all; check the network, or {_local(repository)}"
        )
    return folder


def _knock(repository: Repository) -> None:
    """Ask once, without the download's patient repetitions, whether there is a way at all."""
    from huggingface_hub import get_hf_file_metadata, hf_hub_url
    from huggingface_hub.errors import RemoteEntryNotFoundError

    url = hf_hub_url(
        repository.repo,
        ".gitattributes",
        repo_type=repository.kind,
        revision=repository.revision,
    )
    # Nearly every repository has this file; that one has not is an answer too.
    with suppress(RemoteEntryNotFoundError):
        get_hf_file_metadata(url)


def _is_listed(repository: Repository) -> bool:
    from huggingface_hub import get_cached_repo_tree
    from huggingface_hub.errors import CachedRepoTreeNotFoundError

    try:
        get_cached_repo_tree(
            repository.repo, repo_type=repository.kind, revision=repository.revision
        )
    except CachedRepoTreeNotFoundError:
        return False
    return True


def _broken_files(repository: Repository, folder: Path) -> list[Path]:
    """Return the files whose content does not have the hash by which the cache names it."""
    record = _record(repository)
    verified = _read_record(record)
    found: dict[str, list[int]] = {}
    broken = []
    for link in sorted(path for path in folder.rglob("*") if path.is_file()):
        content = link.resolve()
        if not _HASH.fullmatch(content.name):
            continue  # a file system without links: the cache holds a copy without its hash
        status = content.stat()
        state = [status.st_size, status.st_mtime_ns]
        if verified.get(content.name) == state or _has_hash(content, content.name):
            found[content.name] = state
        else:
            broken.append(link)
    if found != verified:
        write_json(record, found)
    return broken


def _record(repository: Repository) -> Path:
    key = f"{repository.kind}s--{repository.repo.replace('/', '--')}--{repository.revision}"
    return cache_folder() / "verified" / f"{key}.json"


def _read_record(path: Path) -> dict[str, list[int]]:
    try:
        found: dict[str, list[int]] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _has_hash(path: Path, stated: str) -> bool:
    if len(stated) == 64:
        digests = [hashlib.sha256()]
    else:
        # Git's name of a file, or as some mirrors have it the SHA-1 of its bytes alone.
        digests = [hashlib.sha1(usedforsecurity=False) for _ in range(2)]
        digests[0].update(f"blob {path.stat().st_size}\0".encode())
    with path.open("rb") as source:
        while chunk := source.read(_CHUNK):
            for digest in digests:
                digest.update(chunk)
    return any(digest.hexdigest() == stated for digest in digests)


def _tried(repository: Repository) -> str:
    noun = "data set" if repository.kind == "dataset" else "model"
    named = f"{noun} {repository.name}" if repository.name else noun
    short = repository.revision[:12]
    return f"{named}: tried {repository.repo}@{short} on the Hugging Face hub"


def _local(repository: Repository) -> str:
    file = "datasets.yaml" if repository.kind == "dataset" else "models.yaml"
    entry = f" of {repository.name}" if repository.name else ""
    return f"set `path:`{entry} in {file} to a folder with its files"


def _causes(error: BaseException) -> Iterator[BaseException]:
    seen: list[BaseException] = []
    current: BaseException | None = error
    while current is not None and current not in seen:
        seen.append(current)
        yield current
        current = current.__cause__ or current.__context__


def _status(error: BaseException) -> int | None:
    code = getattr(getattr(error, "response", None), "status_code", None)
    return code if isinstance(code, int) else None
