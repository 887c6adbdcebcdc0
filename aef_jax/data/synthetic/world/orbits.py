"""When satellites pass, where the sun then stands, and what part of a site lies in their swath."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Int64

from aef_jax.data.store.site import to_ms
from aef_jax.data.synthetic.world.terrain import PIXEL_M
from configs.encodings.timecode import DAY_MS

HOUR_MS = 3_600_000


@dataclass(frozen=True)
class Calendar:
    """One year, in UTC."""

    year: int

    @property
    def support(self) -> tuple[int, int]:
        """[1 January, 1 January of the next year)."""
        return to_ms(f"{self.year}-01-01"), to_ms(f"{self.year + 1}-01-01")

    @property
    def months(self) -> Int64[np.ndarray, "13"]:
        """The first instant of every month, and of the next year's first."""
        starts = [to_ms(f"{self.year}-{month:02d}-01") for month in range(1, 13)]
        return np.array([*starts, self.support[1]], np.int64)

    def day(self, time_ms: int) -> int:
        """0 for 1 January."""
        return int((time_ms - self.support[0]) // DAY_MS)


def passes(
    rng: np.random.Generator, calendar: Calendar, longitude: float, every: int, solar_hour: float, first: int
) -> Int64[np.ndarray, "N"]:
    """Times of a repeating ground track: every so many days from day `first` on, at a fixed local solar time."""
    start, end = calendar.support
    days = np.arange(first % every - every, 366 + every, every)
    seconds_off = rng.normal(0, 12, len(days))
    offset_ms = (solar_hour - longitude / 15) * HOUR_MS + 1000 * seconds_off
    times = start + days * DAY_MS + np.rint(offset_ms).astype(np.int64)
    return times[(times >= start) & (times < end)]


def sun(latitude: float, day: int, solar_hour: float) -> tuple[float, float]:
    """Zenith, and azimuth clockwise from north, in radians."""
    phi, declination = np.deg2rad(latitude), -np.deg2rad(23.44) * np.cos(2 * np.pi * (day + 10) / 365.25)
    hour = np.deg2rad(15 * (solar_hour - 12))
    height = np.sin(phi) * np.sin(declination) + np.cos(phi) * np.cos(declination) * np.cos(hour)
    azimuth = np.pi + np.arctan2(np.sin(hour), np.cos(hour) * np.sin(phi) - np.tan(declination) * np.cos(phi))
    return float(np.arccos(np.clip(height, -1, 1))), float(azimuth)


@dataclass(frozen=True)
class SwathEdge:
    """The edge that a track's swath draws across the site, if it ends there: what lies beyond has no data."""

    angle: float
    """Of its normal, in radians."""
    offset: float
    """From the centre, in pixels."""

    def beyond(self, rng: np.random.Generator, side: int) -> Bool[np.ndarray, "H W"]:
        """The track wanders by some hundred metres from pass to pass."""
        rows, columns = np.indices((side, side)) - (side - 1) / 2
        distance = columns * np.cos(self.angle) + rows * np.sin(self.angle)
        return distance > self.offset + rng.normal(0, 80) / PIXEL_M


def draw_swath_edge(rng: np.random.Generator, side: int, chance: float) -> SwathEdge | None:
    """Tracks lean by some 12 degrees; an edge leaves between a tenth and most of the site outside."""
    leaning = np.deg2rad(rng.choice([-12, 12]) + rng.normal(0, 2)) + rng.choice([0, np.pi])
    offset = rng.uniform(-0.3, 0.4) * side
    return SwathEdge(float(leaning), float(offset)) if rng.random() < chance else None


def solar_hour(time_ms: int, longitude: float) -> float:
    """Local solar time of day."""
    return (time_ms % DAY_MS / HOUR_MS + longitude / 15) % 24
