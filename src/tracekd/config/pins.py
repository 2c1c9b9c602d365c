"""What pins a file or a repository: commits and hashes."""

from typing import Annotated

from pydantic import Field

from tracekd.config.reading import Settings, matching

#: A commit of a hub repository. A branch could move and change the data under a pinned result.
Revision = Annotated[
    str, matching(r"[0-9a-f]{40}", "the 40 hexadecimal digits of a commit, not a branch or a tag")
]
Sha256 = Annotated[str, matching(r"[0-9a-f]{64}", "64 hexadecimal digits")]
GitHash = Annotated[str, matching(r"[0-9a-f]{40}", "the 40 hexadecimal digits of a git blob")]
#: The hub's own rule for names, which become part of an address and of a path.
HUB_NAME = r"[A-Za-z0-9_](?:[A-Za-z0-9_-]|\.[A-Za-z0-9_-])*"
Repo = Annotated[str, Field(pattern=rf"^{HUB_NAME}(/{HUB_NAME})?$")]


class HubModel(Settings):
    """A model repository on the Hugging Face hub, at one commit."""

    repo: Repo
    revision: Revision
