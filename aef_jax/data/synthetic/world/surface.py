"""Compute the state of a site's ground on a day, which both optical and radar sensors see."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32

from aef_jax.data.synthetic.world.climate import YEAR_DAYS, Climate
from aef_jax.data.synthetic.world.ground import Ground
from aef_jax.data.synthetic.world.legend import Cover
from aef_jax.data.synthetic.world.noise import fractal, sigmoid
from aef_jax.data.synthetic.world.phenology import greenness, inundation
from aef_jax.data.synthetic.world.weather import Weather

Map = Float32[np.ndarray, "h w"]

SNOW_HIDDEN = {Cover.EVERGREEN_FOREST: 0.85, Cover.DECIDUOUS_FOREST: 0.5, Cover.SHRUB: 0.35, Cover.BUILT_UP: 0.3}
"""Share of the snow on the ground that plants (at full density) and houses hide."""


@dataclass(frozen=True)
class State:
    """Maps in [0, 1] of the site with its margin, and the weather of the day."""

    green: Map
    """Share of the ground hidden by green plants."""
    leaf: Map
    """Greenness of plants relative to their greenest state, regardless of their density."""
    flooded: Map
    snow: Map
    """Share of the ground that looks white."""
    temperature: float
    """Degrees Celsius at the mean elevation."""
    moisture: float
    """Of the topsoil, from 0 (dry) to 1 (soaked)."""
    wet_snow: float
    """1 if snow on the ground melts, 0 if it is frozen."""


class Surface:
    """A site's ground over one year.

    Args:
        rng: random numbers.
        climate: of the site.
        ground: of the site.
        weather: of the year.
    """

    def __init__(self, rng: np.random.Generator, climate: Climate, ground: Ground, weather: Weather):
        self.climate, self.ground, self.weather = climate, ground, weather
        self.kind = ground.kind
        self.row = self.kind * YEAR_DAYS
        self.greenness = greenness(climate).astype(np.float32).ravel()
        self.inundation = inundation(climate).astype(np.float32).ravel()
        self.level = 0.5 + 0.22 * fractal(rng, self.kind.shape, 20)
        """Water level at which a pixel of wetland is flooded."""
        hidden = np.array([SNOW_HIDDEN.get(cover, 0.0) for cover in Cover], np.float32)[ground.landcover]
        self.open_to_snow = 1 - hidden * np.where(ground.landcover == Cover.BUILT_UP, 1, ground.density)
        self.perennial = ground.landcover == Cover.SNOW_ICE
        self.water = ground.landcover == Cover.WATER
        self.wetland = ground.landcover == Cover.WETLAND

    def on(self, day: int) -> State:
        """Compute the state on a day.

        Args:
            day: of the year; 0 is 1 January.

        Returns:
            The state.
        """
        weather = self.weather
        late = day - weather.delay - self.ground.lag
        cell = self.row + np.floor(late).astype(np.int64) % YEAR_DAYS
        leaf = self.greenness[cell] * np.float32(weather.vigor)
        level = self.inundation[cell]
        flooded = np.where(self.wetland, sigmoid((level - self.level) / 0.06), level).astype(np.float32)
        temperature = float(weather.temperature[day])
        snow_water = weather.snow[day]
        white = self.open_to_snow * np.float32(1 - np.exp(-snow_water / 10))
        # snow stays on a lake only once it is frozen; perennial ice shows when the snow on it melts
        frozen = float(sigmoid(-(np.mean(weather.temperature[max(day - 20, 0) : day + 1]) + 3)))
        white = np.where(self.water, white * frozen, white)
        white = np.where(self.perennial, 0.75 + 0.25 * white, white).astype(np.float32)
        return State(
            leaf * self.ground.density,
            leaf,
            flooded,
            white,
            temperature,
            float(weather.moisture[day]),
            wet_snow=float(sigmoid(temperature / 0.8)) if snow_water > 1 or self.perennial.any() else 0.0,
        )
