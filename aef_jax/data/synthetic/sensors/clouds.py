"""Clouds over a site at one instant: how opaque they are, and where their shadows fall."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32
from scipy.special import ndtri

from aef_jax.data.synthetic.world.noise import fractal

TILE_SPREAD, PIXEL_SPREAD = 1.2, 0.7
"""A site is small beside weather: mostly it is wholly clear or wholly clouded."""


@dataclass(frozen=True)
class Clouds:
    """Maps on the site with its margin, 0 to 1."""

    opacity: Float32[np.ndarray, "h w"]
    shadow: Float32[np.ndarray, "h w"]


def draw_clouds(
    rng: np.random.Generator, shape: tuple[int, int], cloudiness: float, sun: tuple[float, float]
) -> Clouds | None:
    """None where the sky is clear. `cloudiness` is the expected share of the sky; `sun` its zenith and azimuth."""
    threshold = ndtri(1 - cloudiness) * np.hypot(TILE_SPREAD, PIXEL_SPREAD)
    level = TILE_SPREAD * rng.standard_normal()
    size = rng.uniform(8, 25)
    base_m = rng.uniform(300, 1500)
    if level + 3.5 * PIXEL_SPREAD < threshold:
        return None
    # at 20 m, and seen through four neighbours: clouds have no sharp edge
    coarse = fractal(rng, (shape[0] // 2 + 2, shape[1] // 2 + 2), size, slope=3.2)
    field = np.repeat(np.repeat(coarse, 2, 0), 2, 1)
    field = (field[:-1] + field[1:]) / 2
    field = (field[:, :-1] + field[:, 1:]) / 2
    opacity = ((level + PIXEL_SPREAD * field - threshold) / 0.6).clip(0, 1)
    zenith, azimuth = sun
    reach = base_m * np.tan(min(zenith, 1.2)) / 10
    # the shadow falls away from the sun; beyond the edge the same sky goes on, as the field meets itself
    moved = np.roll(opacity, (int(reach * np.cos(azimuth)), int(-reach * np.sin(azimuth))), (0, 1))
    here = slice(0, shape[0]), slice(0, shape[1])
    return Clouds(opacity[here], (moved * (1 - opacity))[here])
