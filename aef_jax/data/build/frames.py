"""Read the frames of one source on a site's grid, in the units that records store."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float32, Num

from aef_jax.data.build.config import FilesConfig
from aef_jax.data.build.masks import MASK_KINDS, clear_sky, kind_of_mask
from aef_jax.data.build.readers.acquisition import Acquisition
from aef_jax.data.build.readers.bands import match_bands
from aef_jax.data.build.readers.grid import Grid, Raster, read_on_grid
from aef_jax.data.build.units import contradiction, convert, keeps_offset, validate_unit
from aef_jax.data.store.site import Period, Series
from aef_jax.data.terrain import slope_and_aspect
from configs.source import Band, Source
from configs.sources import GLO30, SENTINEL2

PASS_MS = 5 * 60_000
"""Acquisitions within five minutes are of one pass: neighboring scenes of Landsat are 24 s apart, a satellite's next
orbit 90 minutes."""
MAX_VANISHED = 0.5
"""Share of the values that may have no number in the band's unit (a logarithm of what is below 0)."""
INTEGERS: Mapping[str, tuple[type[np.integer], int]] = {
    "reflectance * 10000": (np.uint16, 0),
    "digital number": (np.uint16, 0),
    "class": (np.int16, -1),
}
"""Number type and no data of the units that records store as integers; the others are float32 and NaN."""


class Reject(NamedTuple):
    """A file, or a part of one, that is not used."""

    where: str
    reason: str


@dataclass
class BuildReport:
    """What was not used for a site."""

    dropped: Counter[str] = field(default_factory=Counter)
    """Frames by source and reason."""
    rejects: list[Reject] = field(default_factory=list)
    """Files that cannot be read, or whose values contradict their unit."""
    warnings: list[Reject] = field(default_factory=list)
    """Sources whose values are used and may be wrong."""


class FileSet:
    """The acquisitions in the files of one entry of the config.

    Args:
        files: the entry.
        acquisitions: in its files.

    Raises:
        ValueError: no band of the source is in the files, or the mask is in none or of no known kind.
    """

    def __init__(self, files: FilesConfig, acquisitions: Sequence[Acquisition]):
        self.files, self.acquisitions = files, acquisitions
        names = sorted({name for each in acquisitions for name in each.rasters})
        where = f"source {files.name}"
        self.names = match_bands(files.source, names, files.bands, where)
        self.mask_kind = files.mask_kind or kind_of_mask(files.mask) or ""
        for band in files.source.bands:
            if band.name in self.names:
                validate_unit(self.unit(band), band, where)
        if files.mask and files.mask not in names:
            raise ValueError(f"{where}: no file holds its mask {files.mask!r}, only {names[:20]}")
        if files.mask and self.mask_kind not in MASK_KINDS:
            raise ValueError(
                f"{where}: mask_kind of {files.mask!r} is {files.mask_kind!r}, expected one of {', '.join(MASK_KINDS)}"
            )

    def unit(self, band: Band) -> str:
        """Look up the unit of a band in the files.

        Args:
            band: of the source.

        Returns:
            The unit.
        """
        return self.files.units.get(band.name, self.files.unit)


class Product(NamedTuple):
    """An acquisition, and the entry that names its file."""

    file_set: FileSet
    acquisition: Acquisition


class Pass(NamedTuple):
    """What one pass of a satellite left: it becomes one frame."""

    time_ms: int
    """Of the first acquisition, in epoch milliseconds."""
    products: list[Product]
    """Those processed last first, then those with finer pixels."""


def group_passes(file_sets: Sequence[FileSet]) -> list[Pass]:
    """Group the acquisitions of a source by pass.

    Args:
        file_sets: the source's files.

    Returns:
        The passes, in the order of time.
    """
    products = [Product(each, acquisition) for each in file_sets for acquisition in each.acquisitions]
    products.sort(key=lambda product: product.acquisition.time_ms)
    passes: list[Pass] = []
    for product in products:
        time_ms = product.acquisition.time_ms
        if not passes or time_ms >= passes[-1].time_ms + PASS_MS:
            passes.append(Pass(time_ms, []))
        passes[-1].products.append(product)
    for each in passes:
        each.products.sort(key=lambda product: _finest(product.acquisition.rasters.values()))
        each.products.sort(key=lambda product: product.acquisition.product, reverse=True)
    return passes


class _Frame(NamedTuple):
    pixels: Num[np.ndarray, "H W C"]
    clear: Bool[np.ndarray, "H W"]
    metadata: Mapping[str, float]
    """Of the first product that shows the site."""


def read_series(
    source: Source, passes: Sequence[Pass], grid: Grid, period: Period, report: BuildReport
) -> Series | None:
    """Read all frames of a source in a period.

    Files of one pass are one frame: what the product that was processed last lacks, the others fill in.

    Args:
        source: the source.
        passes: its acquisitions.
        grid: the site's grid.
        period: start and end, in epoch milliseconds. A map without a time gets the start.
        report: takes what is not used.

    Returns:
        The series; None if no file shows the ground in the period.

    Raises:
        ValueError: more acquisitions contradict their unit than not; the message is the first reject.
    """
    frames: list[_Frame] = []
    times, before = [], len(report.rejects)
    for time_ms, products in passes:
        if source.timed and not period[0] <= time_ms < period[1]:
            report.dropped[f"{source.name}: outside of the support period"] += 1
        elif frame := _read_frame(source, products, grid, report):
            frames.append(frame._replace(pixels=_stored(source, frame.pixels)))
            times.append(time_ms if source.timed else period[0])
        else:
            report.dropped[f"{source.name}: does not show the site"] += 1
    rejects = report.rejects[before:]
    if len(rejects) > len(frames):
        raise ValueError(f"{rejects[0].where}: {rejects[0].reason}")
    if not frames:
        return None
    if source.name == SENTINEL2.name and keeps_offset(_darkest(source, frames)):
        report.warnings.append(Reject(source.name, "no value is below 1000: is baseline 04.00's offset taken off?"))
    metadata = [[frame.metadata.get(each.name, np.nan) for each in source.metadata] for frame in frames]
    integers = _integers(source)
    return Series(
        np.stack([frame.pixels for frame in frames]),
        np.stack([frame.clear for frame in frames])[..., None],
        np.array(times, np.int64),
        np.array(metadata, np.float32),
        integers[1] if integers else None,
    )


def _darkest(source: Source, frames: Sequence[_Frame]) -> dict[str, float]:
    """Return the 0.1-percentile of each band's stored values."""
    darkest = {}
    for channel, band in enumerate(source.bands):
        values = np.concatenate([frame.pixels[..., channel][frame.clear] for frame in frames])
        if (values > 0).any():
            darkest[band.name] = float(np.percentile(values[values > 0], 0.1))
    return darkest


def _finest(rasters: Iterable[Raster]) -> tuple[float, str]:
    return min((raster.transform.a, raster.where) for raster in rasters)


def _read_frame(source: Source, products: Sequence[Product], grid: Grid, report: BuildReport) -> _Frame | None:
    """Read one frame; None if nothing of it is on the grid."""
    shape = grid.side, grid.side
    pixels = np.full((*shape, source.channels), np.nan, np.float32)
    clear, is_masked, metadata = np.ones(shape, bool), np.zeros(shape, bool), None
    for file_set, acquisition in products:
        try:
            mask = _read_mask(file_set, acquisition, grid)
            bands = _read_bands(source, file_set, acquisition, grid, mask)
        except ValueError as error:
            where, _, reason = str(error).partition(": ")
            report.rejects.append(Reject(where, reason))
            continue
        for channel, values in bands.items():
            lacks = np.isnan(pixels[..., channel])
            pixels[lacks, channel] = values[lacks]
        if mask is not None:  # like the pixels, it is that of the first product that has one
            clear = np.where(is_masked, clear, mask.clear)
            is_masked |= mask.is_known
        if bands and metadata is None:
            metadata = file_set.files.metadata
    if metadata is None:
        return None
    if source.name == GLO30.name and np.isnan(pixels[..., 1:]).all():
        pixels[..., 1:] = slope_and_aspect(pixels[..., 0])
    has_mask = any(file_set.files.mask for file_set, _ in products)
    is_clear = clear & is_masked if has_mask else clear
    return _Frame(pixels, np.asarray(is_clear & np.isfinite(pixels).any(axis=-1)), metadata)


class _Mask(NamedTuple):
    clear: Bool[np.ndarray, "H W"]
    is_known: Bool[np.ndarray, "H W"]


def _read_mask(file_set: FileSet, acquisition: Acquisition, grid: Grid) -> _Mask | None:
    raster = acquisition.rasters.get(file_set.files.mask)
    values = None if raster is None else read_on_grid(raster, grid, is_category=True)
    if raster is None or values is None:
        return None
    try:
        return _Mask(clear_sky(file_set.mask_kind, values, file_set.files.dilation), np.isfinite(values))
    except ValueError as error:
        raise ValueError(f"{raster.where}: {error}") from error


def _read_bands(
    source: Source, file_set: FileSet, acquisition: Acquisition, grid: Grid, mask: _Mask | None
) -> dict[int, Float32[np.ndarray, "H W"]]:
    """Read the bands of an acquisition that are on the grid, by channel."""
    bands = {}
    for channel, band in enumerate(source.bands):
        raster = acquisition.rasters.get(file_set.names.get(band.name, ""))
        values = None if raster is None else read_on_grid(raster, grid, source.kind == "classes")
        if raster is None or values is None:
            continue
        values[np.isin(values, file_set.files.no_data)] = np.nan
        bands[channel] = _converted(values, file_set.unit(band), band, raster.where, mask)
    return bands


def _converted(
    values: Float32[np.ndarray, "H W"], unit: str, band: Band, where: str, mask: _Mask | None
) -> Float32[np.ndarray, "H W"]:
    """Convert values to the unit of records, and refuse those that cannot be in the unit that the config says."""
    converted = convert(values, unit, band, where)
    had, has = np.isfinite(values), np.isfinite(converted)
    if np.count_nonzero(had & ~has) > MAX_VANISHED * np.count_nonzero(had):
        raise ValueError(f"{where}: as {unit}, most values are no {band.unit}; they go up to {values[had].max():.5g}")
    seen = converted[has if mask is None else has & mask.clear]
    if problem := contradiction(seen, band):
        raise ValueError(f"{where}: as {unit}, {problem}")
    return converted


def _integers(source: Source) -> tuple[type[np.integer], int] | None:
    """Return number type and no data of a source whose bands all have a unit of integers."""
    units = {band.unit for band in source.bands}
    return INTEGERS.get(units.pop()) if len(units) == 1 else None


def _stored(source: Source, pixels: Float32[np.ndarray, "H W C"]) -> Num[np.ndarray, "H W C"]:
    """Convert to the number type of records."""
    integers = _integers(source)
    if integers is None:
        return pixels
    dtype, no_data = integers
    rounded = np.clip(np.rint(pixels), no_data + 1, np.iinfo(dtype).max)
    return np.where(np.isnan(pixels), no_data, rounded).astype(dtype)
