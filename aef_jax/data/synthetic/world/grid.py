"""Define the site's grid and the margin that sensors also see, and resample coarser pixels to 10 m."""

import numpy as np
from jaxtyping import Float, Float32

MARGIN = 6
"""Pixels by which maps extend beyond each side of the site, for shifted and for coarse pixels."""


def canvas(side: int) -> tuple[int, int]:
    """Return the shape of a site's maps, margin included.

    Args:
        side: pixels along each side of the site.

    Returns:
        Height and width.
    """
    return side + 2 * MARGIN, side + 2 * MARGIN


def inner(maps: Float[np.ndarray, "*N h w"]) -> Float[np.ndarray, "*N H W"]:
    """Remove the margin.

    Args:
        maps: with the margin.

    Returns:
        The site itself.
    """
    return maps[..., MARGIN:-MARGIN, MARGIN:-MARGIN]


def resampling_matrix(
    side: int, cell: float = 1.0, phase: float = 0.0, shift: float = 0.0
) -> Float32[np.ndarray, "H h"]:
    """Make the matrix that averages one axis to a sensor's pixels and interpolates them to 10 m linearly.

    Args:
        side: pixels along each side of the site.
        cell: size of the sensor's pixels, in pixels of 10 m.
        phase: start of the sensor's grid, in pixels of 10 m.
        shift: misregistration of the sensor, in pixels of 10 m.

    Returns:
        The matrix, from pixels of the canvas to pixels of the site.
    """
    size = side + 2 * MARGIN
    starts = np.arange(phase - cell, size, cell)[:, None]
    pixel = np.arange(size)
    overlap = (np.minimum(starts + cell, pixel + 1) - np.maximum(starts, pixel)).clip(0)
    area = overlap.sum(1)
    averaged = overlap / np.maximum(area, 1e-9)[:, None]
    position = (MARGIN + np.arange(side) + 0.5 + shift - starts[0]) / cell - 0.5
    first = np.floor(position).astype(int).clip(0, len(starts) - 2)
    weight = (position - first)[:, None].clip(0, 1)
    # a cell outside the canvas has no data, so its neighbor takes its place
    low, high = averaged[first], averaged[first + 1]
    low, high = np.where(area[first, None] > 0, low, high), np.where(area[first + 1, None] > 0, high, low)
    return (low * (1 - weight) + high * weight).astype(np.float32)


def resample(
    maps: Float32[np.ndarray, "*N h w"], rows: Float32[np.ndarray, "H h"], columns: Float32[np.ndarray, "W w"]
) -> Float32[np.ndarray, "*N H W"]:
    """Resample maps to what a sensor sees of the site.

    Args:
        maps: with the margin.
        rows: matrix of the vertical axis, by `resampling_matrix`.
        columns: matrix of the horizontal axis.

    Returns:
        Maps of the site, at 10 m.
    """
    return rows @ maps @ columns.T
