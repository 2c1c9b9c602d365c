"""analyze: predictions and probes -> scores, metrics and plots."""

from functools import partial
from pathlib import Path

from _stage import run


def main() -> None:
    """Score each step and each answer against its own question, and measure their association.

    Reads data/decomposed/{train,test}.parquet, data/predictions.parquet, data/probes.parquet and
    the log in plots/train. Writes data/scores.parquet, metrics/{metrics,details,run}.json, plots/.
    Params: model, dataset, trace_mode, corruption, seed, prompt.shots, train.method.
    """
    from tracekd import config, records
    from tracekd.files import write_json
    from tracekd.models import runcard
    from tracekd.probes import verdicts
    from tracekd.report import figures
    from tracekd.report import probes as probe_figures
    from tracekd.report.summary import summary, title_of
    from tracekd.scoring import metrics, samples, table
    from tracekd.scoring.floors import floors
    from tracekd.scoring.headline import headline
    from tracekd.traces.regimes import steps_shown

    settings = config.load_params(Path("params.yaml"))
    spec = config.load_dataset(Path("datasets.yaml"), settings.dataset)
    steps = steps_shown(settings)
    data, measured, plots = Path("data"), Path("metrics"), Path("plots")
    questions = records.read(data / "decomposed/test.parquet", records.DECOMPOSED)
    training = records.read(data / "decomposed/train.parquet", records.DECOMPOSED)
    predicted = records.read(data / "predictions.parquet", records.PREDICTIONS)
    probes = records.read(data / "probes.parquet", records.PROBES)
    predictions = predicted.filter(sample=0)
    untagged = settings.train.untuned
    score = partial(table.score, questions, spec=spec, steps=steps, untagged=untagged)
    scores = score(predictions)
    records.write(scores, data / "scores.parquet", records.SCORES, extra=True)
    found, undefined = metrics.report(scores, spec.answer_metric, steps)
    effects, more_undefined = verdicts.report(probes, predictions, questions, spec)
    found |= samples.report(predicted, score, steps) | effects
    found["floors"] = floors(questions, training, spec)
    details = found | {"undefined": undefined | more_undefined}
    write_json(measured / "details.json", details)
    write_json(measured / "metrics.json", headline(details, spec.answer_metric))
    runcard.join(measured)
    title = title_of(settings)
    figures.write_all(plots, scores, details, title, plots / "train")
    probe_figures.write_all(plots / "probes", details, title)
    places = {
        "main numbers": "metrics/metrics.json",
        "all numbers": "metrics/details.json",
        "figures": "plots/overview.png, plots/probes/",
        "one row per question": "data/scores.parquet",
    }
    print(summary(details, title, places))
    for warning in table.unread_steps(scores, predictions):
        print(f"WARNING: {warning}")


if __name__ == "__main__":
    run(main)
