"""A site: one piece of ground on a 10 m grid, and the frames of every source over the years."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

import numpy as np
from jaxtyping import Bool, Float, Float32, Int64, Integer, Num

from aef_jax.data.store.conversion import plain_labels, plain_transform, series_arrays
from aef_jax.data.store.georeference import validate_transform
from configs.fields.statistics import has_data

Affine = tuple[float, float, float, float, float, float]

SAME_PASS_MS = 10 * 60_000
"""Frames of one source that are at most this far apart belong to one pass. Neighboring scenes of a pass overlap and
show the same pixels some seconds apart; an orbit takes 90 minutes and more."""

Period = tuple[int, int]
"""[start, end) in epoch milliseconds."""


@dataclass(frozen=True)
class Series:
    """All frames of one source at one site, sorted by time. Several frames may have the same time.

    Frames are sorted if they are not. Masked arrays and datetime64 are converted (see `series_arrays`).

    Example:
        sentinel2 = Series(
            pixels=np.ones((60, 128, 128, 5), np.uint16),  # 60 frames; bands as in configs.sources.SENTINEL2
            valid=np.ones((60, 128, 128, 1), bool),  # clear sky
            time_ms=np.linspace(*year, 60, endpoint=False).astype(np.int64),
            metadata=np.zeros((60, 0)),  # Sentinel-2 has no metadata
            no_data=0,
        )
    """

    pixels: Num[np.ndarray, "N H W C"]
    """Values as they are stored: in the band's own unit and the sensor's own number type. A pixel that is `no_data` or
    NaN holds no data."""
    valid: Bool[np.ndarray, "N H W V"]
    """Pixels that count in the loss. V is 1 (one mask for all bands) or C."""
    time_ms: Int64[np.ndarray, "N"]
    """Acquisition time, in epoch milliseconds."""
    metadata: Float[np.ndarray, "N F"]
    """One column per field of the source's metadata: an angle in degrees, or 0 or 1 for a binary field. NaN is an
    unknown value."""
    no_data: float | None = None
    """Pixel value that means no data."""

    def __post_init__(self):
        arrays = series_arrays(self.pixels, self.valid, self.time_ms, self.metadata, self.no_data)
        for name, array in zip(("pixels", "valid", "time_ms", "metadata"), arrays, strict=True):
            object.__setattr__(self, name, array)

    @property
    def has_data(self) -> Bool[np.ndarray, "N H W C"]:
        """True where a pixel holds a finite number that is not `no_data`."""
        return has_data(self.pixels, self.no_data)

    def between(self, start_ms: int, end_ms: int) -> "Series":
        """Return the frames acquired in [start_ms, end_ms).

        Args:
            start_ms: epoch milliseconds.
            end_ms: epoch milliseconds.

        Returns:
            A series whose arrays are views.
        """
        return self.select_frames(slice(*np.searchsorted(self.time_ms, [start_ms, end_ms])))

    def without(self, times_ms: Int64[np.ndarray, "M"]) -> "Series":
        """Return all frames except those acquired at some times.

        Args:
            times_ms: epoch milliseconds.

        Returns:
            A series with copies of the other frames.
        """
        return self.select_frames(~np.isin(self.time_ms, times_ms))

    def window(self, rows: slice, columns: slice) -> "Series":
        """Return the same frames over a rectangle of the ground.

        Args:
            rows: rows of the grid.
            columns: columns of the grid.

        Returns:
            A series whose pixels and mask are views.
        """
        return replace(self, pixels=self.pixels[:, rows, columns], valid=self.valid[:, rows, columns])

    def select_frames(self, frames: slice | Bool[np.ndarray, "N"] | Int64[np.ndarray, "n"]) -> "Series":
        """Return some of the frames.

        Args:
            frames: a slice, a mask or indices.

        Returns:
            A series of these frames.
        """
        return replace(
            self,
            pixels=self.pixels[frames],
            valid=self.valid[frames],
            time_ms=self.time_ms[frames],
            metadata=self.metadata[frames],
        )


@dataclass(frozen=True)
class TextPoints:
    """Embedded sentences about single pixels of a site, each true of a period."""

    row: Int64[np.ndarray, "N"]
    column: Int64[np.ndarray, "N"]
    period_ms: Int64[np.ndarray, "N 2"]
    """[start, end) of each, in epoch milliseconds."""
    sentence: Float32[np.ndarray, "N E"]
    """Embeddings of the sentences by a frozen language model."""
    words: tuple[str, ...] = ()
    """The sentences themselves, of all points or of none. They are shown to people; training does not read them."""

    @classmethod
    def none(cls, width: int = 0) -> "TextPoints":
        """Return text points without any point.

        Args:
            width: numbers in a sentence embedding.

        Returns:
            Empty arrays.
        """
        empty = np.zeros(0, np.int64)
        return cls(empty, empty, np.zeros((0, 2), np.int64), np.zeros((0, width), np.float32))

    def __len__(self) -> int:
        return len(self.row)

    def select_points(self, points: Bool[np.ndarray, "N"]) -> "TextPoints":
        """Return some of the points.

        Args:
            points: mask of the points.

        Returns:
            These points, with their words if there are any.
        """
        words = tuple(word for word, is_selected in zip(self.words, points, strict=False) if is_selected)
        return TextPoints(self.row[points], self.column[points], self.period_ms[points], self.sentence[points], words)

    def window(self, rows: slice, columns: slice) -> "TextPoints":
        """Return the points inside a rectangle of the ground.

        Args:
            rows: rows of the grid, with a start and a stop.
            columns: columns of the grid, with a start and a stop.

        Returns:
            These points; their rows and columns count from the rectangle's corner.
        """
        is_inside = (self.row >= rows.start) & (self.row < rows.stop)
        is_inside &= (self.column >= columns.start) & (self.column < columns.stop)
        points = self.select_points(is_inside)
        return replace(points, row=points.row - rows.start, column=points.column - columns.start)


@dataclass(frozen=True)
class Site:
    """One piece of ground: series by source name, all on one grid.

    Example:
        site = Site("site-0", {"sentinel2": sentinel2}, "EPSG:32631", (10, 0, 500_000, 0, -10, 5_600_000), support=year)
    """

    name: str
    """Unique in its data set."""
    series: dict[str, Series]
    crs: str
    """Coordinate reference system of the grid, such as EPSG:32631."""
    transform: Affine
    """Map from (column, row) to coordinates in `crs`: the six numbers of affine.Affine, of a grid of 10 m."""
    support: Period | None = None
    """Period of the frames, which examples take as their support period: epoch milliseconds, or dates as in `to_ms`.
    None: examples draw one from the years of the inputs."""
    text: TextPoints = field(default_factory=TextPoints.none)
    labels: Mapping[str, Integer[np.ndarray, "H W"]] = field(default_factory=dict)
    """Maps of classes to evaluate embeddings with, by name. Below 0 is no label; masked pixels become -1 (see
    `plain_labels`), as in `np.ma.masked_equal(classes, 255)`. Training does not read them."""
    weight: float = 1.0
    """How often training draws the record, relative to others; above 0 (ours)."""

    def __post_init__(self):
        object.__setattr__(self, "transform", plain_transform(self.transform))
        validate_transform(f"site {self.name}", self.transform)
        if not isinstance(self.labels, Mapping):
            raise ValueError(f"site {self.name}: its labels are one array, expected a dict of arrays by name")
        object.__setattr__(self, "labels", {name: plain_labels(classes) for name, classes in self.labels.items()})
        if self.support:
            ends = (to_ms(end) if isinstance(end, str) else int(end) for end in self.support)
            object.__setattr__(self, "support", tuple(ends))

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of the grid."""
        return next(iter(self.series.values())).pixels.shape[1:3]

    def between(self, start_ms: int, end_ms: int) -> "Site":
        """Return the site with the frames acquired in [start_ms, end_ms).

        Args:
            start_ms: epoch milliseconds.
            end_ms: epoch milliseconds.

        Returns:
            A site whose arrays are views.
        """
        return replace(self, series={name: series.between(start_ms, end_ms) for name, series in self.series.items()})

    def without(self, times_ms: Int64[np.ndarray, "M"]) -> "Site":
        """Return the site with all frames except those acquired at some times.

        Args:
            times_ms: epoch milliseconds.

        Returns:
            A site with copies of the other frames.
        """
        return replace(self, series={name: series.without(times_ms) for name, series in self.series.items()})

    def shift_time(self, by_ms: int) -> "Site":
        """Return the site with all dates shifted: of frames, of the support period and of text.

        Args:
            by_ms: milliseconds; above 0 is later.

        Returns:
            A site with the same pixels.
        """
        series = {name: replace(series, time_ms=series.time_ms + by_ms) for name, series in self.series.items()}
        support = self.support and (self.support[0] + by_ms, self.support[1] + by_ms)
        text = replace(self.text, period_ms=self.text.period_ms + by_ms)
        return replace(self, series=series, support=support, text=text)

    def window(self, rows: slice, columns: slice) -> "Site":
        """Return a rectangle of the ground.

        Args:
            rows: rows of the grid, with a start and a stop.
            columns: columns of the grid, with a start and a stop.

        Returns:
            A site with its own transform; its pixels are views.
        """
        a, b, c, d, e, f = self.transform
        transform = (
            a,
            b,
            c + a * columns.start + b * rows.start,
            d,
            e,
            f + d * columns.start + e * rows.start,
        )
        series = {name: series.window(rows, columns) for name, series in self.series.items()}
        labels = {name: classes[rows, columns] for name, classes in self.labels.items()}
        return replace(self, series=series, transform=transform, text=self.text.window(rows, columns), labels=labels)


def to_ms(date: str) -> int:
    """Convert a date or instant in ISO 8601 to epoch milliseconds.

    Args:
        date: such as 2018-01-01 or 2018-01-01T10:30:00+02:00; in UTC if it has no offset.

    Returns:
        Epoch milliseconds.

    Raises:
        ValueError: it is not ISO 8601.

    Example:
        year = to_ms("2023-01-01"), to_ms("2024-01-01")
    """
    try:
        instant = datetime.fromisoformat(date)
    except ValueError:
        raise ValueError(f"date {date!r} is not a date in ISO 8601, expected as in 2018-01-01") from None
    instant = instant if instant.tzinfo else instant.replace(tzinfo=UTC)
    return (instant - datetime.fromtimestamp(0, UTC)) // timedelta(milliseconds=1)
