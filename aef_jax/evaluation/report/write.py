"""Write the results of an evaluation into a folder: a table, JSON and a page."""

from pathlib import Path

from aef_jax.evaluation.command import EvaluationReport, Result
from aef_jax.evaluation.report.figures import bars, confusion_matrices, maps
from aef_jax.evaluation.report.summary import csv_table, json_text, metric_names, table_rows
from aef_jax.files.atomic import replace_file
from aef_jax.visualize.page import html_image, html_page, html_table
from configs.serialization.printable import html_text, printable
from configs.validate import require

NAMES = ("results.csv", "results.json", "report.html")


def require_folder(folder: Path) -> None:
    """Require, before the work, that results can be written.

    Args:
        folder: to write to; it may exist.

    Raises:
        ValueError: it is a file.
    """
    require(not folder.exists() or folder.is_dir(), f"{folder} is no folder, expected one for {', '.join(NAMES)}")


def write_report(report: EvaluationReport, folder: Path) -> None:
    """Write the results, each file whole or not at all.

    Args:
        report: the report.
        folder: to write to; files of an earlier evaluation are replaced.
    """
    for name, text in zip(NAMES, (csv_table(report), json_text(report), page(report)), strict=True):
        with replace_file(folder / name) as temporary:
            temporary.write_text(text, encoding="utf-8")


def page(report: EvaluationReport) -> str:
    """Make the page.

    Args:
        report: the report.

    Returns:
        HTML that needs no other file.
    """
    head, *rows = table_rows(report)
    shown = best_results(report)
    parts = [
        f"<h1>Evaluation of {html_text(printable(report.points.where))}</h1>",
        *(f"<p>{html_text(line)}</p>" for line in describe(report)),
        "<h2>Results</h2><p>Mean and one standard deviation: over the draws of training samples or, of one draw, over"
        " 100 bootstrap resamples of the test samples.</p>",
        html_table(head, rows),
    ]
    for metric in metric_names(report):
        parts.append(f"<h2>{html_text(metric.replace('_', ' '))}</h2>{html_image(bars(report, metric), metric)}")
    last = f"The best evaluator of each kind of features in the trial {html_text(str(report.protocol.trials[-1]))}."
    if report.points.classes:
        image = html_image(confusion_matrices(report, shown), "confusion matrices")
        parts.append(f"<h2>Confusion matrices</h2><p>{last} Each row is a true class and sums to 1.</p>{image}")
    image = html_image(maps(report, shown), "maps of labels and predictions")
    parts.append(f"<h2>Maps</h2><p>{last} Each sample is predicted when it is in the test part.</p>{image}")
    return html_page(f"Evaluation of {report.points.where}", parts)


def describe(report: EvaluationReport) -> list[str]:
    """Describe what was evaluated.

    Args:
        report: the report.

    Returns:
        Sentences.
    """
    points, protocol = report.points, report.protocol
    what = f"{len(points.classes)} classes" if points.classes else "a value"
    lines = [f"{len(points.target):,} samples of {what}, in {protocol.parts} parts; each is the test set once."]
    if protocol.block_m:
        lines.append(f"The parts consist of blocks of {protocol.block_m:g} m.")
    if protocol.buffer_m:
        lines.append(f"Training samples are at least {protocol.buffer_m:g} m away from all test samples.")
    if report.dropped:
        lines.append(f"{report.dropped:,} labeled points are left out: some features are not known there.")
    return lines


def best_results(report: EvaluationReport) -> list[Result]:
    """Choose the best result of each kind of features in the last trial.

    Args:
        report: the report.

    Returns:
        The results, by the first metric.
    """
    last, metric = str(report.protocol.trials[-1]), metric_names(report)[0]
    best: dict[str, Result] = {}
    for result in report.results:
        if result.scores.trial != last:
            continue
        before = best.get(result.features)
        if before is None or result.scores.metrics[metric].mean > before.scores.metrics[metric].mean:
            best[result.features] = result
    return list(best.values())
