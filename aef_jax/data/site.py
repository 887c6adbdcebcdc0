"""A site: one piece of ground on a 10 m grid, and what every source recorded of it over the years."""

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

import numpy as np
from jaxtyping import Bool, Float, Float32, Int64

Affine = tuple[float, float, float, float, float, float]

Period = tuple[int, int]
"""[start, end) in epoch milliseconds."""


@dataclass(frozen=True)
class Series:
    """All frames of one source at one site, in the order of their times.

    `pixels` are in the band's own unit, NaN where there is no data; or scaled and z-scored, 0 where there is none.
    `valid` tells the observations that count in the loss. `metadata` is what its decoder is told of a frame: sines and
    cosines of angles, -1 or +1 for binary facts.
    """

    pixels: Float32[np.ndarray, "N H W C"]
    valid: Bool[np.ndarray, "N H W C"]
    time_ms: Int64[np.ndarray, "N"]
    metadata: Float[np.ndarray, "N M"]

    def between(self, start_ms: int, end_ms: int) -> "Series":
        """The frames acquired in [start, end)."""
        return self._chosen(slice(*np.searchsorted(self.time_ms, [start_ms, end_ms])))

    def without(self, times_ms: Int64[np.ndarray, "M"]) -> "Series":
        """All frames but those acquired at some times."""
        return self._chosen(~np.isin(self.time_ms, times_ms))

    def window(self, rows: slice, columns: slice) -> "Series":
        """The part of the ground that `rows` and `columns` of the grid cut out."""
        return replace(self, pixels=self.pixels[:, rows, columns], valid=self.valid[:, rows, columns])

    def _chosen(self, frames: slice | Bool[np.ndarray, "N"]) -> "Series":
        return Series(*(array[frames] for array in (self.pixels, self.valid, self.time_ms, self.metadata)))


@dataclass(frozen=True)
class Site:
    """Series by source name, on one grid: `transform` maps (column, row) to `crs`, as affine.Affine's six numbers."""

    name: str
    series: dict[str, Series]
    crs: str
    transform: Affine

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of the grid."""
        return next(iter(self.series.values())).pixels.shape[1:3]

    def between(self, start_ms: int, end_ms: int) -> "Site":
        """The frames acquired in [start, end)."""
        return replace(self, series={name: series.between(start_ms, end_ms) for name, series in self.series.items()})

    def without(self, times_ms: Int64[np.ndarray, "M"]) -> "Site":
        """All frames but those acquired at some times."""
        return replace(self, series={name: series.without(times_ms) for name, series in self.series.items()})

    def delayed(self, by_ms: int) -> "Site":
        """The same frames, as if all had been acquired that much later."""
        delayed = {name: replace(series, time_ms=series.time_ms + by_ms) for name, series in self.series.items()}
        return replace(self, series=delayed)

    def window(self, rows: slice, columns: slice) -> "Site":
        """A rectangle of the ground; `rows` and `columns` have a start and a stop."""
        a, b, c, d, e, f = self.transform
        moved = (
            a,
            b,
            c + a * columns.start + b * rows.start,
            d,
            e,
            f + d * columns.start + e * rows.start,
        )
        series = {name: series.window(rows, columns) for name, series in self.series.items()}
        return replace(self, series=series, transform=moved)


def to_ms(date: str) -> int:
    """Epoch milliseconds of a date or instant in ISO 8601, in UTC unless it names its offset.

    Raises ValueError where it is none.
    """
    try:
        instant = datetime.fromisoformat(date)
    except ValueError:
        raise ValueError(f"date {date!r} is not a date in ISO 8601, expected as in 2018-01-01") from None
    instant = instant if instant.tzinfo else instant.replace(tzinfo=UTC)
    return (instant - datetime.fromtimestamp(0, UTC)) // timedelta(milliseconds=1)
