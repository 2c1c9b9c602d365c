"""Downloads, each verified by a hash: repositories of the Hugging Face hub, and single files.

Both are pinned, a repository by its commit and a file by git's hash of its content, so what was
downloaded once is used again without a network.
"""

import hashlib
import sys
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Literal

from tracekd.config import DatasetFile, HubDataset, HubModel, cache_folder
from tracekd.errors import TracekdError
from tracekd.files import atomic_file

Kind = Literal["model", "dataset"]
#: Seconds without any data after which a download of a single file fails.
_TIMEOUT = 30.0


def hub_page(kind: Kind, source: HubModel | HubDataset) -> str:
    """Return the address of a repository's page on the hub."""
    return f"https://huggingface.co/{'datasets/' * (kind == 'dataset')}{source.repo}"


def fetch_repository(
    kind: Kind,
    source: HubModel | HubDataset,
    entry: str,
    patterns: Sequence[str],
    ignored: Sequence[str] = (),
) -> Path:
    """Return a folder with files of a hub repository, from the cache if they are all there.

    Files are checked against the hub's checksums after their download; a damaged one is deleted.

    Args:
        kind: of repository.
        source: its name and commit.
        entry: what asks for it, for messages, e.g. "models.yaml: llama".
        patterns: files to fetch, as shell patterns.
        ignored: files among them to leave out.

    Raises:
        TracekdError: one line with the entry, the repository, the cause and what to do.
    """
    from huggingface_hub import snapshot_download, verify_repo_checksums
    from huggingface_hub.errors import LocalEntryNotFoundError

    download = partial(
        snapshot_download,
        source.repo,
        repo_type=kind,
        revision=source.revision,
        allow_patterns=list(patterns),
        ignore_patterns=list(ignored),
    )
    key = repr((kind, source.repo, source.revision, list(patterns), list(ignored)))
    verified = cache_folder() / "verified" / hashlib.sha256(key.encode()).hexdigest()
    if verified.exists():
        try:
            return Path(download(local_files_only=True))
        except LocalEntryNotFoundError:
            verified.unlink()  # the hub's own cache was emptied
    try:
        folder = Path(download())
        found = verify_repo_checksums(source.repo, repo_type=kind, revision=source.revision)
    except Exception as error:  # the hub's own errors and those of its HTTP client
        if isinstance(error, OSError) and error.errno is not None:
            raise  # a full disk, a folder that may not be written
        raise TracekdError(_explain(kind, source, entry, error)) from error
    for mismatch in found.mismatches:
        (folder / mismatch["path"]).resolve().unlink()
        (folder / mismatch["path"]).unlink(missing_ok=True)
    if found.mismatches:
        first = found.mismatches[0]
        raise TracekdError(
            f"{entry}: {source.repo}@{source.revision[:12]}: {first['path']}: "
            f"{first['algorithm']} {first['actual']}, but the hub has {first['expected']}; the "
            "damaged file was deleted: run again to download it"
        )
    verified.parent.mkdir(parents=True, exist_ok=True)
    verified.touch()
    return folder


def fetch_files(files: Mapping[str, DatasetFile], entry: str) -> Path:
    """Return a folder with files by their names; those absent from the cache are downloaded.

    Args:
        files: the address, size and hash of each, by its name in the folder.
        entry: what asks for them, for messages, e.g. "datasets.yaml: cotemp".

    Raises:
        TracekdError: if an address cannot be reached, or its content is not what is pinned.
    """
    from huggingface_hub.utils.sha import git_hash

    key = repr(sorted((name, file.git_hash) for name, file in files.items()))
    folder = cache_folder() / "files" / hashlib.sha256(key.encode()).hexdigest()[:16]
    for name, file in files.items():
        path = folder / name
        if not path.is_file() or git_hash(path.read_bytes()) != file.git_hash:
            print(f"{entry}: downloading {name} from {file.url}", file=sys.stderr)
            content = _download(file, entry)
            with atomic_file(path) as temporary:
                temporary.write_bytes(content)
    return folder


def _download(file: DatasetFile, entry: str) -> bytes:
    import httpx2
    from huggingface_hub import get_session
    from huggingface_hub.utils.sha import git_hash

    remedy = f"or set path in {entry} to a folder with the files"
    try:
        reply = get_session().get(file.url, timeout=_TIMEOUT, follow_redirects=True)
    except httpx2.HTTPError as error:
        raise TracekdError(
            f"{entry}: could not download {file.url} ({error or type(error).__name__}); check the "
            f"network and run again, {remedy}"
        ) from error
    if reply.is_success and git_hash(reply.content) == file.git_hash:
        return reply.content
    fault = f"answers HTTP {reply.status_code}"
    if reply.is_success:
        fault = (
            f"has {len(reply.content)} bytes with git hash {git_hash(reply.content)}, but "
            f"{file.size or 'some'} bytes with git hash {file.git_hash} are pinned"
        )
    raise TracekdError(f"{entry}: {file.url} {fault}; check the address, {remedy}")


def _explain(kind: Kind, source: HubModel | HubDataset, entry: str, error: Exception) -> str:
    from huggingface_hub import errors

    page = hub_page(kind, source)
    cause = error if isinstance(error, errors.HfHubHTTPError) else error.__cause__ or error
    if isinstance(error, errors.GatedRepoError):
        what = f" is gated; accept its licence at {page}, run `hf auth login`"
    elif isinstance(error, errors.RevisionNotFoundError):
        what = f": no such revision; choose one from {page}/commits/main"
    elif isinstance(error, errors.RepositoryNotFoundError):
        what = " does not exist or is private; check its name, run `hf auth login`"
    elif isinstance(cause, errors.HfHubHTTPError):
        what = f" answers HTTP {cause.response.status_code}; try again later"
    else:
        text = " ".join(str(cause).split())[:200] or type(cause).__name__
        what = f" cannot be reached ({text}); check the network and run again"
    return (
        f"{entry}: {source.repo}@{source.revision[:12]} on the Hugging Face hub{what}, or set path "
        "in this entry to a folder with its files"
    )
