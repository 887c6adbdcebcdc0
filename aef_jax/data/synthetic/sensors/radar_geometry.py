"""Draw the direction from which a radar sees a site, and speckle; compute the effect of the angle on the signal."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, Int64
from scipy.ndimage import convolve1d

from aef_jax.data.synthetic.world.orbits import Calendar, SwathEdge, draw_swath_edge, passes
from aef_jax.data.synthetic.world.terrain import Terrain

LOOKS = 4.4
"""Equivalent number of independent looks in a pixel of Sentinel-1 (GRD, IW)."""
SPREAD = 0.22
"""Weight of each neighbor in a speckled pixel, relative to 1 for the pixel: resolution is coarser than the pixels."""
DEGREES_PER_PIXEL = 0.0007
"""Growth of the incidence angle with distance from the radar."""


@dataclass(frozen=True)
class Pass:
    """A relative orbit from which a radar sees the site."""

    times_ms: Int64[np.ndarray, "N"]
    ascending: bool
    left: bool
    """Whether the radar looks to the left of its flight instead of the right."""
    heading: float
    """Direction of flight, in degrees clockwise from north."""
    angle: float
    """Incidence angle at the site's center, in degrees from the vertical."""
    edge: SwathEdge | None

    @property
    def look(self) -> float:
        """Azimuth in which the radar looks, in radians."""
        return float(np.deg2rad(self.heading + (-90 if self.left else 90)))

    def incidence(self, side: int, error: float) -> Float32[np.ndarray, "H W"]:
        """Compute the incidence angle at each pixel.

        Args:
            side: pixels along each side of the site.
            error: of the scene's orbit, in degrees.

        Returns:
            Degrees.
        """
        rows, columns = np.indices((side, side)) - (side - 1) / 2
        away = columns * np.sin(self.look) - rows * np.cos(self.look)
        return (self.angle + error + DEGREES_PER_PIXEL * away).astype(np.float32)

    def slant(self, terrain: Terrain) -> Float32[np.ndarray, "h w"]:
        """Compute the factor on power, which is lower at flat angles and higher on slopes that face the radar.

        Args:
            terrain: of the site.

        Returns:
            The factor at each pixel.
        """
        zenith = np.deg2rad(self.angle)
        tilt = (self.facing(terrain) / np.cos(zenith)).clip(0.3, 2.5) ** 1.5
        return (tilt * 10 ** (-0.012 * (self.angle - 38))).astype(np.float32)

    def facing(self, terrain: Terrain) -> Float32[np.ndarray, "h w"]:
        """Compute the cosine of the local incidence angle.

        Args:
            terrain: of the site.

        Returns:
            The cosine at each pixel.
        """
        return terrain.facing(self.look + np.pi, np.deg2rad(self.angle))


def draw_pass(
    rng: np.random.Generator,
    calendar: Calendar,
    location: tuple[float, float],
    side: int,
    ascending: bool,
    every: int,
    hour: float,
    edged: float,
    left: bool = False,
) -> Pass:
    """Draw a relative orbit that sees a site.

    Args:
        rng: random numbers.
        calendar: of the year.
        location: latitude and longitude in degrees.
        side: pixels along each side of the site.
        ascending: direction of flight.
        every: days between two scenes.
        hour: local solar time.
        edged: probability that the swath ends within the site.
        left: look direction.

    Returns:
        The pass.
    """
    latitude, longitude = location
    # orbits with an inclination of 98 degrees lean more near the poles
    lean = np.rad2deg(np.arcsin(min(0.15 / max(np.cos(np.deg2rad(latitude)), 0.2), 0.9)))
    return Pass(
        passes(rng, calendar, longitude, every, hour + rng.uniform(-0.3, 0.3), int(rng.integers(every))),
        ascending,
        left,
        float((360 - lean if ascending else 180 + lean) + rng.normal(0, 0.5)),
        float(rng.uniform(30.5, 45.5)),
        draw_swath_edge(rng, side, edged),
    )


def speckle(rng: np.random.Generator, shape: tuple[int, int]) -> Float32[np.ndarray, "H W"]:
    """Draw speckle: gamma noise of `LOOKS` looks with mean 1, slightly correlated between neighboring pixels.

    Args:
        rng: random numbers.
        shape: height and width in pixels.

    Returns:
        Factors on power.
    """
    weights = np.array([SPREAD, 1, SPREAD], np.float32)
    weights /= weights.sum()
    single = LOOKS * (weights**2).sum() ** 2  # averaging over neighbors raises it to LOOKS
    noise = rng.standard_gamma(single, (shape[0] + 2, shape[1] + 2), np.float32) / np.float32(single)
    for axis in (0, 1):
        noise = convolve1d(noise, weights, axis)
    return noise[1:-1, 1:-1]
