"""Draw a report's charts."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, MaxNLocator, NullLocator

from parity.comparison.compare import Comparison
from parity.comparison.groups import BACKWARD, FORWARD
from parity.comparison.pair import Measurement
from parity.comparison.tolerances import ULP_BINS
from parity.report.report import Chart

JAX, TORCH, OTHERS = "#1f5fa8", "#d9711c", ("#3b8f5a", "#8a5ba6", "#777777")
_WIDTH = 10.5
_FEWER_BINS = 12
"""Bins of the histogram that are drawn; the last one holds everything above."""


def growth(comparison: Comparison) -> Figure:
    """Plot the errors of what each call inside the whole returned, and of the gradients there, in call order.

    Args:
        comparison: The comparison.

    Returns:
        The figure.
    """
    dtypes = _dtypes(comparison.running)
    figure = Figure(figsize=(_WIDTH, 0.6 + 2.5 * len(dtypes)), layout="constrained")
    grid = figure.subplots(len(dtypes), 2, squeeze=False, sharex=True)
    for dtype, row in zip(dtypes, grid, strict=True):
        for direction, kind, axes in zip((FORWARD, BACKWARD), ("output", "gradient of output"), row, strict=True):
            of_calls: dict[str, list[Measurement]] = {}
            for measurement in comparison.running:
                if measurement.tensor.dtype == dtype and measurement.kind == kind:
                    of_calls.setdefault(measurement.call, []).append(measurement)
            _draw_growth(axes, list(of_calls.values()), oracle=dtype == "float64")
            axes.set_title(f"{dtype}, {direction}", loc="left", fontsize=10)
    for axes in grid[-1]:
        axes.set_xlabel("calls of sub-modules, in the order in which they end")
    for row in grid:
        row[0].set_ylabel("relative L2 error")
    return figure


def histograms(comparison: Comparison) -> Figure:
    """Plot how many numbers of all sub-modules are off by how many units in the last place.

    Args:
        comparison: The comparison.

    Returns:
        The figure.
    """
    measured = [*comparison.whole, *comparison.alone]
    dtypes = _dtypes(measured)
    figure = Figure(figsize=(_WIDTH, 0.6 + 2.2 * len(dtypes)), layout="constrained")
    grid = figure.subplots(len(dtypes), 2, squeeze=False)
    for dtype, row in zip(dtypes, grid, strict=True):
        for direction, axes in zip((FORWARD, BACKWARD), row, strict=True):
            tensors = [
                measurement.tensor
                for measurement in measured
                if measurement.tensor.dtype == dtype and measurement.forward == (direction == FORWARD)
            ]
            _draw_histogram(axes, [v.jax.ulp_counts for v in tensors], "JAX", JAX, -0.2)
            if dtype != "float64":  # PyTorch's float64 is the oracle itself
                _draw_histogram(axes, [v.torch.ulp_counts for v in tensors], "PyTorch", TORCH, 0.2)
            axes.set_title(f"{dtype}, {direction}", loc="left", fontsize=10)
            _plain(axes)
    for axes in grid[-1]:
        axes.set_xlabel("error of at most this many units in the last place")
    for row in grid:
        row[0].set_ylabel("share of numbers")
    grid[0][0].legend(frameon=False)
    return figure


def lines(chart: Chart) -> Figure:
    """Plot a chart of a section.

    Args:
        chart: The chart.

    Returns:
        The figure.
    """
    figure = Figure(figsize=(_WIDTH, 3.2), layout="constrained")
    axes = figure.subplots()
    colors = {"JAX": JAX, "PyTorch": TORCH}
    others = iter(OTHERS * len(chart.lines))
    for place, (name, values) in enumerate(chart.lines.items()):
        # if lines coincide, the later one is dashed, so that both are visible
        style = {"linestyle": (0, (4 / place, 3)) if place else "-", "linewidth": 1.6 if place else 2.6}
        x = np.arange(1, len(values) + 1)
        axes.plot(x, _above_zero(values), label=name, color=colors.get(name) or next(others), **style)
    axes.set(xlabel=chart.x, ylabel=chart.y)
    _log_scale(axes)
    axes.set_title(chart.title, loc="left", fontsize=10)
    axes.legend(frameon=False, fontsize=9)
    _plain(axes)
    return figure


def _draw_growth(axes: Axes, calls: list[list[Measurement]], oracle: bool) -> None:
    x = np.arange(1, len(calls) + 1)
    for name, color in (("JAX", JAX), ("PyTorch", TORCH)):
        if name == "PyTorch" and oracle:
            continue
        errors = [_rms([getattr(m.tensor, "jax" if name == "JAX" else "torch").relative_l2 for m in c]) for c in calls]
        axes.plot(x, _above_zero(errors), ".", markersize=3, color=color, alpha=0.35)
        axes.plot(x, _running_median(errors), color=color, linewidth=1.8, label=name)
    _log_scale(axes)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    if calls:
        axes.legend(frameon=False, fontsize=9)
    _plain(axes)


def _log_scale(axes: Axes) -> None:
    """Set a logarithmic scale whose ends are powers of ten, so that there are always two labels."""
    axes.set_yscale("log")
    low, high = np.log10(axes.get_ylim())
    axes.set_ylim(10 ** np.floor(low), 10 ** np.ceil(high))
    axes.yaxis.set_major_locator(LogLocator(numticks=6))
    axes.yaxis.set_minor_locator(NullLocator())


def _draw_histogram(axes: Axes, counts: Sequence[tuple[int, ...]], name: str, color: str, offset: float) -> None:
    total = np.zeros(ULP_BINS) + np.array([*counts]).sum(axis=0)
    shown = np.append(total[: _FEWER_BINS - 1], total[_FEWER_BINS - 1 :].sum()) / max(total.sum(), 1)
    places = np.arange(_FEWER_BINS)
    axes.bar(places + offset, shown, 0.4, color=color, label=name)
    labels = ["½", *(f"{2**k:g}" for k in range(_FEWER_BINS - 2)), "more"]
    axes.set_xticks(places, labels, fontsize=8)


def _running_median(errors: Sequence[float]) -> np.ndarray:
    """Take the median over neighboring calls if there are many: single calls vary tenfold and hide the growth."""
    array, around = _above_zero(errors), len(errors) // 30
    spans = [array[max(0, i - around) : i + around + 1] for i in range(len(array))]
    return np.array([np.nanmedian(span) if np.isfinite(span).any() else np.nan for span in spans])


def _above_zero(values: Sequence[float]) -> np.ndarray:
    array = np.asarray(values, np.float64)
    return np.where(array > 0, array, np.nan)


def _rms(errors: list[float]) -> float:
    return float(np.sqrt(np.mean(np.square(errors))))


def _dtypes(measured: Sequence[Measurement]) -> list[str]:
    return list(dict.fromkeys(measurement.tensor.dtype for measurement in measured)) or ["float64"]


def _plain(axes: Axes) -> None:
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="y", color="0.9", linewidth=0.8)
    axes.set_axisbelow(True)
    axes.tick_params(labelsize=8)
