"""The model card: what was run, on what, with which numbers. Its text is card.md beside this."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tracekd.comparison.experiments import Experiment
from tracekd.config import DatasetSpec, ModelSpec
from tracekd.report.summary import summary
from tracekd.traces.regimes import regime

if TYPE_CHECKING:
    from huggingface_hub import ModelCard

_TEMPLATE = Path(__file__).with_name("card.md")
_PAPER = "arxiv:2505.13792"


def model_card(
    one: Experiment,
    details: Mapping[str, Any],
    run_card: Mapping[str, Any],
    spec: ModelSpec,
    dataset: DatasetSpec,
    name: str,
    *,
    adapter: bool,
    filler: str,
) -> "ModelCard":
    """Return the card of a run's student, whose base model is `spec`.

    `name` is that of the repository or folder, and `filler` what every prompt ended with, if
    anything; `details` and `run_card` are the content of details.json and run.json.
    """
    from huggingface_hub import EvalResult, ModelCard, ModelCardData

    run = one.run
    title = f"{run.model} on {run.dataset}, regime {run.regime.label}, seed {run.replicate.label}"
    data = ModelCardData(
        model_name=name.rpartition("/")[2],
        base_model=spec.hub.repo if spec.hub else None,
        library_name="peft" if adapter else "transformers",
        pipeline_tag="text-generation",
        license=spec.licence,
        datasets=[dataset.hub.repo] if dataset.hub else None,
        tags=["tracekd", "reasoning-traces", _PAPER],
        eval_results=[
            EvalResult(
                task_type="question-answering",
                dataset_type=dataset.hub.repo if dataset.hub else run.dataset,
                dataset_name=run.dataset,
                metric_type="accuracy",
                metric_value=details["answer"]["accuracy"],
            )
        ],
    )
    card: ModelCard = ModelCard.from_template(
        data,
        template_path=str(_TEMPLATE),
        title=title,
        name=name,
        auto="AutoPeftModelForCausalLM" if adapter else "AutoModelForCausalLM",
        package="peft" if adapter else "transformers",
        adapter=adapter,
        four_bit=adapter and run.params.get("train.method") == "qlora",
        run=run,
        base=spec,
        dataset=dataset,
        steps=" and ".join(sorted(regime(run.regime.regime).steps)) or "none",
        numbers=summary(details, title, {}).strip(),
        filler=filler,
        settings=_lines(run.params),
        run_card=run_card["train"],
    )
    return card


def _lines(params: Mapping[str, Any]) -> str:
    """Return every parameter in a line, but for paths and the prompt, which has a place."""
    return "\n".join(
        f"{key}: {json.dumps(value, ensure_ascii=False)}"
        for key, value in sorted(params.items())
        if not key.endswith(".path") and key not in ("prompt.system", "prompt.template")
    )
