"""The site's grid, the margin around it that sensors see too, and how coarser pixels are brought to 10 m."""

import numpy as np
from jaxtyping import Float, Float32

MARGIN = 6
"""Pixels on each side that maps extend beyond the site, for shifted and for coarse pixels."""


def canvas(side: int) -> tuple[int, int]:
    """Height and width of the maps of a site with its margin."""
    return side + 2 * MARGIN, side + 2 * MARGIN


def inner(maps: Float[np.ndarray, "*N h w"]) -> Float[np.ndarray, "*N H W"]:
    """The site itself."""
    return maps[..., MARGIN:-MARGIN, MARGIN:-MARGIN]


def resampling(side: int, cell: float = 1.0, phase: float = 0.0, shift: float = 0.0) -> Float32[np.ndarray, "H h"]:
    """What a sensor with pixels of `cell` times 10 m makes of one axis, brought to 10 m bilinearly.

    `phase` is where its grid begins, `shift` how far it is misregistered, both in pixels of 10 m.
    """
    size = side + 2 * MARGIN
    starts = np.arange(phase - cell, size, cell)[:, None]
    pixel = np.arange(size)
    overlap = (np.minimum(starts + cell, pixel + 1) - np.maximum(starts, pixel)).clip(0)
    seen = overlap.sum(1)
    averaged = overlap / np.maximum(seen, 1e-9)[:, None]
    position = (MARGIN + np.arange(side) + 0.5 + shift - starts[0]) / cell - 0.5
    first = np.floor(position).astype(int).clip(0, len(starts) - 2)
    weight = (position - first)[:, None].clip(0, 1)
    # a cell beyond the canvas is not seen at all: its neighbour stands in for it
    low, high = averaged[first], averaged[first + 1]
    low, high = np.where(seen[first, None] > 0, low, high), np.where(seen[first + 1, None] > 0, high, low)
    return (low * (1 - weight) + high * weight).astype(np.float32)


def resampled(
    maps: Float32[np.ndarray, "*N h w"], rows: Float32[np.ndarray, "H h"], columns: Float32[np.ndarray, "W w"]
) -> Float32[np.ndarray, "*N H W"]:
    """Maps with their margin as a sensor sees the site; both matrices from `resampling`."""
    return rows @ maps @ columns.T
