"""What the processes of a test run; they import this module by its name."""

import os
import signal
import time
from pathlib import Path

from safetensors.torch import load_file, save_file
from training_runs import PARAMS, changed, encoded, exact, rows, spec

from tracekd.errors import TracekdError
from tracekd.models.adapters import add_adapter
from tracekd.models.loading import load_base
from tracekd.progress import StopRequest
from tracekd.training.compiling import decoder_layers
from tracekd.training.processes import Ranks
from tracekd.training.shards import gathered, shard

#: Seven rows: the last step has one, so that a process is without. One row fills a pass.
CHANGES = {"batch_size": 3, "epochs": 1, "dropout": 0, "warmup": 0}


def model_of(kind):
    """A student whose adapter (`lora`) or all of whose weights (`full`) are trained."""
    base, count = load_base(spec(), exact(), kind), Ranks.current().count
    if kind == "full" and count > 1:
        shard(base, decoder_layers(base), exact().device, count)
    return add_adapter(base, changed(**CHANGES), seed=3) if kind == "lora" else base


def fit_all(folder, stop_at=None):
    """Train each kind of student; write its weights and return the losses."""
    return {kind: fit_one(kind, Path(folder) / kind, stop_at) for kind in ("lora", "full")}


def fit_one(kind, folder, stop_at):
    from tracekd.training import checkpoints, loop, memory

    os.environ["TRACEKD_CHECKPOINT_SECONDS"] = "0"
    memory._TOKENS = 1
    (folder / "progress").mkdir(parents=True, exist_ok=True)
    model, examples, save, norms = model_of(kind), encoded(7), checkpoints.save, []

    def noted(norm):
        norms.append(float(gathered(norm)))
        return gathered(norm)

    def save_and_stop(progress, step, *others):
        save(progress, step, *others)
        if step == stop_at:
            raise InterruptedError

    checkpoints.save, loop.gathered = save_and_stop, noted
    try:
        result = loop.fit(
            *(model, examples, examples[:3], changed(**CHANGES), 0, exact()),
            *(folder / "log", folder / "progress"),
        )
    except InterruptedError:
        return None
    finally:
        checkpoints.save, loop.gathered = save, gathered
    whole = {name: gathered(w) for name, w in model.named_parameters() if w.requires_grad}
    if Ranks.current().rank == 0:
        save_file(whole, folder / "weights.safetensors")
    means = [*result.validations, result.last]
    return {"norm": norms[-1], "losses": [sum(each.values()) for each in means]}


def weights(folder):
    return load_file(Path(folder) / "weights.safetensors")


def train_stage(folder, method):
    from tracekd.training.run import train

    os.chdir(folder)
    data = {"train": rows(5), "validation": rows(2, "validation")}
    params = PARAMS.model_copy(update={"method": method})
    return train(spec(), data, params, 5, Path("student"), Path("log"))


def fail(how, folder):
    """Fail in one process, while the other waits for it."""
    ranks = Ranks.current()
    (Path(folder) / str(os.getpid())).touch()
    ranks.wait()
    if how == "nobody":
        time.sleep(60)
    if how == "asked":
        with StopRequest() as stop:
            if ranks.rank == 1:
                os.kill(os.getppid(), signal.SIGTERM)
            for step in range(100):
                time.sleep(0.1)
                if ranks.due(False, stop):
                    (Path(folder) / f"stopped-{ranks.rank}-{step}").touch()
                    stop.check("all steps")
    if ranks.rank == 1:
        if how == "killed":
            os.kill(os.getpid(), signal.SIGKILL)
        raise TracekdError("row 7: is wrong") if how == "error" else KeyError("a bug")
    ranks.wait()
    return {}
