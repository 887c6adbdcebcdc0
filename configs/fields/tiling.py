"""Embedding fields of any area, tile by tile.

The paper cuts tiles of 960 m, buffered by 160 m on each side (1.28 km, L = 128 pixels), and trims the outer 80 m of the
output. Here these are shares of the tile side L: a buffer of L/8 and a trim of L/16. After the trim, neighbors overlap
by L/8 and are blended linearly (ours).
"""

import logging
from collections.abc import Callable, Mapping
from itertools import product
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Float32, Int64
from tqdm import tqdm

from configs.batch import Frames
from configs.config import Config
from configs.encodings.timecode import DAY_MS, period_code, timecode
from configs.fields.statistics import CLIP_SIGMA, bands_with_data
from configs.model import PIXELS_PER_SPACE_CELL

Period = tuple[int, int]
"""[start, end) in epoch milliseconds."""
Embed = Callable[[dict[str, Frames], Any], Any]
"""The model, in any framework: frames and codes of valid periods (B P 2*K) in NumPy arrays to mean directions
(B P H W D), in anything that `np.asarray` reads."""

FRAMES_MULTIPLE = 16
"""Frames of a source are padded with absent ones to a multiple of this, so that few shapes are compiled."""


class FrameStack(NamedTuple):
    """All z-scored frames of one source over one area, in the order of their times."""

    pixels: Float32[np.ndarray, "N H W C"]
    time_ms: Int64[np.ndarray, "N"]


class Strip(NamedTuple):
    """One axis of one tile."""

    start: int
    """Where the tile begins in the area."""
    used: slice
    """The part of the tile that is used; the rest is trimmed, or lies beyond the area."""
    weight: Float32[np.ndarray, "K"]
    """Above 0, for each used pixel."""

    @property
    def target(self) -> slice:
        """The place of the used part in the area."""
        return slice(self.start + self.used.start, self.start + self.used.stop)


def lay_out(length: int, side: int) -> list[Strip]:
    """Cover an axis with tiles.

    Origins are multiples of 3/4 of the side (960 m). The last tile is shifted inwards to end with the area, or one
    pixel beyond it, so that all origins are even: the model's output doubles a grid of L/2, whose cells then are the
    same ground in all tiles. The ends of the area, which no other tile covers, have neither trim nor ramp.

    Args:
        length: of the axis, in pixels.
        side: of a tile, in pixels. A shorter axis is one strip.

    Returns:
        The strips from the first to the last.
    """
    if length <= side:
        return [Strip(0, slice(0, length), np.ones(length, np.float32))]
    trim, ramp = side // 16, side // 8
    last = length - side + (length - side) % 2
    starts = [*range(0, length - side, side - 2 * ramp), last]
    rising = np.concatenate([np.zeros(trim), (np.arange(ramp) + 0.5) / ramp, np.ones(side - trim - ramp)])
    strips = []
    for start in starts:
        weight = np.ones(side)
        if start > 0:
            weight *= rising
        if start + side < length:
            weight *= rising[::-1]
        inside = np.flatnonzero(weight[: length - start])
        used = slice(inside[0], inside[-1] + 1)
        strips.append(Strip(start, used, weight[used].astype(np.float32)))
    return strips


def default_support(period: Period, config: Config) -> Period:
    """Choose the support period of a valid period (ours: in the released annual fields a year is its own support).

    Args:
        period: the valid period.
        config: gives the length of the support period in training.

    Returns:
        The valid period if it is at least that long, else a period of that length around it.
    """
    length = config.data.support_days * DAY_MS
    if period[1] - period[0] >= length:
        return period
    start = (period[0] + period[1] - length) // 2
    return start, start + length


def embed_area(
    embed: Embed, stacks: Mapping[str, FrameStack], config: Config, period: Period, support: Period, *, batch: int = 4
) -> Float32[np.ndarray, "H W D"]:
    """Compute the embedding field of an area over a valid period.

    An area whose side is shorter than a tile makes tiles of the next multiple of 16. Beyond its far ends the area is
    continued by its mirror image, which is closer to the training data than no data, and which is cut off again.

    If the valid period lies before or after all frames, the field is extrapolated, and a log message says so.

    Args:
        embed: maps all frames of `batch` tiles and their one valid period to mean directions. It is always called with
            the same shapes; the last batch repeats a tile.
        stacks: z-scored frames by input source, all of the same area. A source without a frame in the support period is
            left out.
        config: of the model.
        period: the valid period. It may lie outside of the support period.
        support: the period whose frames are used, all of them (paper, inference).
        batch: tiles that are computed at once.

    Returns:
        Unit vectors; NaN at a pixel that no frame of any source shows.

    Raises:
        ValueError: a period is empty, no source has a frame in the support period, none shows a pixel, the pixels are
            not z-scored, or an embedding is not finite.
    """
    require_period("valid", period)
    require_period("support", support)
    stacks = _in_support(stacks, support)
    is_shown = _shown_pixels(stacks)
    _tell_extrapolation(stacks, period)
    side, (height, width) = config.data.tile_side, next(iter(stacks.values())).pixels.shape[1:3]
    tiles = list(product(lay_out(height, side), lay_out(width, side)))
    shape = _tile_side(height, side), _tile_side(width, side)
    batch = min(batch, len(tiles))
    starts, ends = np.array([period], np.int64).T
    codes = np.tile(period_code(starts, ends), (batch, 1, 1)).astype(np.float32)

    field = np.zeros((height, width, config.model.embed_dim), np.float32)
    for first in tqdm(range(0, len(tiles), batch), "embedding", unit="batch", leave=False, disable=None):
        these = tiles[first : first + batch]
        padded = these + these[-1:] * (batch - len(these))
        means = np.asarray(embed(_frames(stacks, padded, shape), codes))[:, 0]
        for (rows, columns), mean in zip(these, means, strict=False):
            # cut before weighting: whatever the trimmed rim holds, even NaN, must not count
            used = mean[rows.used, columns.used] * np.multiply.outer(rows.weight, columns.weight)[..., None]
            field[rows.target, columns.target] += used
    return _unit_vectors(field, is_shown)


def require_period(name: str, period: Period) -> None:
    """Refuse an empty period.

    Args:
        name: of the period in the message.
        period: [start, end) in epoch milliseconds.

    Raises:
        ValueError: the end is not after the start.
    """
    if period[0] >= period[1]:
        raise ValueError(f"the {name} period {_iso(*period)} is empty, expected an end after its start")


def _tile_side(length: int, side: int) -> int:
    return min(side, -(-length // PIXELS_PER_SPACE_CELL) * PIXELS_PER_SPACE_CELL)


def _in_support(stacks: Mapping[str, FrameStack], support: Period) -> dict[str, FrameStack]:
    """Select the frames that the encoder is given."""
    cut = {}
    for name, (pixels, time_ms) in stacks.items():
        first, end = np.searchsorted(time_ms, support)
        if first < end:
            cut[name] = FrameStack(pixels[first:end], time_ms[first:end])
    if not cut:
        times = [int(time) for stack in stacks.values() for time in stack.time_ms]
        have = f"they have frames of {_iso(min(times), max(times))}" if times else "they have none at all"
        raise ValueError(
            f"no frame of the input sources {sorted(stacks)} in the support period {_iso(*support)}; {have}"
        )
    for name, (pixels, _) in cut.items():
        if not max(pixels.max(), -pixels.min()) <= CLIP_SIGMA:
            raise ValueError(f"source {name} is not z-scored: a value lies beyond {CLIP_SIGMA:.0f} sigma")
    return cut


def _shown_pixels(stacks: Mapping[str, FrameStack]) -> Bool[np.ndarray, "H W"]:
    """Find the pixels that some frame shows: a score without data is exactly 0."""
    shown = np.logical_or.reduce([pixels.any(axis=(0, 3)) for pixels, _ in stacks.values()])
    if not shown.any():
        raise ValueError(f"no frame of {sorted(stacks)} in the support period holds data, expected some")
    return shown


def _unit_vectors(field: Float32[np.ndarray, "H W D"], is_shown: Bool[np.ndarray, "H W"]) -> np.ndarray:
    field /= np.linalg.norm(field, axis=-1, keepdims=True)
    wrong = int((~np.isfinite(field).all(axis=-1)).sum())
    if wrong:
        raise ValueError(f"{wrong} of {is_shown.size} pixels have no finite embedding")
    field[~is_shown] = np.nan
    return field


def _tell_extrapolation(stacks: Mapping[str, FrameStack], period: Period) -> None:
    first = min(int(time_ms[0]) for _, time_ms in stacks.values())
    last = max(int(time_ms[-1]) for _, time_ms in stacks.values())
    if period[1] <= first or period[0] > last:
        logging.getLogger(__name__).warning(
            "the valid period %s lies outside of the frames, of %s: the field is extrapolated",
            _iso(*period),
            _iso(first, last),
        )


def _frames(stacks: Mapping[str, FrameStack], tiles: list[tuple[Strip, Strip]], shape: tuple[int, int]) -> dict:
    """All frames of some tiles, each of `shape`."""
    frames = {}
    for name, (pixels, time_ms) in stacks.items():
        cuts = []
        for rows, columns in tiles:
            cut = pixels[:, rows.start : rows.start + shape[0], columns.start : columns.start + shape[1]]
            beyond = [(0, side - length) for side, length in zip(shape, cut.shape[1:3], strict=True)]
            cuts.append(np.pad(cut, [(0, 0), *beyond, (0, 0)], mode="symmetric"))
        absent = -len(time_ms) % FRAMES_MULTIPLE
        padded = np.pad(np.stack(cuts), [(0, 0), (0, absent), (0, 0), (0, 0), (0, 0)])
        times = np.tile(timecode(time_ms), (len(tiles), 1, 1)).astype(np.float32)
        times = np.pad(times, [(0, 0), (0, absent), (0, 0)])
        bands = bands_with_data(padded)
        # as in training, a frame without data all over a tile is absent
        frames[name] = Frames(padded, times, bands.any(axis=-1), bands)
    return frames


def _iso(start_ms: int, end_ms: int) -> str:
    return "..".join(str(np.datetime64(ms, "ms").astype("datetime64[D]")) for ms in (start_ms, end_ms))
