"""Draw the times of one example: the status of every frame, and the periods that were drawn."""

from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.dates import ConciseDateFormatter, MonthLocator
from matplotlib.figure import SubFigure
from matplotlib.patches import Patch
from matplotlib.ticker import PercentFormatter

from aef_jax.data.sampling.examples import DrawnExample, frames_in_period
from aef_jax.data.store.site import SAME_PASS_MS, Period
from configs.encodings.timecode import DAY_MS
from configs.source import Source


class FrameStatus(NamedTuple):
    """What happened to a frame, and the color that shows it."""

    name: str
    color: str


TARGET = FrameStatus("target, removed from the inputs", "#d55e00")
STUDENT = FrameStatus("teacher and student", "#0072b2")
TEACHER = FrameStatus("teacher only", "#7cc4ee")
DROPPED = FrameStatus("dropped from the teacher at random", "#e0b000")
OVER_BUDGET = FrameStatus("beyond the budget", "#8c8c8c")
EMPTY = FrameStatus("no data in the tile", "#cc79a7")
STATUSES = (TARGET, STUDENT, TEACHER, DROPPED, OVER_BUDGET, EMPTY)

_SHARED, _OWN, _TEXT = "#0072b2", "#9a9a9a", "#009e73"
_MIN_HEIGHT = 0.06  # so that a frame without a valid pixel is visible


class FrameMark(NamedTuple):
    """A frame of an input source in the support period."""

    time_ms: int
    valid_fraction: float
    """Fraction of its pixels in the tile that are valid in any band."""
    status: FrameStatus


def frame_marks(source: Source, drawn: DrawnExample) -> list[FrameMark]:
    """Return the status of each frame of an input source in the support period.

    Args:
        source: the source.
        drawn: the example.

    Returns:
        One mark per frame, sorted by time; none if the site lacks the source or it is no input.
    """
    series, parts = frames_in_period(source, drawn.tile, drawn.location.support), drawn.sources[source.name]
    if series is None or parts.teacher is None or parts.student is None:
        return []
    target_ms = None if parts.target_index is None else series.time_ms[parts.target_index]
    candidates, selected = parts.teacher.candidates.tolist(), parts.teacher.selected
    visible = selected[parts.student.index[parts.student.present]].tolist()
    marks = []
    for index, time_ms in enumerate(series.time_ms.tolist()):
        frame = series.select_frames(slice(index, index + 1))
        if target_ms is not None and abs(time_ms - target_ms) <= SAME_PASS_MS:  # all frames of one pass are removed
            status = TARGET
        elif index in visible:
            status = STUDENT
        elif index in selected:
            status = TEACHER
        elif index not in candidates:
            status = DROPPED
        else:
            status = OVER_BUDGET if frame.has_data.any() else EMPTY
        marks.append(FrameMark(time_ms, float(frame.valid.any(axis=-1).mean()), status))
    return marks


def timeline_height(inputs: int, periods: int) -> float:
    """Return the height that `draw_timeline` needs.

    Args:
        inputs: number of input sources.
        periods: number of periods: one per source, the shared one and the text's.

    Returns:
        Inches.
    """
    return 1.35 + 0.85 * inputs + 0.24 * periods


def draw_timeline(
    figure: SubFigure, inputs: dict[str, list[FrameMark]], sources: tuple[Source, ...], drawn: DrawnExample
) -> None:
    """Draw a row of marks for each input source, and a bar for each period below them.

    Args:
        figure: part of the picture.
        inputs: marks of each input source.
        sources: all sources of the example.
        drawn: the example.
    """
    rows = _rows(sources, drawn)
    axes = figure.subplots(
        len(inputs) + 1, 1, sharex=True, height_ratios=[0.85] * len(inputs) + [0.24 * len(rows)], squeeze=False
    )[:, 0]
    for axis, (name, frames) in zip(axes, inputs.items(), strict=False):
        _draw_marks(axis, name, frames, drawn)
    _draw_periods(axes[-1], rows)
    first, end = drawn.location.support
    axes[-1].set_xlim(first / DAY_MS, end / DAY_MS)
    locator = MonthLocator()
    axes[-1].xaxis.set_major_locator(locator)
    axes[-1].xaxis.set_major_formatter(ConciseDateFormatter(locator))
    shown = {mark.status for frames in inputs.values() for mark in frames}
    handles = [Patch(color=status.color, label=status.name) for status in STATUSES if status in shown]
    if drawn.student_half:
        handles.append(Patch(facecolor="0.92", label="half that the student does not see"))
    figure.legend(handles=handles, loc="outside upper center", ncols=4, frameon=False, fontsize=9)


class _Row(NamedTuple):
    label: str
    period: Period
    color: str
    target_ms: int | None = None


def _rows(sources: tuple[Source, ...], drawn: DrawnExample) -> list[_Row]:
    rows = [_Row("teacher and student", drawn.shared_period, _SHARED)]
    for source in sources:
        series, parts = frames_in_period(source, drawn.tile, drawn.location.support), drawn.sources[source.name]
        if series is None or parts.target_index is None:
            rows.append(_Row(f"{source.name} (no target)", parts.summary_period, "0.9"))
        else:
            target_ms = int(series.time_ms[parts.target_index]) if source.timed else None
            rows.append(_Row(source.name, parts.summary_period, _OWN, target_ms))
    if drawn.text_point is not None:
        start, end = drawn.tile.text.period_ms[drawn.text_point].tolist()
        rows.append(_Row("text", (start, end), _TEXT))
    return rows


def _draw_marks(axis: Axes, name: str, frames: list[FrameMark], drawn: DrawnExample) -> None:
    support = drawn.location.support
    if drawn.student_half:
        unseen = (
            (support[0], drawn.student_half[0])
            if drawn.student_half[0] > support[0]
            else (drawn.student_half[1], support[1])
        )
        axis.axvspan(unseen[0] / DAY_MS, unseen[1] / DAY_MS, color="0.92", linewidth=0)
    days = np.array([mark.time_ms / DAY_MS for mark in frames])
    heights = [max(mark.valid_fraction, _MIN_HEIGHT) for mark in frames]
    colors = [mark.status.color for mark in frames]
    if frames:
        width = (support[1] - support[0]) / DAY_MS / 260
        axis.bar(days, heights, width=width, color=colors, edgecolor=colors, linewidth=0.4)
    targets = [(day, height) for day, height, mark in zip(days, heights, frames, strict=True) if mark.status is TARGET]
    if targets:
        axis.plot(*np.transpose(targets), "v", color=TARGET.color, markersize=6, clip_on=False, zorder=3)
    axis.set_ylim(0, 1.15)
    axis.set_yticks([0, 0.5, 1])
    axis.yaxis.set_major_formatter(PercentFormatter(1))
    axis.tick_params(axis="y", labelsize=7, colors="0.4")
    axis.tick_params(axis="x", length=0)
    axis.grid(axis="x", color="0.85", linewidth=0.6)
    axis.set_axisbelow(True)
    axis.spines[["top", "right"]].set_visible(False)
    label = f"{name}\n{len(frames)} frames" if frames else f"{name}\nno frame"
    axis.set_ylabel(label, rotation=0, ha="right", va="center", fontsize=9, labelpad=8)


def _draw_periods(axis: Axes, rows: list[_Row]) -> None:
    for location, row in enumerate(rows):
        start, end = row.period
        axis.barh(location, (end - start) / DAY_MS, left=start / DAY_MS, height=0.5, color=row.color)
        if row.target_ms is not None:
            axis.plot(row.target_ms / DAY_MS, location, "D", color=TARGET.color, markersize=5, zorder=3)
    axis.set_ylim(len(rows) - 0.4, -0.6)
    axis.set_yticks(range(len(rows)), [row.label for row in rows], fontsize=9)
    axis.tick_params(axis="y", length=0)
    axis.grid(axis="x", color="0.85", linewidth=0.6)
    axis.set_axisbelow(True)
    axis.spines[["top", "right", "left"]].set_visible(False)
    axis.set_xlabel("bars: valid periods; diamonds: acquisition of the target", fontsize=9)
