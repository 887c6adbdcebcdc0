"""Simulate what an optical sensor sees above the atmosphere: ground, sun, air and clouds."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, Int64

from aef_jax.data.synthetic.sensors.clouds import Clouds, draw_clouds
from aef_jax.data.synthetic.sensors.spectra import Spectra
from aef_jax.data.synthetic.world.noise import blend
from aef_jax.data.synthetic.world.orbits import Calendar, SwathEdge, draw_swath_edge, passes, solar_hour, sun_angles
from aef_jax.data.synthetic.world.surface import State, Surface

LOWEST_SUN = np.deg2rad(82)
"""Largest zenith angle of the sun at which scenes are taken."""
PATH_REFLECTANCE = np.array([0.070, 0.042, 0.023, 0.009, 0.003], np.float32)[:, None, None]
"""Reflectance of clean air over black ground."""
TRANSMITTANCE = np.array([0.84, 0.88, 0.92, 0.95, 0.96], np.float32)[:, None, None]
"""Share of the light that passes the air."""
HAZE = np.array([0.060, 0.050, 0.042, 0.030, 0.012], np.float32)[:, None, None]
CLOUD = np.array([0.68, 0.66, 0.65, 0.66, 0.48], np.float32)[:, None, None]


@dataclass(frozen=True)
class Track:
    """A relative orbit from which a sensor sees the site, always at the same view angle."""

    times_ms: Int64[np.ndarray, "N"]
    brightness: float
    """Effect of the view angle on reflectance (forward or backward scattering), as a factor."""
    edge: SwathEdge | None


@dataclass(frozen=True)
class View:
    """The light from the site with its margin that reaches the sensor."""

    reflectance: Float32[np.ndarray, "5 h w"]
    clouds: Clouds | None
    state: State


class Sky:
    """Light and air over a site, common to both optical sensors.

    Args:
        rng: random numbers.
        surface: of the site.
        spectra: of the site.
        calendar: of the year.
    """

    def __init__(self, rng: np.random.Generator, surface: Surface, spectra: Spectra, calendar: Calendar):
        self.rng, self.surface, self.spectra, self.calendar = rng, surface, spectra, calendar
        self.aerosol = rng.lognormal(0, 0.3)
        self.tint = np.exp(rng.normal(0, 0.04, (5, 1, 1))).astype(np.float32)

    def view(self, time_ms: int, track: Track) -> View | None:
        """Simulate one view of the site.

        Args:
            time_ms: of the view, in milliseconds.
            track: that the sensor is on.

        Returns:
            The view, or None if the sun is too low.
        """
        rng, climate, day = self.rng, self.surface.climate, self.calendar.day(time_ms)
        light = sun_angles(climate.latitude, day, solar_hour(time_ms, climate.longitude))
        if light[0] > LOWEST_SUN:
            return None
        state = self.surface.on(day)
        lit = (self.surface.ground.terrain.facing(light[1], light[0]) / np.cos(light[0])).clip(0.3, 1.8)
        lit = (0.35 + 0.65 * lit).astype(np.float32)
        air = np.float32(self.aerosol * rng.lognormal(0, 0.25) / np.cos(min(light[0], 1.2)) ** 0.5)
        seen = self._ground(state) * (self.tint * TRANSMITTANCE * np.float32(track.brightness) * lit)
        seen += PATH_REFLECTANCE * air + HAZE * np.float32(rng.exponential(0.25))
        clouds = draw_clouds(rng, lit.shape, float(self.surface.weather.cloudiness[day]), light)
        if clouds is not None:
            seen *= 1 - 0.6 * clouds.shadow
            seen = blend(clouds.opacity, CLOUD * np.float32(rng.uniform(0.75, 1.2)), seen)
        return View(seen, clouds, state)

    def _ground(self, state: State) -> Float32[np.ndarray, "5 h w"]:
        spectra = self.spectra
        bare = spectra.background * np.float32(1 - 0.4 * state.moisture)
        seen = blend(state.green, spectra.leaves, bare)
        seen = blend(state.flooded * (1 - 0.75 * state.green), spectra.water, seen)
        white = spectra.snow if state.temperature < 0 else blend(np.float32(0.6), spectra.snow, spectra.ice)
        return blend(state.snow, white, seen)


def draw_track(
    rng: np.random.Generator, sky: Sky, side: int, every: int, hour: float, first: int, edged: float
) -> Track:
    """Draw a relative orbit of an optical sensor.

    Args:
        rng: random numbers.
        sky: over the site.
        side: pixels along each side of the site.
        every: days between two passes.
        hour: local solar time.
        first: day of the first pass.
        edged: probability that the swath ends within the site.

    Returns:
        The track.
    """
    times = passes(rng, sky.calendar, sky.surface.climate.longitude, every, hour, first)
    return Track(times, float(np.exp(rng.normal(0, 0.05))), draw_swath_edge(rng, side, edged))
