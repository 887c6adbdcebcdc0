"""Simulate monthly products: weather of ERA5-Land, water of GRACE and heights of GEDI along its tracks."""

from itertools import pairwise

import numpy as np
from jaxtyping import Bool, Float, Float32
from scipy.special import ndtr

from aef_jax.data.store.site import Series
from aef_jax.data.synthetic.world.grid import inner
from aef_jax.data.synthetic.world.ground import Ground
from aef_jax.data.synthetic.world.legend import Cover
from aef_jax.data.synthetic.world.orbits import Calendar
from aef_jax.data.synthetic.world.surface import Surface
from aef_jax.data.synthetic.world.terrain import PIXEL_M
from aef_jax.data.synthetic.world.weather import Weather

KELVIN = 273.15
GEDI_NORTH = 51.6
"""Largest latitude, in degrees, of the station that carries GEDI."""
TRACK_M, SHOT_M, FOOTPRINT_M = 600.0, 60.0, 25.0
"""Distance between neighboring tracks, distance between shots along a track, and diameter of a footprint."""
PERCENTILES = np.linspace(0, 1, 101)


def era5_land(rng: np.random.Generator, surface: Surface, calendar: Calendar, side: int) -> Series:
    """Simulate ERA5-Land: twelve bands per month, constant over the site, because its pixels are of 9 km.

    Args:
        rng: random numbers.
        surface: of the site.
        calendar: of the year.
        side: pixels along each side of the site.

    Returns:
        Twelve frames.
    """
    weather, months = surface.weather, calendar.months
    rows = [
        _month(rng, weather, surface.climate.elevation, slice(calendar.day(start), calendar.day(end)))
        for start, end in pairwise(months)
    ]
    return _spread(np.array(rows, np.float32), months[:-1], side)


def grace(rng: np.random.Generator, surface: Surface, calendar: Calendar, side: int) -> Series:
    """Simulate GRACE: stored water relative to the mean of many years, in centimeters, in the middle of each month.

    Args:
        rng: random numbers.
        surface: of the site.
        calendar: of the year.
        side: pixels along each side of the site.

    Returns:
        Twelve frames.
    """
    months = calendar.months
    middle = (months[:-1] + months[1:]) // 2
    stored = np.array([surface.weather.storage[calendar.day(int(time_ms))] for time_ms in middle]) / 10
    return _spread((stored + rng.normal(0, 1.2, 12)).astype(np.float32)[:, None], middle, side)


def gedi(rng: np.random.Generator, surface: Surface, calendar: Calendar, side: int) -> Series:
    """Simulate GEDI: heights in meters below which 0 to 100 % of the returned energy lies.

    Args:
        rng: random numbers.
        surface: of the site.
        calendar: of the year.
        side: pixels along each side of the site.

    Returns:
        One frame for each month with a shot in the site. There may be none near the poles or, by chance, at small
        sites.
    """
    pixels, valid, times = [], [], []
    for month in range(12):
        if abs(surface.climate.latitude) > GEDI_NORTH or rng.random() < 0.6:
            continue
        shots = _shots(rng, side)
        if not shots.any():
            continue
        heights = np.full((side, side, 101), np.nan, np.float32)
        heights[shots] = _profiles(rng, surface, inner(surface.on(_mid_month(calendar, month)).leaf)[shots], shots)
        pixels.append(heights)
        valid.append(shots[..., None])
        times.append(calendar.months[month])
    if not pixels:
        pixels, valid = np.zeros((0, side, side, 101), np.float32), np.zeros((0, side, side, 1), bool)
    return Series(
        np.asarray(pixels), np.asarray(valid), np.array(times, np.int64), np.zeros((len(times), 0), np.float32)
    )


def _month(rng: np.random.Generator, weather: Weather, elevation: float, days: slice) -> list[float]:
    """Return one month: rain in meters (sum, hourly minimum and maximum), temperatures in K, pressures in Pa."""
    rain, temperature = weather.rain[days] / 1000, weather.temperature[days] + KELVIN
    dry = 1 + 14 * (1 - weather.moisture[days])
    dewpoint = temperature - dry
    swing = rng.uniform(4, 7)
    pressure = 101_325 * np.exp(-elevation / 8400) + 600 * np.convolve(rng.normal(0, 1, len(rain)), [0.5, 0.5], "same")
    return [
        rain.sum(),
        rain.min() / 24,
        rain.max() / 4,
        *(temperature.mean(), temperature.min() - swing, temperature.max() + swing),
        *(dewpoint.mean(), dewpoint.min() - 2, dewpoint.max() + 2),
        *(pressure.mean(), pressure.min(), pressure.max()),
    ]


def _spread(rows: Float32[np.ndarray, "N C"], times_ms: np.ndarray, side: int) -> Series:
    """Repeat one pixel over the whole site."""
    count = len(rows)
    pixels = np.broadcast_to(rows[:, None, None], (count, side, side, rows.shape[1]))
    valid = np.broadcast_to(np.ones((count, 1, 1, 1), bool), (count, side, side, 1))
    return Series(pixels, valid, np.asarray(times_ms, np.int64), np.zeros((count, 0), np.float32))


def _mid_month(calendar: Calendar, month: int) -> int:
    return calendar.day(int(calendar.months[month])) + 14


def _shots(rng: np.random.Generator, side: int) -> Bool[np.ndarray, "H W"]:
    """Draw the pixels whose center is in a footprint of one pass. Some shots fail."""
    angle = rng.uniform(0, np.pi)
    start_across, start_along = rng.uniform(0, TRACK_M), rng.uniform(0, SHOT_M)
    meters = (np.indices((side, side)) + 0.5) * PIXEL_M
    across = meters[0] * np.cos(angle) + meters[1] * np.sin(angle) + start_across
    along = meters[1] * np.cos(angle) - meters[0] * np.sin(angle) + start_along
    track, shot = np.rint(across / TRACK_M), np.rint(along / SHOT_M)
    near = np.hypot(across - track * TRACK_M, along - shot * SHOT_M) < FOOTPRINT_M / 2
    # one draw for each shot, so that a footprint is complete or missing
    _, number = np.unique(np.stack([track, shot]).reshape(2, -1), axis=1, return_inverse=True)
    number = number.reshape(side, side)
    beams = rng.random(number.max() + 1) < rng.uniform(0.5, 0.95)
    return near & beams[number]


def _profiles(
    rng: np.random.Generator, surface: Surface, leaf: Float[np.ndarray, "M"], shots: Bool[np.ndarray, "H W"]
) -> Float32[np.ndarray, "M 101"]:
    """Compute quantiles of the returned energy, which comes from the ground and from the crown."""
    ground: Ground = surface.ground
    top, density, cover = (inner(np.asarray(m))[shots] for m in (ground.height, ground.density, ground.landcover))
    top = np.maximum(top + rng.normal(0, 0.5, len(top)), 0.1)
    seen = density * np.where(cover == Cover.DECIDUOUS_FOREST, 0.55 + 0.45 * leaf, 1)
    crown = (0.15 + 0.8 * seen) * (top > 2)
    width = (1.1 + 3 * np.tan(inner(ground.terrain.slope)[shots])).clip(max=4)  # of the pulse on tilted ground
    z = np.linspace(-8, 1, 20)[None] * width[:, None]
    z = np.concatenate([z, np.linspace(0, 1, 60)[None] * (top + 3 * width)[:, None] + width[:, None]], axis=1)
    from_ground = ndtr(z / width[:, None])
    from_crown = ndtr((z / top[:, None] - 0.68) / 0.17)
    energy = (1 - crown)[:, None] * from_ground + crown[:, None] * from_crown
    levels = 0.005 + 0.99 * PERCENTILES
    return np.array([np.interp(levels, e, h) for e, h in zip(energy, z, strict=True)], np.float32)
