"""Draw one year of daily weather, by which frames differ from the climate's normals and from other years."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64
from scipy.signal import lfilter

from aef_jax.data.synthetic.world.climate import YEAR_DAYS, Climate
from aef_jax.data.synthetic.world.noise import sigmoid

DAYS = 366
"""Number of days from 1 January; the last one exists in leap years only."""
SPIN_UP = 120
"""Number of days before the year, so that its first day has snow and stored water."""

Daily = Float64[np.ndarray, "366"]


@dataclass(frozen=True)
class Weather:
    """Weather at the site's mean elevation on each day of the year."""

    temperature: Daily
    """Daily mean in degrees Celsius."""
    rain: Daily
    """Millimeters, snow included."""
    moisture: Daily
    """Of the topsoil, from 0 (dry) to 1 (soaked)."""
    snow: Daily
    """Snow on the ground, in millimeters of water."""
    storage: Daily
    """Water in the ground relative to its mean, in millimeters."""
    cloudiness: Daily
    """Expected share of the sky under cloud."""
    delay: float
    """Days by which the plants' year is late."""
    vigor: float
    """Factor on greenness in this year, about 1."""


def draw_weather(rng: np.random.Generator, climate: Climate) -> Weather:
    """Draw the weather of a year.

    Args:
        rng: random numbers.
        climate: of the site.

    Returns:
        The weather.
    """
    day = np.arange(-SPIN_UP, DAYS) % YEAR_DAYS
    anomaly = _accumulate(rng.normal(0, 1.8, len(day)), 0.8) + rng.normal(0, 0.8)
    temperature = climate.temperature[day] + anomaly
    mean_rain = climate.rain[day] * rng.lognormal(0, 0.15)
    chance = (0.12 + 0.06 * mean_rain).clip(0.03, 0.7)
    rain = (rng.random(len(day)) < chance) * rng.gamma(0.8, 1, len(day)) / 0.8 * mean_rain / chance
    moisture = _accumulate(rain / 12, 0.85)
    snow = _snow_pack(temperature, rain)
    storage = _accumulate(rain - mean_rain.mean(), 0.985)
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
        vigor=float(1 - 0.06 * abs(drought) * (drought > 0)),
    )


def _accumulate(values: Float64[np.ndarray, "N"], share: float) -> Float64[np.ndarray, "N"]:
    """Add to each day's value a share of the previous day's sum."""
    return np.asarray(lfilter([1], [1, -share], values))


def _snow_pack(temperature: Float64[np.ndarray, "N"], rain: Float64[np.ndarray, "N"]) -> Float64[np.ndarray, "N"]:
    falls = rain * sigmoid(-(temperature - 0.5) / 0.7)
    melts = 3.5 * temperature.clip(0)
    pack, packs = 0.0, np.zeros_like(rain)
    for day, (gain, loss) in enumerate(zip(falls, melts, strict=True)):
        pack = max(pack + gain - loss, 0.0)
        packs[day] = pack
    return packs
