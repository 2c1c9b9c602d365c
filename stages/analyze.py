"""analyze: predictions and probes -> scores, metrics and plots."""

from pathlib import Path

from _stage import run


def main() -> None:
    """Score each step and each answer against its own question, and measure their association.

    Reads data/decomposed/{train,test}.parquet, data/predictions.parquet, data/probes.parquet and
    the log in plots/train. Writes data/scores.parquet, metrics/{metrics,details,run}.json, plots/.
    Params: model, dataset, trace_mode, corruption, seed.
    """
    from tracekd import config, records
    from tracekd.files import write_json
    from tracekd.models import runcard
    from tracekd.probes import verdicts
    from tracekd.report import figures
    from tracekd.report import probes as probe_figures
    from tracekd.report.summary import summary, title_of
    from tracekd.scoring import metrics, quality, table
    from tracekd.scoring.floors import floors
    from tracekd.scoring.headline import headline
    from tracekd.traces.regimes import regime

    settings = config.load_params(Path("params.yaml"))
    spec = config.load_dataset(Path("datasets.yaml"), settings.dataset)
    shown = regime(settings.trace_mode)
    steps = shown.steps
    data, measured, plots = Path("data"), Path("metrics"), Path("plots")
    questions = records.read(data / "decomposed/test.parquet", records.DECOMPOSED)
    training = records.read(data / "decomposed/train.parquet", records.DECOMPOSED)
    predictions = records.read(data / "predictions.parquet", records.PREDICTIONS)
    probes = records.read(data / "probes.parquet", records.PROBES)

    scores = table.score(questions, predictions, spec, steps, free_text=shown.free_text)
    records.write(scores, data / "scores.parquet", records.SCORES, extra=True)
    found, undefined = metrics.report(scores, spec.answer_metric, steps)
    effects, more_undefined = verdicts.report(probes, predictions, questions, spec)
    found["floors"] = floors(questions, training, spec)
    judge = quality.TextJudge([questions, training], spec)
    written, no_quality = quality.report(questions, predictions, scores, judge)
    reasons = undefined | more_undefined | no_quality
    details = {**found, **effects, **written, "undefined": reasons}
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
