"""Draw the clouds over a site at one instant: their opacity and their shadows."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32
from scipy.special import ndtri

from aef_jax.data.synthetic.world.noise import fractal

TILE_SPREAD, PIXEL_SPREAD = 1.2, 0.7
"""Deviations between sites and within one. A site is small compared with weather, so it is mostly clear or mostly
cloudy as a whole."""


@dataclass(frozen=True)
class Clouds:
    """Maps in [0, 1] of the site with its margin."""

    opacity: Float32[np.ndarray, "h w"]
    shadow: Float32[np.ndarray, "h w"]


def draw_clouds(
    rng: np.random.Generator, shape: tuple[int, int], cloudiness: float, sun: tuple[float, float]
) -> Clouds | None:
    """Draw the clouds of one scene.

    Args:
        rng: random numbers.
        shape: height and width in pixels.
        cloudiness: expected share of the sky under cloud.
        sun: zenith and azimuth in radians.

    Returns:
        The clouds, or None if the sky is clear.
    """
    threshold = ndtri(1 - cloudiness) * np.hypot(TILE_SPREAD, PIXEL_SPREAD)
    level = TILE_SPREAD * rng.standard_normal()
    size = rng.uniform(8, 25)
    base_m = rng.uniform(300, 1500)
    if level + 3.5 * PIXEL_SPREAD < threshold:
        return None
    # drawn at 20 m and averaged over four neighbors, because clouds have no sharp edges
    coarse = fractal(rng, (shape[0] // 2 + 2, shape[1] // 2 + 2), size, slope=3.2)
    field = np.repeat(np.repeat(coarse, 2, 0), 2, 1)
    field = (field[:-1] + field[1:]) / 2
    field = (field[:, :-1] + field[:, 1:]) / 2
    opacity = ((level + PIXEL_SPREAD * field - threshold) / 0.6).clip(0, 1)
    zenith, azimuth = sun
    reach = base_m * np.tan(min(zenith, 1.2)) / 10
    # the shadow falls away from the sun; rolling continues the field periodically beyond the edge
    shifted = np.roll(opacity, (int(reach * np.cos(azimuth)), int(-reach * np.sin(azimuth))), (0, 1))
    site = slice(0, shape[0]), slice(0, shape[1])
    return Clouds(opacity[site], (shifted * (1 - opacity))[site])
