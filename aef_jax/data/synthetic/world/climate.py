"""Draw where a site lies and its climate: normals by day of the year, without weather."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64

from aef_jax.data.synthetic.world.noise import sigmoid

YEAR_DAYS = 365
CONUS = ((24.5, 49.5), (-125.0, -66.5))
"""Latitudes and longitudes, in degrees, of the area covered by the maps of the United States."""


@dataclass(frozen=True)
class Region:
    """A part of the planet, roughly like one of the Earth. Sites draw uniformly from its ranges."""

    name: str
    weight: float
    latitude: tuple[float, float]
    longitude: tuple[float, float]
    elevation: tuple[float, float]
    """Meters."""
    rain: tuple[float, float]
    """Millimeters per year."""
    rain_season: float
    """1 if all rain falls in summer, -1 if all falls in winter, 0 if it falls evenly."""
    farmland: float
    """Typical share of fields."""
    relief: float
    """Meters from valley to hill, over about a kilometer."""
    warmer: float = 0.0
    """Kelvin above the temperature that latitude and elevation give."""
    swing: float = 0.95
    """Scale of the temperature difference between summer and winter; smaller near oceans."""


REGIONS = (
    Region("eastern United States", 1.5, (31, 46), (-94, -78), (30, 500), (800, 1300), 0.15, 0.5, 40),
    Region("Great Plains", 1.3, (33, 48), (-103, -95), (200, 900), (400, 800), 0.5, 0.75, 20),
    Region("western United States", 1.5, (33, 48), (-121, -105), (300, 2300), (180, 700), -0.4, 0.25, 150, 2, 0.8),
    Region("central Europe", 1.2, (44, 55), (0, 28), (20, 800), (550, 1000), 0.1, 0.55, 60, 4, 0.65),
    Region("Mediterranean", 1.0, (35, 42), (-7, 36), (50, 900), (350, 750), -0.6, 0.4, 100, 1, 0.75),
    Region("boreal forest", 1.0, (56, 65), (15, 130), (50, 500), (400, 650), 0.3, 0.1, 40, 2, 0.85),
    Region("tundra", 0.5, (66, 71), (60, 150), (10, 250), (200, 400), 0.3, 0.0, 40, 3, 0.95),
    Region("high mountains", 1.2, (29, 46), (72, 100), (3000, 4900), (400, 900), 0.3, 0.05, 250, 1, 0.8),
    Region("Amazon basin", 0.7, (-13, 1), (-70, -52), (50, 250), (1800, 2600), 0.35, 0.25, 30),
    Region("African savanna", 1.0, (-18, 12), (15, 38), (400, 1300), (550, 1200), 0.85, 0.35, 40),
    Region("monsoon Asia", 1.0, (14, 27), (76, 106), (50, 600), (900, 1800), 0.85, 0.6, 40),
    Region("Pampas", 0.7, (-38, -29), (-63, -57), (20, 200), (700, 1100), 0.2, 0.7, 15, 0, 0.75),
    Region("southern Australia", 0.8, (-36, -29), (117, 149), (50, 400), (250, 600), -0.4, 0.45, 30, 0, 0.6),
    Region("Patagonian Andes", 0.6, (-52, -42), (-73, -70), (300, 1700), (500, 1600), -0.1, 0.05, 250, 2, 0.45),
)


@dataclass(frozen=True)
class Climate:
    """A location and its normals. Arrays have one number for each day of the year."""

    region: Region
    latitude: float
    longitude: float
    elevation: float
    """Meters; approximately the mean of the site."""
    temperature: Float64[np.ndarray, "365"]
    """Degrees Celsius."""
    rain: Float64[np.ndarray, "365"]
    """Millimeters per day."""
    wetness: Float64[np.ndarray, "365"]
    """Water in the ground that plants can use, from 0 (none) to 1 (enough)."""

    @property
    def warmth(self) -> Float64[np.ndarray, "365"]:
        """Growth that the temperature allows, from 0 (none) to 1 (full)."""
        return sigmoid((self.temperature - 6) / 2.5)

    @property
    def growth(self) -> Float64[np.ndarray, "365"]:
        """Growth that temperature and water allow, from 0 (none) to 1 (full)."""
        return self.warmth * self.wetness

    @property
    def in_conus(self) -> bool:
        """Whether the site is in the area covered by the maps of the United States."""
        (south, north), (west, east) = CONUS
        return south <= self.latitude <= north and west <= self.longitude <= east


def draw_climate(rng: np.random.Generator) -> Climate:
    """Draw a location in a random region, and its climate.

    Args:
        rng: random numbers.

    Returns:
        The climate.
    """
    weights = np.array([region.weight for region in REGIONS])
    region = REGIONS[rng.choice(len(REGIONS), p=weights / weights.sum())]
    latitude, longitude, elevation, rain = (
        rng.uniform(*limits) for limits in (region.latitude, region.longitude, region.elevation, region.rain)
    )
    return climate_at(region, latitude, longitude, elevation, rain, swing=rng.uniform(0.85, 1.1))


def climate_at(
    region: Region, latitude: float, longitude: float, elevation: float, rain: float, swing: float = 1.0
) -> Climate:
    """Compute the normals of a location.

    Args:
        region: of the location.
        latitude: degrees.
        longitude: degrees.
        elevation: meters.
        rain: millimeters per year.
        swing: factor on the region's swing.

    Returns:
        The climate.
    """
    summer = 200 if latitude >= 0 else 17  # the warmest day, some weeks after the solstice
    season = np.cos(2 * np.pi * (np.arange(YEAR_DAYS) - summer) / YEAR_DAYS)
    mean = 27.5 + region.warmer - 0.0085 * latitude**2 - 0.006 * elevation
    temperature = mean + (1 + 0.33 * abs(latitude)) * region.swing * swing * season
    daily_rain = rain / YEAR_DAYS * (1 + region.rain_season * season)
    demand = 0.5 + 0.17 * temperature.clip(0)
    supply = circular_lag(daily_rain / demand, days=25)
    wetness = (1.3 * supply / (supply + 0.35)).clip(0, 1)
    return Climate(region, latitude, longitude, elevation, temperature, daily_rain, wetness)


def circular_lag(values: Float64[np.ndarray, "365"], days: float) -> Float64[np.ndarray, "365"]:
    """Average each day over the days before it. The end of the year precedes its start.

    Args:
        values: for each day of the year.
        days: over which the weights fall by a factor of e.

    Returns:
        The averages.
    """
    weights = np.exp(-np.arange(YEAR_DAYS) / days)
    return np.fft.irfft(np.fft.rfft(values) * np.fft.rfft(weights / weights.sum()), YEAR_DAYS)
