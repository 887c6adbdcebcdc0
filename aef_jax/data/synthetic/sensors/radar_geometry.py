"""From where a radar looks at a site, what the angle does to its signal, and speckle."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, Int64
from scipy.ndimage import convolve1d

from aef_jax.data.synthetic.world.orbits import Calendar, SwathEdge, draw_swath_edge, passes
from aef_jax.data.synthetic.world.terrain import Terrain

LOOKS = 4.4
"""Equivalent number of independent looks in a pixel of Sentinel-1 (GRD, IW)."""
SPREAD = 0.22
"""Weight of either neighbour in a speckled pixel, beside 1 for itself: resolution is coarser than the pixels."""
DEGREES_PER_PIXEL = 0.0007
"""By which the incidence angle grows away from the radar."""


@dataclass(frozen=True)
class Pass:
    """A relative orbit from which a radar sees the site."""

    times_ms: Int64[np.ndarray, "N"]
    ascending: bool
    left: bool
    """It looks to the left of its flight, not to the right."""
    heading: float
    """Degrees clockwise from north, of the flight."""
    angle: float
    """Degrees from the vertical, at the site's centre."""
    edge: SwathEdge | None

    @property
    def look(self) -> float:
        """Azimuth in radians towards which it looks."""
        return float(np.deg2rad(self.heading + (-90 if self.left else 90)))

    def incidence(self, side: int, error: float) -> Float32[np.ndarray, "H W"]:
        """Degrees; `error` is that of one scene's orbit."""
        rows, columns = np.indices((side, side)) - (side - 1) / 2
        away = columns * np.sin(self.look) - rows * np.cos(self.look)
        return (self.angle + error + DEGREES_PER_PIXEL * away).astype(np.float32)

    def slant(self, terrain: Terrain) -> Float32[np.ndarray, "h w"]:
        """Factor on power: less at a flat angle, more from slopes that face the radar."""
        zenith = np.deg2rad(self.angle)
        tilt = (self.facing(terrain) / np.cos(zenith)).clip(0.3, 2.5) ** 1.5
        return (tilt * 10 ** (-0.012 * (self.angle - 38))).astype(np.float32)

    def facing(self, terrain: Terrain) -> Float32[np.ndarray, "h w"]:
        """Cosine of the local incidence angle."""
        return terrain.facing(self.look + np.pi, np.deg2rad(self.angle))


def draw_pass(
    rng: np.random.Generator,
    calendar: Calendar,
    place: tuple[float, float],
    side: int,
    ascending: bool,
    every: int,
    hour: float,
    edged: float,
    left: bool = False,
) -> Pass:
    """A pass over `place`, its latitude and longitude.

    `hour` is local solar time, `every` how many days lie between two scenes, `edged` how likely the swath ends
    within the site.
    """
    latitude, longitude = place
    # orbits that cross the equator at 98 degrees lean more towards the poles
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
    """Factor on power of mean 1: gamma of `LOOKS` looks, slightly alike at neighbouring pixels."""
    weights = np.array([SPREAD, 1, SPREAD], np.float32)
    weights /= weights.sum()
    single = LOOKS * (weights**2).sum() ** 2  # averaging brings it to LOOKS
    noise = rng.standard_gamma(single, (shape[0] + 2, shape[1] + 2), np.float32) / np.float32(single)
    for axis in (0, 1):
        noise = convolve1d(noise, weights, axis)
    return noise[1:-1, 1:-1]
