"""The results of an evaluation as a table, CSV and JSON."""

import csv
import io
import json
import math
from typing import Any

from aef_jax.console.tables import format_table
from aef_jax.evaluation.command import EvaluationReport
from aef_jax.evaluation.metrics import Estimate

CLASS_METRICS = ("balanced_accuracy", "kappa_adjusted_error")
VALUE_METRICS = ("r2", "mae")


def metric_names(report: EvaluationReport) -> tuple[str, ...]:
    """List the metrics of a report.

    Args:
        report: the report.

    Returns:
        Their names; a higher value of the first one is better.
    """
    return VALUE_METRICS if report.protocol.task == "regression" else CLASS_METRICS


def table_rows(report: EvaluationReport) -> list[tuple[str, ...]]:
    """Format the results.

    Args:
        report: the report.

    Returns:
        The header and a row of text for each result: mean and standard deviation of each metric.
    """
    names = metric_names(report)
    titles = (name.replace("_", " ") for name in names)
    rows = [("features", "numbers", "evaluator", "trial", "folds", "samples", *titles)]
    for features, width, scores in report.results:
        counts = str(scores.folds), str(scores.training_samples)
        metrics = (_format(scores.metrics[name]) for name in names)
        rows.append((features, str(width), scores.evaluator, scores.trial, *counts, *metrics))
    return rows


def text_table(report: EvaluationReport) -> str:
    """Format the results for a terminal.

    Args:
        report: the report.

    Returns:
        Lines of text.
    """
    return "\n".join(format_table(table_rows(report), "<><<><"))


def csv_table(report: EvaluationReport) -> str:
    """Format the results as CSV.

    Args:
        report: the report.

    Returns:
        A row for each result.
    """
    names, text = metric_names(report), io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    columns = (f"{name}{suffix}" for name in names for suffix in ("", "_sigma"))
    writer.writerow(["features", "numbers", "evaluator", "trial", "folds", "training_samples", *columns])
    for features, width, scores in report.results:
        metrics = (number for name in names for number in scores.metrics[name])
        writer.writerow(
            [features, width, scores.evaluator, scores.trial, scores.folds, scores.training_samples, *metrics]
        )
    return text.getvalue()


def json_tree(report: EvaluationReport) -> dict[str, Any]:
    """Describe the results as JSON values.

    Args:
        report: the report.

    Returns:
        The samples, the protocol, and each result with its confusion matrix (true classes in rows).
    """
    points, protocol = report.points, report.protocol
    return {
        "labels": points.where,
        "samples": len(points.target),
        "dropped": report.dropped,
        "classes": list(points.classes),
        "protocol": protocol._asdict() | {"trials": list(map(str, protocol.trials))},
        "results": [
            {
                "features": features,
                "numbers": width,
                "evaluator": scores.evaluator,
                "trial": scores.trial,
                "folds": scores.folds,
                "training_samples": scores.training_samples,
                "metrics": {name: _finite(estimate) for name, estimate in scores.metrics.items()},
                "confusion": None if scores.confusion is None else scores.confusion.tolist(),
            }
            for features, width, scores in report.results
        ],
    }


def json_text(report: EvaluationReport) -> str:
    """Write the results as JSON.

    Args:
        report: the report.

    Returns:
        `json_tree` as text.
    """
    return json.dumps(json_tree(report), indent=2) + "\n"


def _finite(estimate: Estimate) -> dict[str, float | None]:
    """Return the numbers by name. JSON has no NaN."""
    return {name: value if math.isfinite(value) else None for name, value in estimate._asdict().items()}


def _format(estimate: Estimate) -> str:
    return f"{estimate.mean:.3f} +- {estimate.sigma:.3f}"
