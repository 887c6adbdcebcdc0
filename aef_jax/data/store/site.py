"""A site: one piece of ground on a 10 m grid, and what every source recorded of it over the years."""

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

import numpy as np
from jaxtyping import Bool, Float, Float32, Int64, Num, UInt8

Affine = tuple[float, float, float, float, float, float]

SAME_PASS_MS = 10 * 60_000
"""Frames of one source that lie no further apart are of one pass: neighbouring scenes overlap, and show the same pixels
some seconds apart. An orbit takes 90 minutes and more."""

Period = tuple[int, int]
"""[start, end) in epoch milliseconds."""


@dataclass(frozen=True)
class Series:
    """All frames of one source at one site, in the order of their times; several may share one.

    `pixels` are as they are stored: in the band's own unit and a number type of the sensor's. They hold no data where
    they are `no_data` or NaN. `valid` tells which pixels count in the loss, for all bands alike (V is 1) or for each
    (V is C). `metadata` has a column for each fact of the source: an angle in degrees, or 0 or 1 for a binary fact.
    """

    pixels: Num[np.ndarray, "N H W C"]
    valid: Bool[np.ndarray, "N H W V"]
    time_ms: Int64[np.ndarray, "N"]
    metadata: Float[np.ndarray, "N F"]
    no_data: float | None = None

    def between(self, start_ms: int, end_ms: int) -> "Series":
        """The frames acquired in [start, end)."""
        return self.select_frames(slice(*np.searchsorted(self.time_ms, [start_ms, end_ms])))

    def without(self, times_ms: Int64[np.ndarray, "M"]) -> "Series":
        """All frames but those acquired at some times."""
        return self.select_frames(~np.isin(self.time_ms, times_ms))

    def window(self, rows: slice, columns: slice) -> "Series":
        """The part of the ground that `rows` and `columns` of the grid cut out."""
        return replace(self, pixels=self.pixels[:, rows, columns], valid=self.valid[:, rows, columns])

    def select_frames(self, frames: slice | Bool[np.ndarray, "N"] | Int64[np.ndarray, "n"]) -> "Series":
        """Some of the frames, by a slice, a mask or their indices."""
        return replace(
            self,
            pixels=self.pixels[frames],
            valid=self.valid[frames],
            time_ms=self.time_ms[frames],
            metadata=self.metadata[frames],
        )


@dataclass(frozen=True)
class TextPoints:
    """Sentences about single pixels of a site, each true of a period, as a frozen language model embeds them."""

    row: Int64[np.ndarray, "N"]
    column: Int64[np.ndarray, "N"]
    period_ms: Int64[np.ndarray, "N 2"]
    """[start, end) of each."""
    sentence: Float32[np.ndarray, "N E"]
    words: tuple[str, ...] = ()
    """The sentences themselves, for people to read: of every point, or none at all. Training has no use for them."""

    @classmethod
    def none(cls, width: int = 0) -> "TextPoints":
        """No text, of sentence embeddings of so many numbers."""
        empty = np.zeros(0, np.int64)
        return cls(empty, empty, np.zeros((0, 2), np.int64), np.zeros((0, width), np.float32))

    def __len__(self) -> int:
        return len(self.row)

    def select_points(self, points: Bool[np.ndarray, "N"]) -> "TextPoints":
        words = tuple(word for word, is_chosen in zip(self.words, points, strict=False) if is_chosen)
        return TextPoints(self.row[points], self.column[points], self.period_ms[points], self.sentence[points], words)

    def window(self, rows: slice, columns: slice) -> "TextPoints":
        """Those within a rectangle of the ground, counted from its corner."""
        inside = (self.row >= rows.start) & (self.row < rows.stop)
        inside &= (self.column >= columns.start) & (self.column < columns.stop)
        found = self.select_points(inside)
        return replace(found, row=found.row - rows.start, column=found.column - columns.start)


@dataclass(frozen=True)
class Site:
    """Series by source name, on one grid: `transform` maps (column, row) to `crs`, as affine.Affine's six numbers.

    Where it has a `support` period, its frames are those of that period, and examples take it for theirs.
    """

    name: str
    series: dict[str, Series]
    crs: str
    transform: Affine
    support: Period | None = None
    text: TextPoints = field(default_factory=TextPoints.none)
    labels: UInt8[np.ndarray, "H W"] | None = None
    """A map of classes to evaluate embeddings with, where there is one; training never sees it."""

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

    def shift_time(self, by_ms: int) -> "Site":
        """The same frames, as if all had been acquired that much later."""
        shift_time = {name: replace(series, time_ms=series.time_ms + by_ms) for name, series in self.series.items()}
        support = self.support and (self.support[0] + by_ms, self.support[1] + by_ms)
        text = replace(self.text, period_ms=self.text.period_ms + by_ms)
        return replace(self, series=shift_time, support=support, text=text)

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
        labels = None if self.labels is None else self.labels[rows, columns]
        return replace(self, series=series, transform=moved, text=self.text.window(rows, columns), labels=labels)


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
