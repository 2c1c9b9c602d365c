"""Beside the training loop: its bar, log and validation, and what a rerun goes on from."""

import math
import shutil
import signal
import time
from pathlib import Path
from typing import Any

from transformers import TrainerCallback

from tracekd.bars import LongRunWarning, progress_bar
from tracekd.errors import TracekdError
from tracekd.files import read_json, write_json
from tracekd.models.devices import process_count, process_rank
from tracekd.progress import StopRequest
from tracekd.training.loop import CompletionTrainer

#: DVCLive's, for editors; all runs of a checkout have one. Deleting it is the last thing it does.
_MARK = "DVCLIVE_STEP_COMPLETED"
#: Written last into a checkpoint: one without it was cut off.
_STATE = "monitor.json"
_LOG = "log"


class Monitor(TrainerCallback):  # type: ignore[misc]
    """Bar, live log, validation and sanity checks, step by step.

    The log is written by DVCLive under `folder`: `plots/metrics/train/loss.tsv` and the like, one
    row per step, without times.
    """

    def __init__(
        self,
        trainer: CompletionTrainer,
        folder: Path,
        evaluations: int,
        machine: str,
    ) -> None:
        """Validate before step 1 and `evaluations` times, evenly, over the run."""
        self._folder, self._evaluations = folder, evaluations
        self._trainer, self._machine = trainer, machine
        self.validations: list[dict[str, float]] = []
        self.last_losses: dict[str, float] = {}
        self.seconds = 0.0
        self._resumed = False

    def keep(self, checkpoint: Path) -> None:
        """Add the log and what has been measured so far to a checkpoint of the Trainer."""
        shutil.rmtree(checkpoint / _LOG, ignore_errors=True)  # of a run killed in this very place
        shutil.copytree(self._folder, checkpoint / _LOG)
        write_json(
            checkpoint / _STATE,
            {
                "validations": self.validations,
                "last_losses": self.last_losses,
                "seconds": self.seconds,
            },
        )

    def restore(self, checkpoint: Path) -> None:
        """Go on from what `keep` has put there."""
        state = read_json(checkpoint / _STATE)
        self.validations, self.last_losses = state["validations"], state["last_losses"]
        self.seconds = state["seconds"]
        shutil.rmtree(self._folder, ignore_errors=True)
        shutil.copytree(checkpoint / _LOG, self._folder)
        self._resumed = True

    def on_train_begin(self, _args: Any, state: Any, _control: Any, **_: Any) -> None:
        """Open the log with the loss of the untrained adapter as step 0, or where it stopped."""
        from dvclive import Live

        total = state.max_steps
        self._validate_at = {
            round(part * total / self._evaluations) for part in range(1, self._evaluations + 1)
        }
        self._live = Live(
            dir=str(self._folder),
            resume=self._resumed,
            dvcyaml=None,
            report=None,
            save_dvc_exp=False,
            monitor_system=False,
        )
        if not self._resumed:
            self._log_validation()
            self._live.next_step()
        done = state.global_step
        self._bar = progress_bar(total, "training", "step", done)
        self._warning = LongRunWarning("training", total - done, self._machine)

    def on_step_begin(self, _args: Any, _state: Any, _control: Any, **_: Any) -> None:
        """Start the step's clock."""
        self._step_started = time.perf_counter()

    def on_pre_optimizer_step(self, _args: Any, state: Any, _control: Any, **kwargs: Any) -> None:
        """Stop before gradients that are not finite reach the weights."""
        if not math.isfinite(self._trainer.gradient_norm):
            raise TracekdError(
                f"step {state.global_step + 1}: a gradient is not finite; the batch holds "
                f"{', '.join(self._trainer.step_ids)}; lower train.learning_rate (params.yaml)"
            )
        self._learning_rate = kwargs["optimizer"].param_groups[0]["lr"]

    def on_step_end(self, _args: Any, state: Any, _control: Any, **_: Any) -> None:
        """Log the step."""
        self.seconds += time.perf_counter() - self._step_started
        self.last_losses = self._trainer.take_totals().means()
        for name, value in self.last_losses.items():
            self._live.log_metric(f"train/{name}", value)
        self._live.log_metric("train/learning_rate", self._learning_rate)
        self._bar.set_postfix(loss=f"{self.last_losses['loss']:.3f}", refresh=False)
        self._bar.update()
        if warning := self._warning.step():
            self._bar.write(warning)
        if state.global_step in self._validate_at:
            self._log_validation()
        self._live.next_step()

    def close(self) -> None:
        """Finish bar and log, after success or failure."""
        if hasattr(self, "_bar"):
            self._bar.close()
        if hasattr(self, "_live"):
            try:
                self._live.end()
            except FileNotFoundError as error:  # another run has just deleted it
                if Path(str(error.filename)).name != _MARK:
                    raise

    def _log_validation(self) -> None:
        means = self._trainer.validate().means()
        self.validations.append(means)
        for name, value in means.items():
            self._live.log_metric(f"validation/{name}", value)


class Keeper(TrainerCallback):  # type: ignore[misc]
    """Keeps checkpoints, and ends training when the process is asked to stop."""

    def __init__(self, monitor: Monitor, stop: StopRequest, interval: float) -> None:
        """Keep one at the first step after every `interval` seconds, and when asked to stop."""
        self._monitor, self._stop, self._interval = monitor, stop, interval
        self._kept_at = time.monotonic()

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Decide whether the Trainer shall save, and whether it shall stop; not after all steps."""
        if state.global_step >= state.max_steps:
            return
        stopping = self._stop.signal is not None
        due = time.monotonic() - self._kept_at >= self._interval
        if process_count() > 1:
            stopping, due = _as_first_process(stopping, due, args.device)
        if stopping and self._stop.signal is None:
            self._stop.signal = signal.SIGTERM
        control.should_save = stopping or due
        control.should_training_stop = control.should_training_stop or stopping

    def on_save(self, args: Any, state: Any, _control: Any, **_: Any) -> None:
        """Complete the checkpoint, and only then delete the others."""
        if process_rank() > 0:
            return
        new = Path(args.output_dir) / f"checkpoint-{state.global_step}"
        self._monitor.keep(new)
        for other in Path(args.output_dir).glob("checkpoint-*"):
            if other != new:
                (other / _STATE).unlink(missing_ok=True)
                shutil.rmtree(other)
        self._kept_at = time.monotonic()


def _as_first_process(stopping: bool, due: bool, device: Any) -> tuple[bool, bool]:
    """Return what the first process says: all must save, and stop, after the same step."""
    import torch

    said = torch.tensor([stopping, due], dtype=torch.int32, device=device)
    torch.distributed.broadcast(said, 0)
    return bool(said[0]), bool(said[1])


def last_checkpoint(folder: Path) -> Path | None:
    """Return the whole checkpoint of the latest step in `folder`, or None."""
    whole = [path.parent for path in folder.glob(f"checkpoint-*/{_STATE}")]
    return max(whole, key=lambda path: int(path.name.rpartition("-")[2]), default=None)
