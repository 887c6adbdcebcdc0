"""One year of weather at a site, day by day: what makes its frames differ from the normals and from other years'."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64
from scipy.signal import lfilter

from aef_jax.data.synthetic.world.climate import YEAR_DAYS, Climate
from aef_jax.data.synthetic.world.noise import sigmoid

DAYS = 366
"""From 1 January; the last is of leap years only."""
SPIN_UP = 120
"""Days of weather before the year, for the snow that lies and the water that is stored on its first day."""

Daily = Float64[np.ndarray, "366"]


@dataclass(frozen=True)
class Weather:
    """What the site's mean elevation sees, on each day of the year."""

    temperature: Daily
    """Mean of the day, in degrees Celsius."""
    rain: Daily
    """Millimetres, snow included."""
    moisture: Daily
    """Of the topsoil: 0 dry, 1 soaked."""
    snow: Daily
    """Millimetres of water that lie as snow."""
    storage: Daily
    """Water in the ground, as a departure from its mean in millimetres."""
    cloudiness: Daily
    """Expected share of the sky that is clouded."""
    delay: float
    """Days by which the plants' year runs late."""
    vigour: float
    """How green the year is, about 1."""


def draw_weather(rng: np.random.Generator, climate: Climate) -> Weather:
    day = np.arange(-SPIN_UP, DAYS) % YEAR_DAYS
    anomaly = _remembered(rng.normal(0, 1.8, len(day)), 0.8) + rng.normal(0, 0.8)
    temperature = climate.temperature[day] + anomaly
    mean_rain = climate.rain[day] * rng.lognormal(0, 0.15)
    often = (0.12 + 0.06 * mean_rain).clip(0.03, 0.7)
    rain = (rng.random(len(day)) < often) * rng.gamma(0.8, 1, len(day)) / 0.8 * mean_rain / often
    moisture = _remembered(rain / 12, 0.85)
    snow = _snow_pack(temperature, rain)
    storage = _remembered(rain - mean_rain.mean(), 0.985)
    cloudiness = (0.18 + 0.55 * (mean_rain / (mean_rain + 2.5)) + rng.normal(0, 0.04)).clip(0.08, 0.85)
    drought = rng.normal(0, 1)
    year = slice(SPIN_UP, None)
    return Weather(
        temperature[year],
        rain[year],
        (moisture / (0.35 + moisture))[year],
        snow[year],
        storage[year],
        cloudiness[year],
        delay=float(rng.normal(0, 7)),
        vigour=float(1 - 0.06 * abs(drought) * (drought > 0)),
    )


def _remembered(values: Float64[np.ndarray, "N"], share: float) -> Float64[np.ndarray, "N"]:
    """Each day's value and, of the day before's sum, a share."""
    return np.asarray(lfilter([1], [1, -share], values))


def _snow_pack(temperature: Float64[np.ndarray, "N"], rain: Float64[np.ndarray, "N"]) -> Float64[np.ndarray, "N"]:
    falls = rain * sigmoid(-(temperature - 0.5) / 0.7)
    melts = 3.5 * temperature.clip(0)
    pack, packs = 0.0, np.zeros_like(rain)
    for day, (gain, loss) in enumerate(zip(falls, melts, strict=True)):
        pack = max(pack + gain - loss, 0.0)
        packs[day] = pack
    return packs
