"""Cover an axis with tiles (paper, inference).

The paper cuts tiles of 960 m, buffered by 160 m on each side (1.28 km, L = 128 pixels), and trims the outer 80 m of the
output. Here these are shares of the tile side L: a buffer of L/8 and a trim of L/16. After the trim, neighbors overlap
by L/8 and are blended linearly (ours).
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float32, Float64

from configs.model import PIXELS_PER_SPACE_CELL


class Strip(NamedTuple):
    """One axis of one tile."""

    start: int
    """Where the tile begins in the area; it may be outside of it."""
    used: slice
    """The part of the tile that is used; the rest is trimmed, or lies beyond the area."""
    weight: Float32[np.ndarray, "K"]
    """Above 0, for each used pixel."""

    @property
    def target(self) -> slice:
        """The place of the used part in the area."""
        return slice(self.start + self.used.start, self.start + self.used.stop)


def lay_out(length: int, side: int) -> list[Strip]:
    """Cover an axis that frames show from end to end, but not beyond.

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
    starts = [*range(0, length - side, step_of(side)), length - side + (length - side) % 2]
    strips = []
    for start in starts:
        weight = np.ones(side)
        if start > 0:
            weight *= _rising(side)
        if start + side < length:
            weight *= _rising(side)[::-1]
        strips.append(_strip(start, weight[: length - start]))
    return strips


def inner_strip(start: int, side: int) -> Strip:
    """Make one axis of a tile that has neighbors on both sides: trim and ramp at both ends.

    Args:
        start: where the tile begins in the area.
        side: of the tile, in pixels.

    Returns:
        The strip.
    """
    return _strip(start, _rising(side) * _rising(side)[::-1])


def step_of(side: int) -> int:
    """Return the distance of neighboring tiles: 960 m for those of 1.28 km.

    Args:
        side: of a tile, in pixels.

    Returns:
        Pixels.
    """
    return side - 2 * (side // 8)


def fitting_side(length: int, side: int) -> int:
    """Return the side of tiles along an axis.

    Args:
        length: of the axis, in pixels.
        side: of a tile of the config.

    Returns:
        That side; along a shorter axis the next multiple of 16.
    """
    return min(side, -(-length // PIXELS_PER_SPACE_CELL) * PIXELS_PER_SPACE_CELL)


def _rising(side: int) -> Float64[np.ndarray, "L"]:
    trim, ramp = side // 16, side // 8
    return np.concatenate([np.zeros(trim), (np.arange(ramp) + 0.5) / ramp, np.ones(side - trim - ramp)])


def _strip(start: int, weight: Float64[np.ndarray, "L"]) -> Strip:
    inside = np.flatnonzero(weight)
    used = slice(int(inside[0]), int(inside[-1]) + 1)
    return Strip(start, used, weight[used].astype(np.float32))
