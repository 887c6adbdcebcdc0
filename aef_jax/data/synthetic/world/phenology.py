"""Compute how green and how flooded every kind of ground is on each day of a normal year."""

import numpy as np
from jaxtyping import Float64

from aef_jax.data.synthetic.world.climate import YEAR_DAYS, Climate, circular_lag
from aef_jax.data.synthetic.world.legend import ALFALFA, CROPS, NUM_KINDS, RICE, WINTER_WHEAT, Cover, Crop, crop_kind
from aef_jax.data.synthetic.world.noise import sigmoid

REFERENCE_SEASON = 190
"""Length in days of the growing season that the crops' calendar refers to."""
ALFALFA_CUT = 38
"""Days between two cuts of alfalfa."""

Year = Float64[np.ndarray, "365"]


def greenness(climate: Climate) -> Float64[np.ndarray, "K 365"]:
    """Compute the greenness of every kind in a normal year, relative to its greenest state.

    Args:
        climate: of the site.

    Returns:
        Numbers in [0, 1], by kind and day of the year.
    """
    table = np.zeros((NUM_KINDS, YEAR_DAYS))
    growth = circular_lag(climate.growth, days=12)
    table[Cover.BUILT_UP] = 0.2 + 0.8 * growth
    table[Cover.BARE] = growth
    table[Cover.GRASSLAND] = 0.08 + 0.92 * growth**1.3
    table[Cover.SHRUB] = 0.4 + 0.6 * circular_lag(climate.growth, days=45)
    table[Cover.DECIDUOUS_FOREST] = foliage(climate)
    table[Cover.EVERGREEN_FOREST] = 0.88 + 0.12 * growth
    table[Cover.WETLAND] = 0.06 + 0.94 * circular_lag(climate.warmth, days=25)
    start, days = growing_season(climate)
    for index, crop in enumerate(CROPS):
        table[crop_kind(index)] = _crop_year(index, crop, start, days)
    return table.clip(0, 1)


def inundation(climate: Climate) -> Float64[np.ndarray, "K 365"]:
    """Compute the water level of every kind in a normal year.

    Args:
        climate: of the site.

    Returns:
        Numbers in [0, 1], by kind and day of the year: 0 is dry, and 1 is always under water.
    """
    table = np.zeros((NUM_KINDS, YEAR_DAYS))
    table[Cover.WATER] = 1
    stored = circular_lag(climate.rain * (climate.temperature > 0), days=40)
    stored += circular_lag(np.gradient(circular_lag(climate.warmth, 10)).clip(0) * stored.mean() * 60, 20)  # thaw
    swing = np.ptp(stored) / max(stored.max(), 1e-6)
    table[Cover.WETLAND] = 0.25 + (0.3 + 0.45 * swing) * (stored - stored.min()) / max(np.ptp(stored), 1e-6)
    start, days = growing_season(climate)
    stretch = days / REFERENCE_SEASON
    table[crop_kind(RICE)] = _bump(start + 28 * stretch, start + 105 * stretch, 3, 5)
    return table


def foliage(climate: Climate) -> Year:
    """Compute how much foliage deciduous trees have. They shed it in the cold and in the dry season.

    Args:
        climate: of the site.

    Returns:
        Numbers in [0, 1], by day of the year.
    """
    warm = sigmoid((circular_lag(climate.temperature, 8) - 8.5) / 1.3)
    moist = sigmoid((climate.wetness - 0.42) / 0.05)
    return warm * moist


def growing_season(climate: Climate) -> tuple[float, float]:
    """Find the longest period in which growth is above the middle of its yearly range.

    Args:
        climate: of the site.

    Returns:
        The first day, and the number of days (100 to 230).
    """
    growth = circular_lag(climate.growth, days=10)
    if growth.min() > 0.6 * growth.max():  # without a clear season, fields follow the rain
        return float(np.argmax(climate.rain) - 80) % YEAR_DAYS, 200.0
    growing = growth > (growth.min() + growth.max()) / 2
    starts = np.flatnonzero(growing & ~np.roll(growing, 1))
    lengths = [int(np.argmin(np.roll(growing, -start))) for start in starts]
    longest = int(np.argmax(lengths))
    return float(starts[longest]), float(np.clip(lengths[longest], 100, 230))


def _crop_year(index: int, crop: Crop, start: float, days: float) -> Year:
    stretch = days / REFERENCE_SEASON
    green_up, harvest = start + crop.green_up * stretch, start + crop.harvest * stretch
    year = _bump(green_up, harvest, crop.onset / 2, crop.fading / 2)
    if index == WINTER_WHEAT:  # it is sown in autumn and is short and green in winter
        sown = start + (REFERENCE_SEASON + 5) * stretch
        year = np.maximum(year, 0.3 * _bump(sown, sown + (green_up + 20 - sown) % YEAR_DAYS, 8, 8))
    if index == ALFALFA:
        since_cut = ((np.arange(YEAR_DAYS) - start) % YEAR_DAYS % ALFALFA_CUT) / ALFALFA_CUT
        year = year * (0.35 + 0.65 * np.minimum(since_cut * 1.8, 1))
    return year


def _bump(rise: float, fall: float, rising: float, falling: float) -> Year:
    """Return 1 between the days `rise` and `fall` (across the end of the year if need be), 0.5 on them, 0 outside."""
    length = (fall - rise) % YEAR_DAYS
    margin = (YEAR_DAYS - length) / 2
    since = (np.arange(YEAR_DAYS) - rise + margin) % YEAR_DAYS - margin
    return sigmoid(since / rising) * sigmoid((length - since) / falling)
