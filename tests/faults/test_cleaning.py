"""Killed while it cleans up after itself: half-deleted progress is never taken for progress."""

import shutil
from pathlib import Path

import pytest

from tracekd.progress import progress_folder
from tracekd.training.callbacks import last_checkpoint


class Killed(BaseException):
    """What a kill looks like from inside: nothing after it runs."""


def test_progress_half_deleted_after_success_is_not_gone_on_from(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    key = {"seed": 1}

    def cut_off(folder: Path, **_: object) -> None:
        # Any order is possible; here all of a checkpoint goes but its mark of completeness.
        for path in Path(folder).glob("checkpoint-*/*"):
            if path.name != "monitor.json":
                path.unlink()
        raise Killed

    with (
        monkeypatch.context() as patch,
        pytest.raises(Killed),
        progress_folder("train", key) as folder,
    ):
        (folder / "checkpoint-5").mkdir()
        for name in ("trainer_state.json", "monitor.json", "optimizer.pt"):
            (folder / "checkpoint-5" / name).write_text("{}")
        patch.setattr(shutil, "rmtree", cut_off)
    with progress_folder("train", key) as again:
        found = last_checkpoint(again)
        assert found is None or (found / "trainer_state.json").exists()
    assert list((tmp_path / ".checkpoints").iterdir()) == []
