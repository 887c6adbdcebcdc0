"""Draw the results of an evaluation."""

from collections.abc import Sequence

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Colormap, ListedColormap, Normalize
from matplotlib.figure import Figure

from aef_jax.evaluation.command import EvaluationReport, Result
from configs.serialization.printable import picture_text

_WIDTH = 10.5
_COLUMNS = 3
_GRAY = "0.8"
MAX_NUMBERS = 10
"""Most classes of a confusion matrix whose cells have numbers."""


def bars(report: EvaluationReport, metric: str) -> Figure:
    """Draw a metric of all results as bars with error bars of one standard deviation.

    Args:
        report: the report.
        metric: its name.

    Returns:
        The figure: one row of axes for each trial.
    """
    names = list(dict.fromkeys(result.features for result in report.results))
    evaluators = sorted({result.scores.evaluator for result in report.results})
    trials = list(dict.fromkeys(result.scores.trial for result in report.results))
    figure = Figure(figsize=(_WIDTH, 0.4 + 2.2 * len(trials)), layout="constrained")
    for axes, trial in zip(figure.subplots(len(trials), 1, squeeze=False)[:, 0], trials, strict=True):
        drawn = sorted({result.scores.evaluator for result in report.results if result.scores.trial == trial})
        for place, evaluator in enumerate(drawn):
            shown = [r for r in report.results if (r.scores.trial, r.scores.evaluator) == (trial, evaluator)]
            x = [names.index(r.features) + (place - (len(drawn) - 1) / 2) * 0.8 / len(drawn) for r in shown]
            estimates = [r.scores.metrics[metric] for r in shown]
            means, sigmas = [e.mean for e in estimates], [e.sigma for e in estimates]
            color = f"C{evaluators.index(evaluator)}"
            axes.bar(x, means, 0.75 / len(drawn), yerr=sigmas, capsize=2, color=color, label=evaluator)
        axes.set_xticks(range(len(names)), [picture_text(name) for name in names], fontsize=8)
        axes.set_title(f"trial {trial}", loc="left", fontsize=10)
        axes.set_ylabel(metric.replace("_", " "), fontsize=9)
        axes.grid(axis="y", color="0.9", linewidth=0.8)
        axes.set_axisbelow(True)
        axes.spines[["top", "right"]].set_visible(False)
        axes.legend(frameon=False, fontsize=8, loc="center left", bbox_to_anchor=(1, 0.5))
    return figure


def confusion_matrices(report: EvaluationReport, results: Sequence[Result]) -> Figure:
    """Draw confusion matrices: the share of each true class (row) that is predicted as each class (column).

    Args:
        report: the report.
        results: those to draw, of a classification.

    Returns:
        The figure.
    """
    classes = [picture_text(name) for name in report.points.classes]
    rows = -(-len(results) // _COLUMNS)
    figure = Figure(figsize=(_WIDTH, 0.3 + 3.4 * rows), layout="constrained")
    grid = figure.subplots(rows, _COLUMNS, squeeze=False).ravel()
    for axes in grid[len(results) :]:
        axes.set_visible(False)
    for axes, result in zip(grid, results, strict=False):
        counts = result.scores.confusion
        if counts is None:
            continue
        shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
        axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
        axes.set_xticks(range(len(classes)), classes, fontsize=7, rotation=90)
        axes.set_yticks(range(len(classes)), classes, fontsize=7)
        axes.set(xlabel="predicted", ylabel="true")
        axes.set_title(_title(result), fontsize=9, loc="left")
        if len(classes) <= MAX_NUMBERS:
            for (row, column), share in np.ndenumerate(shares):
                color = "white" if share > 0.5 else "0.2"
                axes.text(column, row, f"{share:.2f}", ha="center", va="center", fontsize=7, color=color)
    return figure


def maps(report: EvaluationReport, results: Sequence[Result]) -> Figure:
    """Draw the samples at their places: the labels, and what is predicted of them.

    Args:
        report: the report.
        results: those to draw.

    Returns:
        The figure. Samples that are never in a test part are gray.
    """
    points, count = report.points, 1 + len(results)
    rows = -(-count // _COLUMNS)
    figure = Figure(figsize=(_WIDTH, 0.5 + 3.4 * rows), layout="constrained")
    grid = figure.subplots(rows, _COLUMNS, squeeze=False, sharex=True, sharey=True).ravel()
    for axes in grid[count:]:
        axes.set_visible(False)
    colors, limits = _colors(report)
    panels = [("labels", points.target), *((_title(result), result.scores.predicted) for result in results)]
    for axes, (title, values) in zip(grid, panels, strict=False):
        _scatter(axes, report, np.asarray(values, np.float64), colors, limits)
        axes.set_title(title, fontsize=9, loc="left")
    _legend(figure, report, colors, limits)
    return figure


def _scatter(
    axes: Axes, report: EvaluationReport, values: np.ndarray, colors: Colormap, limits: tuple[float, float]
) -> None:
    lon, lat = report.points.lon, report.points.lat
    is_known = np.isfinite(values) & ((values >= 0) | (not report.points.classes))
    size = float(np.clip(20_000 / len(values), 1, 20))
    style = {"s": size, "marker": "s", "linewidths": 0, "rasterized": True}
    axes.scatter(lon[~is_known], lat[~is_known], color=_GRAY, **style)
    norm = Normalize(*limits)
    axes.scatter(lon[is_known], lat[is_known], c=values[is_known], cmap=colors, norm=norm, **style)
    axes.set_aspect(1 / max(float(np.cos(np.radians(np.mean(lat)))), 0.1))
    axes.tick_params(labelsize=7, labelbottom=True)
    axes.locator_params(nbins=4)
    axes.ticklabel_format(useOffset=False)


def _colors(report: EvaluationReport) -> tuple[Colormap, tuple[float, float]]:
    """Return the colors of the samples, and the values of the first and the last color."""
    classes, target = report.points.classes, report.points.target
    if not classes:
        return matplotlib.colormaps["viridis"], (float(target.min()), float(target.max()))
    base = matplotlib.colormaps["tab10" if len(classes) <= 10 else "tab20"]
    return ListedColormap([base(index % base.N) for index in range(len(classes))]), (-0.5, len(classes) - 0.5)


def _legend(figure: Figure, report: EvaluationReport, colors: Colormap, limits: tuple[float, float]) -> None:
    shown = [axes for axes in figure.axes if axes.get_visible()]
    bar = figure.colorbar(ScalarMappable(Normalize(*limits), colors), ax=shown, shrink=0.8)
    bar.ax.tick_params(labelsize=7)
    if report.points.classes:
        names = [picture_text(name) for name in report.points.classes]
        bar.set_ticks(range(len(names)), labels=names)


def _title(result: Result) -> str:
    return f"{picture_text(result.features)}, {result.scores.evaluator}, {result.scores.trial}"
