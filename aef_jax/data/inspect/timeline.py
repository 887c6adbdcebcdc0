"""The times of one drawn example: which frames there are and what became of each, and which periods were drawn."""

from datetime import UTC, datetime
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.dates import ConciseDateFormatter, MonthLocator
from matplotlib.figure import SubFigure
from matplotlib.patches import Patch
from matplotlib.ticker import PercentFormatter

from aef_jax.data.sampling.examples import SampleTrace, frames_in_period
from aef_jax.data.store.normalization import there
from aef_jax.data.store.site import SAME_PASS_MS, Period
from configs.batch import Batch
from configs.encodings.timecode import DAY_MS
from configs.source import Source


class FrameStatus(NamedTuple):
    """What became of a frame, and the colour it is drawn in."""

    name: str
    colour: str


TARGET = FrameStatus("target, removed from the inputs", "#d55e00")
STUDENT = FrameStatus("teacher and student", "#0072b2")
TEACHER = FrameStatus("teacher only", "#7cc4ee")
DROPPED = FrameStatus("dropped from the teacher at random", "#e0b000")
OVER_BUDGET = FrameStatus("beyond the budget", "#8c8c8c")
EMPTY = FrameStatus("no data in the tile", "#cc79a7")
FATES = (TARGET, STUDENT, TEACHER, DROPPED, OVER_BUDGET, EMPTY)

_SHARED, _OWN, _TEXT = "#0072b2", "#9a9a9a", "#009e73"
_LEAST_HEIGHT = 0.06  # so that a frame without a valid pixel is seen, too


class Mark(NamedTuple):
    """A frame of an input source in the support period."""

    time_ms: int
    share: float
    """Of its pixels in the tile that are valid in any band."""
    fate: FrameStatus


def marks(source: Source, batch: Batch, trace: SampleTrace) -> list[Mark]:
    """All frames of an input source that the support period holds, in the order of their times."""
    series, drawn = frames_in_period(source, trace.tile, trace.location.support), trace.inputs.get(source.name)
    if series is None or drawn is None:
        return []
    target = trace.targets.get(source.name)
    target_ms = None if target is None else series.time_ms[target]
    student = batch.student[source.name]
    seen = set(drawn.taken[student.index[student.present]].tolist())
    kept, taken = set(drawn.kept.tolist()), set(drawn.taken.tolist())
    found = []
    for index, time_ms in enumerate(series.time_ms.tolist()):
        frame = series.select_frames(slice(index, index + 1))
        if target_ms is not None and abs(time_ms - target_ms) <= SAME_PASS_MS:  # all frames of one pass are removed
            fate = TARGET
        elif index in seen:
            fate = STUDENT
        elif index in taken:
            fate = TEACHER
        elif index not in kept:
            fate = DROPPED
        else:
            fate = OVER_BUDGET if there(frame).any() else EMPTY
        found.append(Mark(time_ms, float(frame.valid.any(axis=-1).mean()), fate))
    return found


def timeline_height(inputs: int, periods: int) -> float:
    """Inches that `draw_timeline` asks for."""
    return 1.35 + 0.85 * inputs + 0.24 * periods


def draw_timeline(figure: SubFigure, inputs: dict[str, list[Mark]], sources: tuple[Source, ...], trace: SampleTrace):
    """Draws a row of marks for each input source, and a bar for each period below them."""
    rows = _rows(sources, trace)
    axes = figure.subplots(
        len(inputs) + 1, 1, sharex=True, height_ratios=[0.85] * len(inputs) + [0.24 * len(rows)], squeeze=False
    )[:, 0]
    for axis, (name, frames) in zip(axes, inputs.items(), strict=False):
        _draw_marks(axis, name, frames, trace)
    _draw_periods(axes[-1], rows)
    first, end = trace.location.support
    axes[-1].set_xlim(first / DAY_MS, end / DAY_MS)
    locator = MonthLocator()
    axes[-1].xaxis.set_major_locator(locator)
    axes[-1].xaxis.set_major_formatter(ConciseDateFormatter(locator))
    fates = {mark.fate for frames in inputs.values() for mark in frames}
    handles = [Patch(color=fate.colour, label=fate.name) for fate in FATES if fate in fates]
    if trace.kept:
        handles.append(Patch(facecolor="0.92", label="half that the student does not see"))
    figure.legend(handles=handles, loc="outside upper center", ncols=4, frameon=False, fontsize=9)


def date(time_ms: int) -> str:
    return datetime.fromtimestamp(time_ms / 1000, UTC).strftime("%Y-%m-%d")


def span(period: Period) -> str:
    """[start, end) by its dates."""
    return f"{date(period[0])} to {date(period[1])}"


class _Row(NamedTuple):
    label: str
    period: Period
    colour: str
    target_ms: int | None = None


def _rows(sources: tuple[Source, ...], trace: SampleTrace) -> list[_Row]:
    rows = [_Row("teacher and student", trace.shared, _SHARED)]
    for source in sources:
        series, target = frames_in_period(source, trace.tile, trace.location.support), trace.targets.get(source.name)
        if series is None or target is None:
            rows.append(_Row(f"{source.name} (no target)", trace.periods[source.name], "0.9"))
        else:
            target_ms = int(series.time_ms[target]) if source.timed else None
            rows.append(_Row(source.name, trace.periods[source.name], _OWN, target_ms))
    if trace.text is not None:
        start, end = trace.tile.text.period_ms[trace.text].tolist()
        rows.append(_Row("text", (start, end), _TEXT))
    return rows


def _draw_marks(axis: Axes, name: str, frames: list[Mark], trace: SampleTrace) -> None:
    support = trace.location.support
    if trace.kept:
        unseen = (support[0], trace.kept[0]) if trace.kept[0] > support[0] else (trace.kept[1], support[1])
        axis.axvspan(unseen[0] / DAY_MS, unseen[1] / DAY_MS, color="0.92", linewidth=0)
    days = np.array([mark.time_ms / DAY_MS for mark in frames])
    heights = [max(mark.share, _LEAST_HEIGHT) for mark in frames]
    colours = [mark.fate.colour for mark in frames]
    if frames:
        width = (support[1] - support[0]) / DAY_MS / 260
        axis.bar(days, heights, width=width, color=colours, edgecolor=colours, linewidth=0.4)
    targets = [(day, height) for day, height, mark in zip(days, heights, frames, strict=True) if mark.fate is TARGET]
    if targets:
        axis.plot(*np.transpose(targets), "v", color=TARGET.colour, markersize=6, clip_on=False, zorder=3)
    axis.set_ylim(0, 1.15)
    axis.set_yticks([0, 0.5, 1])
    axis.yaxis.set_major_formatter(PercentFormatter(1))
    axis.tick_params(axis="y", labelsize=7, colors="0.4")
    axis.tick_params(axis="x", length=0)
    axis.grid(axis="x", color="0.85", linewidth=0.6)
    axis.set_axisbelow(True)
    axis.spines[["top", "right"]].set_visible(False)
    told = f"{name}\n{len(frames)} frames" if frames else f"{name}\nno frame"
    axis.set_ylabel(told, rotation=0, ha="right", va="center", fontsize=9, labelpad=8)


def _draw_periods(axis: Axes, rows: list[_Row]) -> None:
    for location, row in enumerate(rows):
        start, end = row.period
        axis.barh(location, (end - start) / DAY_MS, left=start / DAY_MS, height=0.5, color=row.colour)
        if row.target_ms is not None:
            axis.plot(row.target_ms / DAY_MS, location, "D", color=TARGET.colour, markersize=5, zorder=3)
    axis.set_ylim(len(rows) - 0.4, -0.6)
    axis.set_yticks(range(len(rows)), [row.label for row in rows], fontsize=9)
    axis.tick_params(axis="y", length=0)
    axis.grid(axis="x", color="0.85", linewidth=0.6)
    axis.set_axisbelow(True)
    axis.spines[["top", "right", "left"]].set_visible(False)
    axis.set_xlabel("bars: valid periods; diamonds: acquisition of the target", fontsize=9)
