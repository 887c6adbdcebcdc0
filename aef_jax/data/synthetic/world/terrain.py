"""Draw hills and the water between them."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float32

from aef_jax.data.synthetic.world.noise import fractal

PIXEL_M = 10.0

Map = Float32[np.ndarray, "H W"]


@dataclass(frozen=True)
class Terrain:
    """The shape of the ground, and its permanent water."""

    elevation: Map
    """Meters above sea level."""
    slope: Map
    """Radians."""
    aspect: Map
    """Direction that the slope faces, in radians clockwise from north."""
    above_water: Map
    """Meters above the mean level of rivers and lakes, or above the lowest ground if the site has none."""
    water: Bool[np.ndarray, "H W"]
    """True on rivers and lakes."""

    def facing(self, azimuth: float, zenith: float) -> Map:
        """Compute the cosine of the angle between the ground's normal and a direction.

        Args:
            azimuth: of the direction, in radians clockwise from north.
            zenith: of the direction, in radians.

        Returns:
            The cosine at each pixel.
        """
        tilted = np.sin(self.slope) * np.cos(azimuth - self.aspect)
        return np.cos(zenith) * np.cos(self.slope) + np.sin(zenith) * tilted


def draw_terrain(rng: np.random.Generator, shape: tuple[int, int], mean: float, relief: float) -> Terrain:
    """Draw the terrain of a site. A valley is carved along the river, so that rivers lie in valleys.

    Args:
        rng: random numbers.
        shape: height and width in pixels.
        mean: elevation in meters.
        relief: from valley to hill, in meters.

    Returns:
        The terrain.
    """
    hills = relief * rng.lognormal(0, 0.35) * 0.5 * fractal(rng, shape, wavelength=110, slope=5.5)
    river = _winding_line(rng, shape) if rng.random() < 0.5 else np.full(shape, np.inf, np.float32)
    width = rng.uniform(0.8, 4)  # half of the width, in pixels
    valley = 25 * rng.lognormal(0, 0.3)
    low = 0.35 * relief + 4
    ground = hills - low * np.exp(-((river / valley) ** 2)) + 0.01 * relief * fractal(rng, shape, 20, slope=4)
    lakes = ground < np.quantile(ground, rng.uniform(0.02, 0.14)) if rng.random() < 0.3 else np.zeros(shape, bool)
    water = (river < width) | lakes
    ground = np.where(lakes, ground[lakes].max() if lakes.any() else 0, ground)
    surface = ground[water].mean() if water.any() else ground.min()
    elevation = (mean + ground - ground.mean()).clip(1).astype(np.float32)
    south, east = np.gradient(elevation, PIXEL_M)
    return Terrain(
        elevation,
        np.arctan(np.hypot(south, east)).astype(np.float32),
        np.arctan2(-east, south).astype(np.float32),
        (ground - surface).clip(0).astype(np.float32),
        water,
    )


def _winding_line(rng: np.random.Generator, shape: tuple[int, int]) -> Map:
    """Return the distance in pixels from a line across the site, which is a contour of a tilted smooth field."""
    angle, tilt = rng.uniform(0, 2 * np.pi), 0.035
    rows, columns = np.indices(shape, np.float32)
    rows, columns = rows - rng.uniform(0.25, 0.75) * shape[0], columns - rng.uniform(0.25, 0.75) * shape[1]
    field = tilt * (rows * np.cos(angle) + columns * np.sin(angle)) + 0.6 * fractal(rng, shape, 70, slope=4.5)
    return (np.abs(field) / np.hypot(*np.gradient(field)).clip(tilt / 3)).astype(np.float32)
