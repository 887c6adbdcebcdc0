"""Where a pixel lies in its tile, as the angles of a two-dimensional rotary position (ours; the paper says "ViT-like").

Rotary angles depend on distances only, so that any tile side works with the same weights.
"""

import numpy as np
from jaxtyping import Float

_SLOWEST = 100.0
"""The slowest pair turns this much slower than 1 radian per cell: tiles of up to some 300 cells stay unambiguous."""


def grid_angles(height: int, width: int, head_width: int) -> Float[np.ndarray, "N A"]:
    """Angles in radians for the cells of a grid, row by row: N = height * width, A = head_width / 2.

    The first half of the A pairs turns with the row, the second with the column. Float64.
    """
    frequencies = _SLOWEST ** -np.linspace(0, 1, head_width // 4)
    row, column = np.meshgrid(np.arange(height), np.arange(width), indexing="ij")
    return np.concatenate([row.reshape(-1, 1) * frequencies, column.reshape(-1, 1) * frequencies], axis=1)
