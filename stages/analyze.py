"""analyze: predictions and probes -> scores, metrics and plots."""

from pathlib import Path

from _stage import run


def main() -> None:
    """Score each step and each answer against its own question, and measure their association.

    Reads data/decomposed/{train,test}.parquet, data/teacher, data/predictions.parquet,
    data/probes.parquet and the log in plots/train. Writes data/scores.parquet, plots/, report.html
    and metrics/{metrics,details,run}.json.
    Params: all of params.yaml, which report.html lists.
    """
    from tracekd import config, records
    from tracekd.files import write_json
    from tracekd.models import runcard
    from tracekd.report import contents, details, figures, page
    from tracekd.report import probes as probe_figures
    from tracekd.report.summary import summary, title_of
    from tracekd.scoring.headline import headline
    from tracekd.scoring.table import unread_steps
    from tracekd.traces.taught import TEACHER

    settings = config.load_params(Path("params.yaml"))
    spec = config.load_dataset(Path("datasets.yaml"), settings.dataset)
    data, measured, plots = Path("data"), Path("metrics"), Path("plots")
    tables = {
        "questions": records.read(data / "decomposed/test.parquet", records.DECOMPOSED),
        "training": records.read(data / "decomposed/train.parquet", records.DECOMPOSED),
        "predictions": records.read(data / "predictions.parquet", records.PREDICTIONS),
        "probes": records.read(data / "probes.parquet", records.PROBES),
        "teacher": records.read(data / "teacher/traces.parquet", TEACHER),
    }
    scores, found = details.scores_and_details(tables, settings, spec)
    records.write(scores, data / "scores.parquet", records.SCORES, extra=True)
    write_json(measured / "details.json", found)
    write_json(measured / "metrics.json", headline(found, spec.answer_metric))
    runcard.join(measured)
    title = title_of(settings)
    own = contents.of_workspace(title, settings, spec, tables, scores, found)
    figures.write_all(plots, scores, found, title, own.losses)
    probe_figures.write_all(plots / "probes", found, title)
    page.write_page(Path("report.html"), [own], None, title)
    places = {
        "everything, in a browser": "report.html",
        "main numbers": "metrics/metrics.json",
        "all numbers": "metrics/details.json",
        "one row per question": "data/scores.parquet",
    }
    print(summary(found, title, places))
    for warning in unread_steps(scores, own.predictions):
        print(f"WARNING: {warning}")


if __name__ == "__main__":
    run(main)
