"""What `dataset.json` says of shards, sources and sites."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from aef_jax.data.store.observations import ValueCounts
from aef_jax.data.store.record import DTYPES, validate_weight
from aef_jax.data.store.site import Series, Site
from configs.serialization.printable import printable_value, require_printable

UNKNOWN_LEVEL = "unknown"
MAX_RECORDS = 10_000
"""Records of a shard at most: as many items as a list in `dataset.json` may have."""


@dataclass(frozen=True)
class Shard:
    """One ArrayRecord file of the folder."""

    file: str
    """Its name within the folder."""
    records: int
    bytes: int
    """Size of the file."""
    names: tuple[str, ...] = ()
    """Names of its sites, in order; empty in older data sets: they are not known."""
    weights: tuple[float, ...] = ()
    """Weights of its sites; empty if all are 1."""

    def __post_init__(self):
        if not self.file or Path(self.file).name != self.file:
            raise ValueError(f"shard {printable_value(self.file)} is not the name of a file in the folder")
        require_printable("shard", self.file)
        check_counts(f"shard {self.file}", records=self.records, bytes=self.bytes)
        if len(self.names) not in (0, self.records):
            raise ValueError(f"shard {self.file}: there are names of {len(self.names)} sites, expected {self.records}")
        for name in self.names:
            require_printable(f"shard {self.file}, site", name)
        if len(self.weights) not in (0, self.records):
            raise ValueError(f"shard {self.file}: there are {len(self.weights)} weights, expected {self.records}")
        for weight in self.weights:
            validate_weight(f"shard {self.file}, a site", weight)


@dataclass(frozen=True)
class SourceSummary:
    """What a data set holds of one source, over both splits."""

    bands: tuple[str, ...]
    dtype: str
    """Number type of its pixels, by NumPy's name."""
    frames: int
    valid_pixels: int
    """Pixels that are valid in any band."""
    pixels: int
    first_ms: int
    """Earliest acquisition, in epoch milliseconds."""
    last_ms: int
    """Latest acquisition, in epoch milliseconds."""
    values: tuple[int, ...] = ()
    """Numbers of each band that are marked valid; empty if they were not counted, as in older data sets."""
    out_of_range: tuple[int, ...] = ()
    """Those that are out of the band's valid range."""
    level: str = ""
    """Processing level, such as L2A or TOA, or several as `join_levels` names them; empty if it is not known."""

    def __post_init__(self):
        if not self.bands:
            raise ValueError("it has no bands, expected at least one")
        for name in (*self.bands, *filter(None, [self.level])):
            require_printable("band or level", name)
        if self.dtype not in {np.dtype(dtype).name for dtype in DTYPES.values()}:
            raise ValueError(
                f"dtype is {printable_value(self.dtype)}, expected a number type of imagery, such as uint16"
            )
        check_counts("source", frames=self.frames, valid_pixels=self.valid_pixels, pixels=self.pixels)
        for counts in (self.values, self.out_of_range):
            if len(counts) not in (0, len(self.bands)) or len(counts) != len(self.values):
                raise ValueError(f"there are counts of {len(counts)} bands, expected {len(self.bands)}")
            check_counts("source", **dict(zip(self.bands, counts, strict=False)))

    @classmethod
    def empty(cls, bands: tuple[str, ...], dtype: str, level: str = "") -> "SourceSummary":
        """Return the summary of a source without frames.

        Args:
            bands: names of the source's bands.
            dtype: number type of its pixels, by NumPy's name.
            level: processing level.

        Returns:
            A summary to `update` with each site's frames.
        """
        return cls(bands, dtype, frames=0, valid_pixels=0, pixels=0, first_ms=2**62, last_ms=-(2**62), level=level)

    @property
    def counts(self) -> ValueCounts:
        """Counts of the values."""
        return ValueCounts(self.values, self.out_of_range)

    def update(self, series: Series, counts: ValueCounts | None) -> "SourceSummary":
        """Return the summary with one more site's frames.

        Args:
            series: the frames.
            counts: of their values; None if they were not counted.

        Returns:
            A new summary.
        """
        times = series.time_ms.tolist()
        values, outside = counts or self.counts
        if counts and self.values:
            values, outside = map(_added, self.counts, counts)
        return replace(
            self,
            frames=self.frames + len(times),
            valid_pixels=self.valid_pixels + int(np.count_nonzero(series.valid.any(axis=-1))),
            pixels=self.pixels + int(np.prod(series.valid.shape[:3])),
            first_ms=min([self.first_ms, *times]),
            last_ms=max([self.last_ms, *times]),
            values=values,
            out_of_range=outside,
        )


@dataclass(frozen=True)
class SmallestSite:
    """The site of a data set that has the shortest side."""

    name: str
    shape: tuple[int, int]
    """Rows and columns."""


def smaller(smallest: SmallestSite | None, site: Site) -> SmallestSite:
    """Return the one of two sites with the shorter side.

    Args:
        smallest: of the sites before; None if there was none.
        site: another site.

    Returns:
        The smaller one. Of two that are as small it is the first by name, whatever order they come in.
    """
    both = [each for each in (smallest, SmallestSite(site.name, site.shape)) if each is not None]
    return min(both, key=lambda each: (min(each.shape), each.name))


def join_levels(levels: Iterable[str]) -> str:
    """Name the processing level of frames of several.

    Args:
        levels: of the frames; empty for a level that is not known.

    Returns:
        Each level once, as in "L1C, L2A", with "unknown" among them; empty if none is known.
    """
    parts = {part for level in levels for part in (level or UNKNOWN_LEVEL).split(", ")}
    return "" if parts == {UNKNOWN_LEVEL} else ", ".join(sorted(parts))


def check_counts(where: str, **counts: int) -> None:
    """Require counts to be integers of at least 0.

    Args:
        where: names what is counted, in errors.
        counts: by name.

    Raises:
        ValueError: one is not.
    """
    for name, count in counts.items():
        if isinstance(count, bool) or not isinstance(count, int) or count < 0:
            raise ValueError(f"{where}: {name} is {printable_value(count)}, expected a count")


def _added(counts: tuple[int, ...], more: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(a + b for a, b in zip(counts, more, strict=True))
