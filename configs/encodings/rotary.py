"""Angles of two-dimensional rotary positions for the space operator (ours; the paper says "ViT-like").

Rotary attention depends on distances only, so the same weights work for any tile side.
"""

import numpy as np
from jaxtyping import Float

_SLOWEST = 100.0
"""The slowest pair rotates this many times slower than 1 radian per cell. Tiles of up to about 300 cells are unique."""


def grid_angles(height: int, width: int, head_width: int) -> Float[np.ndarray, "N A"]:
    """Compute the rotary angles of the cells of a grid.

    Args:
        height: rows of the grid.
        width: columns of the grid.
        head_width: channels of an attention head, a multiple of 4.

    Returns:
        Angles in radians, float64, row by row: N = height * width, A = head_width / 2. The first half of the A pairs
        rotates with the row, the second half with the column.
    """
    frequencies = _SLOWEST ** -np.linspace(0, 1, head_width // 4)
    row, column = np.meshgrid(np.arange(height), np.arange(width), indexing="ij")
    return np.concatenate([row.reshape(-1, 1) * frequencies, column.reshape(-1, 1) * frequencies], axis=1)
