"""What the encoder is given of one source: the teacher's frames, and which of them the student sees (paper, S4)."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float32, Int, Int64

from aef_jax.data.store.normalization import Normalization, there
from aef_jax.data.store.site import SAME_PASS_MS, Period, Series
from configs.batch import Frames, Student
from configs.encodings.timecode import timecode
from configs.source import Source

GAP_WIDTH_PIXELS = (0.5, 2.0)
"""Of a line gap, drawn uniformly (paper, S1)."""


class DrawnFrames(NamedTuple):
    """The teacher's frames of one source, in the order of their times, and how they were come by."""

    frames: Frames
    times: Int64[np.ndarray, "N"]
    """Epoch milliseconds of each; 0 where there is none."""
    kept: Int64[np.ndarray, "k"]
    """Indices of the frames that were neither the target's nor dropped."""
    taken: Int64[np.ndarray, "n"]
    """Indices of the frames within the budget: element i of `frames` is frame `taken[i]`."""


def draw_frames(
    source: Source,
    series: Series,
    target: int | None,
    normalization: Normalization,
    rng: np.random.Generator,
    dropout: bool,
    gaps: bool,
) -> DrawnFrames:
    """The teacher's frames, padded to the frame budget with absent ones.

    The target is not among them, nor any frame of the same pass. With `dropout` the source's
    `frame_drop` is applied first, so that none of the budget is spent on what is dropped (ours); nor is it on a frame
    that holds no data anywhere in the tile. With `gaps` a line is blanked, if the source has line gaps.
    """
    kept = np.arange(len(series.time_ms))
    if target is not None:
        kept = kept[np.abs(series.time_ms - series.time_ms[target]) > SAME_PASS_MS]
    if dropout:
        kept = kept[rng.random(len(kept)) >= source.frame_drop]
    taken = _with_data(series, rng.permutation(kept), source.frame_budget)
    gap = line_gap(series.pixels.shape[1], series.pixels.shape[2], rng) if gaps and source.line_gaps else None
    stored = series.select_frames(taken)
    pixels = np.zeros((source.frame_budget, *series.pixels.shape[1:]), np.float32)
    pixels[: len(taken)] = normalization.z_score(stored, source).pixels
    if gap is not None:
        pixels[:, gap] = 0
    times = np.zeros(source.frame_budget, np.int64)
    times[: len(taken)] = stored.time_ms
    present = np.arange(source.frame_budget) < len(taken)
    return DrawnFrames(Frames(pixels, timecode(times).astype(np.float32), present), times, kept, taken)


def _with_data(series: Series, order: Int64[np.ndarray, "k"], most: int) -> Int64[np.ndarray, "n"]:
    """The first frames of an order, up to so many, that hold any data; in the order of their times."""
    taken = []
    for index in order.tolist():
        if len(taken) == most:
            break
        if there(series.select_frames(slice(index, index + 1))).any():
            taken.append(index)
    return np.array(sorted(taken), np.int64)


def line_gap(height: int, width: int, rng: np.random.Generator) -> Bool[np.ndarray, "H W"]:
    """A line at a uniform random angle through a random point of the tile: True where it blanks."""
    row, column = rng.uniform(0, height), rng.uniform(0, width)
    angle, thickness = rng.uniform(0, np.pi), rng.uniform(*GAP_WIDTH_PIXELS)
    rows, columns = np.mgrid[:height, :width] + 0.5
    distance = (columns - column) * np.sin(angle) - (rows - row) * np.cos(angle)
    return np.abs(distance) <= thickness / 2


def draw_student(
    source: Source,
    present: Bool[np.ndarray, "N"],
    times: Int64[np.ndarray, "N"],
    kept_ms: Period | None,
    rng: np.random.Generator,
) -> Student:
    """The frames that the student sees: those of its half of the year, or a random share; or none of a dropped source.

    They never are more than `student_budget`: what a half has beyond it is dropped at random (ours).
    """
    seen = np.flatnonzero(present)
    left = len(seen) - int(source.frame_drop * len(seen))
    if kept_ms is not None:
        seen = seen[(times[seen] >= kept_ms[0]) & (times[seen] < kept_ms[1])]
        left = len(seen)
    seen = np.sort(rng.choice(seen, min(left, source.student_budget), replace=False))
    if rng.random() < source.source_drop:
        seen = seen[:0]
    return _padded(seen, source.student_budget)


def no_frames(source: Source, side: int) -> tuple[Frames, Student]:
    """What a site without this source gives: nothing but absent frames."""
    times: Float32[np.ndarray, "N K"] = timecode(np.zeros(source.frame_budget, np.int64)).astype(np.float32)
    pixels = np.zeros((source.frame_budget, side, side, source.channels), np.float32)
    absent = np.zeros(source.frame_budget, bool)
    return Frames(pixels, times, absent), _padded(np.zeros(0, np.int64), source.student_budget)


def _padded(seen: Int[np.ndarray, "n"], budget: int) -> Student:
    index = np.zeros(budget, np.int32)
    index[: len(seen)] = seen
    return Student(index, np.arange(budget) < len(seen))
