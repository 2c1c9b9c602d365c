"""A folder -> a repository of the Hugging Face hub."""

import re
from pathlib import Path

from tracekd.config.pins import HUB_NAME
from tracekd.errors import TracekdError

#: Weights of an earlier upload that this one does not overwrite: two kinds would load as neither.
_WEIGHTS = ["adapter_*", "*.safetensors", "*.safetensors.index.json", "config.json"]


def require_token(repo: str) -> None:
    """Raise unless this machine can write to the hub, as far as it knows itself.

    Raises:
        TracekdError: if `repo` is no USER/NAME, or there is no token.
    """
    from huggingface_hub import get_token

    if not re.fullmatch(f"{HUB_NAME}/{HUB_NAME}", repo):
        raise TracekdError(f"--repo: must be USER/NAME, found {repo!r}")
    if get_token() is None:
        raise TracekdError(
            "--repo: this machine has no token for the Hugging Face hub; run `hf auth login` with "
            "one that may write"
        )


def upload(folder: Path, repo: str, *, private: bool) -> str:
    """Upload a folder's files, and return the address of the commit.

    The repository is created if there is none. Weights that an earlier upload left are deleted.

    Raises:
        TracekdError: if the hub refuses or cannot be reached, or the repository is public, but
            `private` asks for a private one.
    """
    from huggingface_hub import HfApi

    api, done = HfApi(), None
    try:
        api.create_repo(repo, private=private or None, exist_ok=True)
        if not private or api.repo_info(repo).private:
            done = api.upload_folder(
                repo_id=repo,
                folder_path=folder,
                commit_message="Upload a student trained with tracekd",
                delete_patterns=_WEIGHTS,
            )
    except Exception as error:  # the hub's own errors and those of its HTTP client
        raise TracekdError(_explain(repo, error)) from error
    if done is None:
        raise TracekdError(
            f"--private: {repo} is there already, and public; make it private on its page, or "
            "choose another name"
        )
    return str(done.commit_url)


def _explain(repo: str, error: Exception) -> str:
    from huggingface_hub.errors import HfHubHTTPError

    causes = (error, error.__cause__)
    refusal = next((cause for cause in causes if isinstance(cause, HfHubHTTPError)), None)
    if refusal is None:
        text = " ".join(str(error.__cause__ or error).split())[:200] or type(error).__name__
        return f"--repo: {repo}: the hub cannot be reached ({text}); check the network, run again"
    status = refusal.response.status_code
    if status in (401, 403, 404):
        return (
            f"--repo: {repo}: the hub refuses (HTTP {status}): your token may not write there; "
            "check the name, or run `hf auth login` with a token that may write"
        )
    text = " ".join((refusal.server_message or "").split())[:200]
    return f"--repo: {repo}: the hub answers HTTP {status} {text}".rstrip() + "; try again later"
