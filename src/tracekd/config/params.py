"""params.yaml: what one experiment is."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, PlainValidator, model_validator

from tracekd.config.pins import Repo, Revision, Sha256
from tracekd.config.reading import Settings, matching, module_in, parse_settings, read_yaml

#: Keys of models.yaml and datasets.yaml; DVC reads a dot as a path into the file.
Key = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]+$")]
Count = Annotated[int, Field(ge=1, lt=2**31)]
Seed = Annotated[int, Field(ge=0, lt=2**32)]
Fraction = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[float, Field(gt=0)]
WrongFacts = Literal["without_answer", "any", "one"]
_PromptTemplate = Annotated[
    str,
    matching(
        r"(?s)(?=.*\{context\})(?=.*\{question\})(?!.*\{context\}.*\{context\})"
        r"(?!.*\{question\}.*\{question\}).*",
        "text that contains {context} and {question} exactly once each",
    ),
]


class PrepareParams(Settings):
    """Which questions are in each split.

    Attributes:
        train, validation, test: how many; null: all there are (validation: a tenth of train).
        split: `upstream` (the dataset's own) or `by_entity`: its test questions, and no training
            question about a person or thing that one of them is about.
    """

    train: Count | None
    validation: Count | None
    test: Count | None
    split: Literal["upstream", "by_entity"] = "upstream"


class DecomposeParams(Settings):
    """Which rule finds the gold facts.

    Attributes:
        facts: `paper` (as published) or `full` (all facts needed to derive the answer).
    """

    facts: Literal["paper", "full"] = "paper"


class PromptParams(Settings):
    """The one prompt, shared by training and inference.

    Attributes:
        shots: how many training questions, with their completions, precede every question.
    """

    system: str
    template: _PromptTemplate
    shots: Annotated[int, Field(ge=0, lt=2**31)] = 0


def _targets(value: object) -> str | list[str]:
    if value == "all-linear" or (
        isinstance(value, list) and value and all(isinstance(name, str) for name in value)
    ):
        return value
    raise ValueError("must be all-linear or a list of module names, such as [q_proj, v_proj]")


class LoraParams(Settings):
    """Options of the adapter, as PEFT's LoraConfig takes them.

    Attributes:
        targets: names of the adapted modules; `all-linear`: all linear layers but the output head.
        rslora: scale by alpha / sqrt(rank) in place of alpha / rank (arXiv 2312.03732).
        dora: train each weight's magnitude apart from its direction (arXiv 2402.09353).
    """

    rank: Count
    alpha: Count
    dropout: Annotated[float, Field(ge=0, lt=1)]
    targets: Annotated[str | list[str], PlainValidator(_targets)] = "all-linear"
    rslora: bool = False
    dora: bool = False


class AdapterSource(Settings):
    """A pinned LoRA adapter: a hub repository at a commit, or a folder.

    Attributes:
        path: relative to the project root.
        sha256: content hash of that folder.
    """

    repo: Repo | None = None
    revision: Revision | None = None
    path: str | None = None
    sha256: Sha256 | None = None

    @model_validator(mode="after")
    def _has_one_source(self) -> "AdapterSource":
        given = self.model_dump(exclude_none=True).keys()
        if given not in ({"repo", "revision"}, {"path", "sha256"}):
            raise ValueError(
                "needs repo and revision, or path and sha256, which `python stages/train.py "
                "--pin train.start --path FOLDER` writes"
            )
        return self


class TrainParams(Settings):
    """Fine-tuning.

    Attributes:
        method: `lora`; `qlora`: LoRA on a base model in 4-bit NF4; `full`: all weights; `none`:
            the model as it is.
        lora: the adapter, for `lora` and `qlora`.
        start: an adapter to continue from; null: a new one.
        batch_size: examples per optimizer step; how many fit one forward pass is found out.
        learning_rate: peak of the schedule, reached after `warmup` (a fraction of all steps),
            then a cosine to 0.
        max_length: tokens of prompt and completion together; null: the model's own limit.
        too_long: what happens to a longer example: `error`, or `drop` (counted in the manifest).
        evaluations: how often the validation loss is measured, evenly over the run.
        compile: `torch.compile` each decoder layer; `auto`: if the run is long enough to repay it.
        report_to: trackers of accelerate that get losses as they are made, beside DVCLive's files:
            wandb, tensorboard, mlflow and others. They send data wherever they are set up to.
        recompute: keep no activations for the backward pass but compute them again; `auto`: if a
            GPU has too little memory otherwise.
    """

    method: Literal["lora", "qlora", "full", "none"] = "lora"
    epochs: Positive
    batch_size: Count
    learning_rate: Positive
    warmup: Fraction
    weight_decay: Annotated[float, Field(ge=0)] = 0.0
    max_grad_norm: Positive = 1.0
    lora: LoraParams
    start: AdapterSource | None = None
    max_length: Count | None = None
    too_long: Literal["error", "drop"] = "error"
    evaluations: Count = 1
    compile: Literal["auto", "always", "never"] = "auto"
    report_to: list[str] = Field(default_factory=list)
    recompute: Literal["auto", "always", "never"] = "auto"

    @model_validator(mode="after")
    def _starts_where_it_can(self) -> "TrainParams":
        if self.start is not None and not self.has_adapter:
            raise ValueError(f"start is an adapter, which method: {self.method} does not train")
        return self

    @property
    def untuned(self) -> bool:
        """Whether the student is the model as it is."""
        return self.method == "none"

    @property
    def has_adapter(self) -> bool:
        """Whether an adapter is trained, on a frozen base model."""
        return self.method in ("lora", "qlora")


class InferParams(Settings):
    """Generation.

    Attributes:
        backend: a module of `tracekd.generation.backends`, or `auto`.
        samples: predictions per question; the main figures are those of the first.
        temperature: 0 takes the most likely token at each place.
        top_p: draw from the fewest most likely tokens that have this probability together.
        seed: of the draws; a draw is a function of it, the question's id and the sample's number.
    """

    backend: Annotated[str, module_in("generation/backends", "auto")] = "auto"
    batch_size: Count
    max_new_tokens: Count
    samples: Count = 1
    temperature: Annotated[float, Field(ge=0)] = 0.0
    top_p: Annotated[float, Field(gt=0, le=1)] = 1.0
    seed: Seed = 0

    @model_validator(mode="after")
    def _draws_if_it_must(self) -> "InferParams":
        if self.temperature == 0 and (self.samples > 1 or self.top_p < 1):
            setting = f"samples: {self.samples}" if self.samples > 1 else f"top_p: {self.top_p}"
            raise ValueError(
                f"{setting} needs a temperature above 0 (such as 0.7): at temperature 0 every "
                "sample is the same"
            )
        return self


class TeacherParams(Settings):
    """Traces written by a teacher.

    Attributes:
        name: key of teachers.yaml; `none` asks nobody.
        samples: traces per question and kind.
        keep: which of them may be taught, by the teacher's answer (`answer_right`, or only the
            `first_right` one) or by the trace itself; one of those kept is drawn for a question.
        match: whether every regime is taught only questions for which the teacher's traces of
            every kind were kept.
        answer: the answer taught after a teacher's trace, the `dataset`'s or the `teacher`'s own.
    """

    name: Key = "none"
    samples: Count = 1
    keep: Literal["all", "answer_right", "trace_right", "trace_wrong", "first_right"] = (
        "answer_right"
    )
    match: bool = False
    answer: Literal["dataset", "teacher"] = "dataset"


class ProbeParams(Settings):
    """Answers given other traces than the student's own.

    Attributes:
        enabled: whether the probe stage asks for them.
        limit: number of test questions probed, the same ones in every experiment with the same
            `data_seed`; null: all.
    """

    enabled: bool = False
    limit: Count | None = 100


class Params(Settings):
    """All of params.yaml.

    Attributes:
        model, dataset: keys of models.yaml and datasets.yaml.
        trace_mode: the regime, a name in `tracekd.traces.regimes.REGIMES`.
        corruption: fraction of incorrect traces in the regime `mixed`.
        wrong_facts: of the context's other facts, as many as gold ones that name no answer
            (`without_answer`), as many whatever they name (`any`), or, as in the paper, `one`.
        seed: adapter initialisation, order of examples, corruption.
        data_seed: which test questions, and which training questions there are to draw from;
            experiments that are compared share it.
        sample_seed: which of those training questions are drawn; null: follows `seed`.
        sample_size: how many are drawn, stratified by class; null: all.
    """

    model: Key
    dataset: Key
    trace_mode: str
    corruption: Fraction
    wrong_facts: WrongFacts = "without_answer"
    seed: Seed
    data_seed: Seed
    sample_seed: Seed | None = None
    sample_size: Count | None = None
    prepare: PrepareParams
    decompose: DecomposeParams
    teacher: TeacherParams = TeacherParams()
    prompt: PromptParams
    train: TrainParams
    infer: InferParams
    probes: ProbeParams = ProbeParams()

    @property
    def sampled_by(self) -> int:
        """The seed that draws the training questions."""
        return self.seed if self.sample_seed is None else self.sample_seed


def load_params(path: Path) -> Params:
    """Read and validate params.yaml."""
    return parse_settings(Params, read_yaml(path), str(path))
