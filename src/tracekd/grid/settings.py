"""grid.yaml: the cells of a grid, what each needs, and what runs them."""

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field

from tracekd.config import Count, Settings, parse_settings
from tracekd.config.reading import matching, read_yaml

OneLine = Annotated[str, matching(r"\S(.*\S)?", "one line of text")]
Option = Annotated[str, matching(r"[a-z]+(-[a-z]+)*", "the long name of an option, without dashes")]


class Resources(Settings):
    """What one experiment is given.

    Attributes:
        gpus: visible GPUs; the train stage starts a process for each.
        cores: processor cores.
        memory: as SLURM has it ("32G"); null: not asked for.
        hours: limit of one attempt; a task that is stopped goes on in another. null: none asked.
    """

    gpus: Annotated[int, Field(ge=0, le=64)] = 0
    cores: Count = 1
    memory: Annotated[str, matching(r"\d+[KMGT]?", "a size such as 32G")] | None = None
    hours: Annotated[float, Field(gt=0)] | None = None


class LocalOptions(Settings):
    """Processes of this machine.

    Attributes:
        slots: experiments at once; null: as many as its GPUs or cores have room for.
    """

    slots: Count | None = None


class SlurmOptions(Settings):
    """A SLURM cluster.

    Attributes:
        at_once: most tasks of a job array that run together; null: as many as there is room for.
        template: the job script, relative to the project root; null: src/tracekd/grid/slurm.sh.
        extra: further options of sbatch, without dashes ("qos": "long"); null: one without value.
    """

    partition: OneLine | None = None
    account: OneLine | None = None
    at_once: Count | None = None
    template: str | None = None
    extra: dict[Option, OneLine | int | None] = Field(default_factory=dict)


class GridSettings(Settings):
    """All of grid.yaml.

    Attributes:
        axes: parameter -> its values, "0..7" for integers; the cells are all combinations. In a
            list, every mapping makes its own combinations.
        exclude: leave out each cell that has all the values of one of these.
        resources: by key of models.yaml; `default` for models without their own.
        launcher: what starts the tasks; `none`: you do, one by one.
        git_remote, dvc_remote: where experiments and their data go; null: DVC's default remote.
        scratch: folder for checkouts of running tasks; null: TMPDIR of the task.
        publish_minutes: how long a task tries again if a remote refuses its result.
    """

    axes: dict[str, Any] | list[dict[str, Any]]
    exclude: list[dict[str, Any]] = Field(default_factory=list)
    resources: dict[str, Resources] = Field(default_factory=dict)
    launcher: Literal["local", "slurm", "none"] = "local"
    local: LocalOptions = LocalOptions()
    slurm: SlurmOptions = SlurmOptions()
    git_remote: str = "origin"
    dvc_remote: str | None = None
    scratch: str | None = None
    publish_minutes: Annotated[float, Field(ge=0)] = 30


def load_grid(path: Path) -> GridSettings:
    """Read and validate grid.yaml."""
    return parse_settings(GridSettings, read_yaml(path), str(path))
