import hashlib
from pathlib import Path

import pytest
from hub_server import git_hash

from tracekd import fetch as hub

CONTENT = b'{"a": 1}\n'


@pytest.mark.parametrize(
    "stated",
    [
        git_hash(CONTENT),
        hashlib.sha1(CONTENT).hexdigest(),  # noqa: S324
        hashlib.sha256(CONTENT).hexdigest(),
    ],
)
def test_a_file_is_known_by_the_hashes_of_git_mirrors_and_large_files(
    tmp_path: Path, stated: str
) -> None:
    path = tmp_path / "blob"
    path.write_bytes(CONTENT)
    assert hub._has_hash(path, stated)
    path.write_bytes(CONTENT + b" ")
    assert not hub._has_hash(path, stated)


def test_a_fault_of_an_unknown_kind_is_one_line_with_its_cause() -> None:
    repository = hub.Repository("model", "m", "a/b", "0" * 40)
    error = RuntimeError("a long story")
    error.__cause__ = TimeoutError("the read operation\ntimed out")
    message = hub.explain(repository, error)
    assert message == (
        "model m: tried a/b@000000000000 on the Hugging Face hub, but could not reach it or was "
        "cut off (the read operation timed out); check the network and run again, which goes on "
        "where it stopped, or set `path:` of m in models.yaml to a folder with its files"
    )
