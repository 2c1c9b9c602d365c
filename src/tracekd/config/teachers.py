"""teachers.yaml: who writes traces, and what it is asked."""

from pathlib import Path
from typing import Annotated, Any, Literal, get_args

from pydantic import Field, model_validator

from tracekd.config.entries import load_entry
from tracekd.config.params import Count, Key, Seed
from tracekd.config.pins import Sha256
from tracekd.config.reading import Settings, matching

#: What a teacher can be asked for.
TraceKind = Literal["trace", "summary", "explanation", "steps"]
KINDS: tuple[TraceKind, ...] = get_args(TraceKind)
#: The slots that a prompt must have, by kind.
_SLOTS = {
    "trace": ("context", "question"),
    "steps": ("context", "question"),
    "summary": ("trace",),
    "explanation": ("question", "trace", "answer"),
}
_Address = Annotated[
    str,
    matching(
        r"https?://[^\s@?#]+",
        "an http address without user, key or query (the key is in the environment)",
    ),
]
_Variable = Annotated[
    str, matching(r"[A-Za-z_][A-Za-z0-9_]*", "the name of an environment variable, never the key")
]


class EndpointTeacher(Settings):
    """A server that speaks the chat completions API.

    Attributes:
        key: the environment variable that holds its key; null for a server that needs none.
        concurrency: requests in flight.
        timeout: seconds to wait for a reply.
        retries: further attempts after HTTP 408, 409, 429 and 5xx, a time-out or a lost connection.
    """

    base_url: _Address
    model: Annotated[str, Field(min_length=1)]
    key: _Variable | None = None
    concurrency: Count = 16
    timeout: Annotated[float, Field(gt=0)] = 600.0
    retries: Annotated[int, Field(ge=0, le=100)] = 6


class SamplingParams(Settings):
    """How replies are drawn; what is null is left to the server.

    Attributes:
        max_tokens: longest reply; a longer one is cut, and its trace is not used.
        seed: the n-th sample of a question is drawn with seed + n.
        extra: further fields of the request's body, for endpoints.
    """

    temperature: Annotated[float, Field(ge=0)] | None = None
    top_p: Annotated[float, Field(gt=0, le=1)] | None = None
    max_tokens: Count | None = None
    seed: Seed | None = None
    extra: dict[str, Any] = Field(default_factory=dict)


class Budget(Settings):
    """The most that a teacher is asked: the first questions of a fixed order, stratified by class.

    Attributes:
        requests: of all kinds and samples together.
        tokens: of prompts and replies; requests in flight when it is used up come on top.
    """

    requests: Count | None = None
    tokens: Count | None = None


class TeacherSpec(Settings):
    """One entry of teachers.yaml: `endpoint`, `model`, or `path` alone; only `none` has none.

    Attributes:
        name: its key.
        endpoint: a server to ask.
        model: an entry of models.yaml that answers here; `path` is then the folder of its adapter,
            as the train stage writes it, and without a path the model answers as it is.
        path: alone, a file of traces in JSON lines, or a folder of such files; relative to the
            project root.
        sha256: content hash of `path` (`python stages/teach.py --pin NAME` writes it).
        system: system message of every request.
        prompts: a template for each kind of trace that the teacher is asked for.
        batch_size: prompts that a `model` answers together.
    """

    name: Key
    endpoint: EndpointTeacher | None = None
    model: Key | None = None
    path: str | None = None
    sha256: Sha256 | None = None
    system: str | None = None
    prompts: dict[TraceKind, str] = Field(default_factory=dict)
    sampling: SamplingParams = SamplingParams()
    budget: Budget = Budget()
    batch_size: Count = 64

    @property
    def asked_model(self) -> str:
        """The name of the model that is asked."""
        return str(self.model) if self.endpoint is None else self.endpoint.model

    @model_validator(mode="after")
    def _agrees_with_itself(self) -> "TeacherSpec":
        asked = self.endpoint is not None or self.model is not None
        if self.endpoint is not None and (self.model is not None or self.path is not None):
            raise ValueError("endpoint, model and path (without model) are three sources; keep one")
        if not asked and self.path is None and self.name != "none":
            raise ValueError("needs an endpoint, a model, or the path of a file of traces")
        if asked and not {"trace", "steps"} & set(self.prompts):
            raise ValueError("prompts: needs one for trace or steps")
        if self.prompts and not asked:
            raise ValueError("prompts: a file of traces is not asked; remove them")
        if self.budget.tokens is not None and self.endpoint is None:
            raise ValueError("budget.tokens: only for an endpoint; use budget.requests")
        if {"summary", "explanation"} & set(self.prompts) and "trace" not in self.prompts:
            raise ValueError("prompts: summary and explanation need a prompt for trace too")
        for kind, template in self.prompts.items():
            if missing := [slot for slot in _SLOTS[kind] if f"{{{slot}}}" not in template]:
                raise ValueError(f"prompts.{kind}: must contain {{{'}, {'.join(missing)}}}")
        return self


def load_teacher(
    path: Path, name: str, named_by: str = "params.yaml: teacher.name", folder: str | None = None
) -> TeacherSpec:
    """Read one entry of teachers.yaml as `load_model` does; `folder` replaces its `path`."""
    return load_entry(TeacherSpec, path, name, named_by, folder)
