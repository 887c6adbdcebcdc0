"""The state of a site's ground on a day: what optical and radar sensors see alike."""

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
"""Share of lying snow that plants (at full density) and houses keep from view."""


@dataclass(frozen=True)
class State:
    """Maps on the site with its margin, 0 to 1, and the weather of the day."""

    green: Map
    """Share of the ground hidden by green plants."""
    leaf: Map
    """How green plants are beside their best, however dense they stand."""
    flooded: Map
    snow: Map
    """Share of the ground that is seen white."""
    temperature: float
    """Degrees Celsius, at the mean elevation."""
    moisture: float
    """Of the topsoil."""
    wet_snow: float
    """1 where lying snow melts."""


class Surface:
    """A site's ground through one year."""

    def __init__(self, rng: np.random.Generator, climate: Climate, ground: Ground, weather: Weather):
        self.climate, self.ground, self.weather = climate, ground, weather
        self.kind = ground.kind
        self.row = self.kind * YEAR_DAYS
        self.greenness = greenness(climate).astype(np.float32).ravel()
        self.inundation = inundation(climate).astype(np.float32).ravel()
        self.level = 0.5 + 0.22 * fractal(rng, self.kind.shape, 20)
        """How high the water must stand to flood a pixel of wetland."""
        hidden = np.array([SNOW_HIDDEN.get(cover, 0.0) for cover in Cover], np.float32)[ground.landcover]
        self.open_to_snow = 1 - hidden * np.where(ground.landcover == Cover.BUILT_UP, 1, ground.density)
        self.perennial = ground.landcover == Cover.SNOW_ICE
        self.water = ground.landcover == Cover.WATER
        self.wetland = ground.landcover == Cover.WETLAND

    def on(self, day: int) -> State:
        """Day 0 is 1 January."""
        weather = self.weather
        late = day - weather.delay - self.ground.lag
        cell = self.row + np.floor(late).astype(np.int64) % YEAR_DAYS
        leaf = self.greenness[cell] * np.float32(weather.vigour)
        stands = self.inundation[cell]
        flooded = np.where(self.wetland, sigmoid((stands - self.level) / 0.06), stands).astype(np.float32)
        temperature = float(weather.temperature[day])
        lying = weather.snow[day]
        white = self.open_to_snow * np.float32(1 - np.exp(-lying / 10))
        # a lake carries snow once it is frozen; ice that lies all year shows when the snow on it melts
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
            wet_snow=float(sigmoid(temperature / 0.8)) if lying > 1 or self.perennial.any() else 0.0,
        )
