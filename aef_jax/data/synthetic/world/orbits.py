"""Compute when satellites pass, where the sun is, and which part of a site their swath covers."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Int64

from aef_jax.data.store.site import to_ms
from aef_jax.data.synthetic.world.terrain import PIXEL_M
from configs.encodings.timecode import DAY_MS

HOUR_MS = 3_600_000


@dataclass(frozen=True)
class Calendar:
    """One calendar year in UTC."""

    year: int

    @property
    def support(self) -> tuple[int, int]:
        """From 1 January up to and excluding 1 January of the next year, in milliseconds."""
        return to_ms(f"{self.year}-01-01"), to_ms(f"{self.year + 1}-01-01")

    @property
    def months(self) -> Int64[np.ndarray, "13"]:
        """Start of every month and of the next year, in milliseconds."""
        starts = [to_ms(f"{self.year}-{month:02d}-01") for month in range(1, 13)]
        return np.array([*starts, self.support[1]], np.int64)

    def day(self, time_ms: int) -> int:
        """Return the day of the year.

        Args:
            time_ms: a time of the year, in milliseconds.

        Returns:
            0 for 1 January.
        """
        return int((time_ms - self.support[0]) // DAY_MS)


def passes(
    rng: np.random.Generator, calendar: Calendar, longitude: float, every: int, solar_hour: float, first: int
) -> Int64[np.ndarray, "N"]:
    """Draw the times of a repeating ground track.

    Args:
        rng: random numbers.
        calendar: of the year.
        longitude: of the site, in degrees.
        every: days between two passes.
        solar_hour: local solar time of all passes, in hours.
        first: day of the first pass.

    Returns:
        Times in milliseconds, with a deviation of 12 seconds.
    """
    start, end = calendar.support
    days = np.arange(first % every - every, 366 + every, every)
    seconds_off = rng.normal(0, 12, len(days))
    offset_ms = (solar_hour - longitude / 15) * HOUR_MS + 1000 * seconds_off
    times = start + days * DAY_MS + np.rint(offset_ms).astype(np.int64)
    return times[(times >= start) & (times < end)]


def sun_angles(latitude: float, day: int, solar_hour: float) -> tuple[float, float]:
    """Compute the position of the sun.

    Args:
        latitude: degrees.
        day: of the year, from 0.
        solar_hour: local solar time in hours.

    Returns:
        Zenith, and azimuth clockwise from north, in radians.
    """
    phi, declination = np.deg2rad(latitude), -np.deg2rad(23.44) * np.cos(2 * np.pi * (day + 10) / 365.25)
    hour = np.deg2rad(15 * (solar_hour - 12))
    height = np.sin(phi) * np.sin(declination) + np.cos(phi) * np.cos(declination) * np.cos(hour)
    azimuth = np.pi + np.arctan2(np.sin(hour), np.cos(hour) * np.sin(phi) - np.tan(declination) * np.cos(phi))
    return float(np.arccos(np.clip(height, -1, 1))), float(azimuth)


@dataclass(frozen=True)
class SwathEdge:
    """The edge of a swath that ends within the site. Pixels beyond it have no data."""

    angle: float
    """Direction of the edge's normal, in radians."""
    offset: float
    """Distance from the site's center, in pixels."""

    def beyond(self, rng: np.random.Generator, side: int) -> Bool[np.ndarray, "H W"]:
        """Draw the pixels beyond the edge in one pass. The track varies by about a hundred meters between passes.

        Args:
            rng: random numbers.
            side: pixels along each side of the site.

        Returns:
            True beyond the edge.
        """
        rows, columns = np.indices((side, side)) - (side - 1) / 2
        distance = columns * np.cos(self.angle) + rows * np.sin(self.angle)
        return distance > self.offset + rng.normal(0, 80) / PIXEL_M


def draw_swath_edge(rng: np.random.Generator, side: int, chance: float) -> SwathEdge | None:
    """Draw whether and where a swath ends within the site.

    Tracks lean by about 12 degrees. An edge leaves between a tenth and most of the site outside.

    Args:
        rng: random numbers.
        side: pixels along each side of the site.
        chance: probability of an edge.

    Returns:
        The edge, or None.
    """
    leaning = np.deg2rad(rng.choice([-12, 12]) + rng.normal(0, 2)) + rng.choice([0, np.pi])
    offset = rng.uniform(-0.3, 0.4) * side
    return SwathEdge(float(leaning), float(offset)) if rng.random() < chance else None


def solar_hour(time_ms: int, longitude: float) -> float:
    """Compute local solar time.

    Args:
        time_ms: a time in milliseconds.
        longitude: degrees.

    Returns:
        Hours.
    """
    return (time_ms % DAY_MS / HOUR_MS + longitude / 15) % 24
