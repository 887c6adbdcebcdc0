"""Derive the other bands of a digital elevation model from its elevation."""

import numpy as np
from jaxtyping import Float

from configs.source import PIXEL_M


def slope_and_aspect(elevation: Float[np.ndarray, "H W"]) -> Float[np.ndarray, "H W 3"]:
    """Compute slope and aspect on a north-up grid of 10 m.

    Args:
        elevation: meters; NaN for no data.

    Returns:
        Slope in radians; sine and cosine of the aspect, the direction that the slope faces, clockwise from north. On
        flat ground they are 0 and 1. NaN beside no data.
    """
    south, east = np.gradient(elevation, PIXEL_M)
    slope, aspect = np.arctan(np.hypot(south, east)), np.arctan2(-east, south)
    return np.stack([slope, np.sin(aspect), np.cos(aspect)], axis=-1)
