"""The encoder's input from one source: the teacher's frames, and which of them the student sees (paper, S4)."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float32, Int, Int64

from aef_jax.data.store.normalization import Normalization
from aef_jax.data.store.site import SAME_PASS_MS, Period, Series
from configs.batch import Frames, Student
from configs.encodings.timecode import timecode
from configs.fields.statistics import bands_with_data
from configs.source import Source

GAP_WIDTH_PIXELS = (0.5, 2.0)
"""Range of a line gap's width, drawn uniformly (paper, S1)."""


class DrawnFrames(NamedTuple):
    """The teacher's frames of one source, sorted by time, and how they were drawn."""

    frames: Frames
    time_ms: Int64[np.ndarray, "N"]
    """Epoch milliseconds of each element; 0 if it is absent."""
    candidates: Int64[np.ndarray, "k"]
    """Indices into the series of the frames that are neither of the target's pass nor dropped."""
    selected: Int64[np.ndarray, "n"]
    """Indices into the series of the frames within the budget: element i of `frames` is frame `selected[i]`."""


def draw_frames(
    source: Source,
    series: Series,
    target: int | None,
    normalization: Normalization,
    rng: np.random.Generator,
    dropout: bool,
    gaps: bool,
) -> DrawnFrames:
    """Draw the teacher's frames, padded to the frame budget with absent ones.

    The target and all other frames of its pass are left out. So is a frame that holds no data in the tile.

    Args:
        source: gives the frame budget, `frame_drop` and line gaps.
        series: frames of the support period, as stored.
        target: index of the target; None if there is none.
        normalization: statistics of the training set.
        rng: draws the order, the dropped frames and the line.
        dropout: apply the source's `frame_drop` before the budget, so that no dropped frame takes a place in it (ours).
        gaps: blank a line of all frames, if the source has line gaps.

    Returns:
        The frames, in float32 and z-scored.
    """
    candidates = np.arange(len(series.time_ms))
    if target is not None:
        candidates = candidates[np.abs(series.time_ms - series.time_ms[target]) > SAME_PASS_MS]
    if dropout:
        candidates = candidates[rng.random(len(candidates)) >= source.frame_drop]
    selected = _select_with_data(series, rng.permutation(candidates), source.frame_budget)
    gap = line_gap(series.pixels.shape[1], series.pixels.shape[2], rng) if gaps and source.line_gaps else None
    stored = series.select_frames(selected)
    pixels = np.zeros((source.frame_budget, *series.pixels.shape[1:]), np.float32)
    pixels[: len(selected)] = normalization.z_score(stored, source).pixels
    bands = bands_with_data(pixels)  # a gap takes no band away
    if gap is not None:
        pixels[:, gap] = 0
    time_ms = np.zeros(source.frame_budget, np.int64)
    time_ms[: len(selected)] = stored.time_ms
    present = np.arange(source.frame_budget) < len(selected)
    frames = Frames(pixels, timecode(time_ms).astype(np.float32), present, bands)
    return DrawnFrames(frames, time_ms, candidates, selected)


def _select_with_data(series: Series, order: Int64[np.ndarray, "k"], max_frames: int) -> Int64[np.ndarray, "n"]:
    """Return the first frames of an order that hold any data, at most `max_frames`, sorted by time."""
    selected = []
    for index in order.tolist():
        if len(selected) == max_frames:
            break
        if series.select_frames(slice(index, index + 1)).has_data.any():
            selected.append(index)
    return np.array(sorted(selected), np.int64)


def line_gap(height: int, width: int, rng: np.random.Generator) -> Bool[np.ndarray, "H W"]:
    """Draw a line at a uniform random angle through a random point of the tile.

    Args:
        height: pixels.
        width: pixels.
        rng: draws point, angle and width.

    Returns:
        True where the line blanks pixels.
    """
    row, column = rng.uniform(0, height), rng.uniform(0, width)
    angle, thickness = rng.uniform(0, np.pi), rng.uniform(*GAP_WIDTH_PIXELS)
    rows, columns = np.mgrid[:height, :width] + 0.5
    distance = (columns - column) * np.sin(angle) - (rows - row) * np.cos(angle)
    return np.abs(distance) <= thickness / 2


def draw_student(
    source: Source,
    present: Bool[np.ndarray, "N"],
    time_ms: Int64[np.ndarray, "N"],
    student_half: Period | None,
    rng: np.random.Generator,
) -> Student:
    """Draw which of the teacher's frames the student sees.

    Args:
        source: gives `frame_drop`, `source_drop` and `student_budget`.
        present: which elements hold a frame.
        time_ms: acquisition of each element.
        student_half: the student sees the frames of this half of the support period. None: it sees a random share.
        rng: draws the frames, and whether the whole source is dropped.

    Returns:
        At most `student_budget` frames. If a half has more, the rest is dropped at random (ours).
    """
    visible = np.flatnonzero(present)
    count = len(visible) - int(source.frame_drop * len(visible))
    if student_half is not None:
        visible = visible[(time_ms[visible] >= student_half[0]) & (time_ms[visible] < student_half[1])]
        count = len(visible)
    visible = np.sort(rng.choice(visible, min(count, source.student_budget), replace=False))
    if rng.random() < source.source_drop:
        visible = visible[:0]
    return _pad(visible, source.student_budget)


def no_frames(source: Source, side: int) -> DrawnFrames:
    """Return the teacher's frames of a source that a site lacks.

    Args:
        source: gives the frame budget and the bands.
        side: pixels of a tile's side.

    Returns:
        Absent frames.
    """
    time_ms, nothing = np.zeros(source.frame_budget, np.int64), np.zeros(0, np.int64)
    pixels = np.zeros((source.frame_budget, side, side, source.channels), np.float32)
    timecodes: Float32[np.ndarray, "N K"] = timecode(time_ms).astype(np.float32)
    present, bands = np.zeros(source.frame_budget, bool), np.zeros((source.frame_budget, source.channels), bool)
    return DrawnFrames(Frames(pixels, timecodes, present, bands), time_ms, nothing, nothing)


def no_student(source: Source) -> Student:
    """Return a student that sees no frame of a source.

    Args:
        source: gives the student's budget.

    Returns:
        Absent elements.
    """
    return _pad(np.zeros(0, np.int64), source.student_budget)


def _pad(visible: Int[np.ndarray, "n"], budget: int) -> Student:
    index = np.zeros(budget, np.int32)
    index[: len(visible)] = visible
    return Student(index, np.arange(budget) < len(visible))
