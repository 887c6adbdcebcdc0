"""Read the frames of one source on a site's grid, in the number types that records store."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float32, Num

from aef_jax.data.build.entry import Entry
from aef_jax.data.build.frames.months import read_month
from aef_jax.data.build.frames.passes import Pass, Product, group_months, group_passes
from aef_jax.data.build.frames.products import Mask, read_bands, read_mask
from aef_jax.data.build.frames.units import keeps_offset
from aef_jax.data.build.readers.grid import Grid
from aef_jax.data.store.site import Period, Series
from aef_jax.data.terrain import slope_and_aspect
from configs.source import Source
from configs.sources import GLO30, SENTINEL2

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

    def reject(self, error: ValueError) -> None:
        """Add a file that cannot be used.

        Args:
            error: its message begins with the file.
        """
        where, _, reason = str(error).partition(": ")
        self.rejects.append(Reject(where, reason))


class _Frame(NamedTuple):
    pixels: Num[np.ndarray, "H W C"]
    clear: Bool[np.ndarray, "H W"]
    metadata: Mapping[str, float]
    """Of the first product that shows the site."""


def read_series(
    source: Source, entries: Sequence[Entry], grid: Grid, period: Period, report: BuildReport
) -> Series | None:
    """Read all frames of a source in a period.

    Files of one pass are one frame: what the product that was processed last lacks, the others fill in.

    Args:
        source: the source.
        entries: of the config, all of this source.
        grid: the site's grid.
        period: start and end, in epoch milliseconds. A map without a time gets the start.
        report: takes what is not used.

    Returns:
        The series; None if no file shows the ground in the period.

    Raises:
        ValueError: more acquisitions contradict their unit than not, and the message is the first reject; or a catalog
            cannot be read.
    """
    frames: list[_Frame] = []
    times, before = [], len(report.rejects)
    for time_ms, products in _passes(source, entries, grid, period, report):
        if frame := _read_frame(source, products, grid, report):
            frames.append(frame._replace(pixels=_stored(source, frame.pixels)))
            times.append(time_ms if source.timed else period[0])
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


def _passes(source: Source, entries: Sequence[Entry], grid: Grid, period: Period, report: BuildReport) -> list[Pass]:
    """List what becomes frames of a period, and count what is outside of it."""
    products = [Product(entry, each) for entry in entries for each in entry.catalog.find(grid, period)]
    is_inside = [not source.timed or period[0] <= each.acquisition.time_ms < period[1] for each in products]
    inside = [product for product, inside in zip(products, is_inside, strict=True) if inside]
    if any(entry.files.monthly for entry in entries):
        return group_months(inside)
    outside = group_passes([product for product, inside in zip(products, is_inside, strict=True) if not inside])
    if outside:
        report.dropped[f"{source.name}: outside of the support period"] += len(outside)
    return group_passes(inside)


def _darkest(source: Source, frames: Sequence[_Frame]) -> dict[str, float]:
    """Return the 0.1-percentile of each band's stored values."""
    darkest = {}
    for channel, band in enumerate(source.bands):
        values = np.concatenate([frame.pixels[..., channel][frame.clear] for frame in frames])
        if (values > 0).any():
            darkest[band.name] = float(np.percentile(values[values > 0], 0.1))
    return darkest


def _read_frame(source: Source, products: Sequence[Product], grid: Grid, report: BuildReport) -> _Frame | None:
    """Read one frame; None if nothing of it is on the grid, which is counted."""
    before = len(report.rejects)
    read = _read_month if products[0].entry.files.monthly else _read_pass
    frame = read(source, products, grid, report)
    if frame is None and len(report.rejects) == before:
        report.dropped[f"{source.name}: has no data at the site"] += 1
    return frame


def _read_month(source: Source, products: Sequence[Product], grid: Grid, report: BuildReport) -> _Frame | None:
    try:
        pixels = read_month(source, products, grid)
    except ValueError as error:
        report.reject(error)
        return None
    has_data = np.isfinite(pixels).any(axis=-1)
    return _Frame(pixels, np.asarray(has_data), products[0].entry.files.metadata) if has_data.any() else None


def _read_pass(source: Source, products: Sequence[Product], grid: Grid, report: BuildReport) -> _Frame | None:
    shape = grid.side, grid.side
    pixels, metadata = np.full((*shape, source.channels), np.nan, np.float32), None
    masks = _read_masks(products, grid, report)
    sky = _join_masks([mask for _, mask in masks if mask is not None], shape)
    for product, mask in masks:
        try:  # the mask may be a file of its own, that is another product of the pass
            bands = read_bands(product, grid, sky if mask is None else mask)
        except ValueError as error:
            report.reject(error)
            continue
        for channel, values in bands.items():
            lacks = np.isnan(pixels[..., channel])
            pixels[lacks, channel] = values[lacks]
        if bands and metadata is None:
            metadata = {**product.acquisition.metadata, **product.entry.files.metadata}
    if metadata is None:
        return None
    if source.name == GLO30.name and np.isnan(pixels[..., 1:]).all():
        pixels[..., 1:] = slope_and_aspect(pixels[..., 0])
    has_mask = any(product.entry.files.mask for product in products)
    is_clear = sky.clear & sky.is_known if has_mask else np.ones(shape, bool)
    return _Frame(pixels, np.asarray(is_clear & np.isfinite(pixels).any(axis=-1)), metadata)


def _read_masks(products: Sequence[Product], grid: Grid, report: BuildReport) -> list[tuple[Product, Mask | None]]:
    """Read the mask of each product; those of which it cannot be read are left out."""
    masks = []
    for product in products:
        try:
            masks.append((product, read_mask(product, grid)))
        except ValueError as error:
            report.reject(error)
    return masks


def _join_masks(masks: Sequence[Mask], shape: tuple[int, int]) -> Mask:
    """Take the mask of each pixel from the first product that has one; where none has, nothing is hidden."""
    clear, is_known = np.ones(shape, bool), np.zeros(shape, bool)
    for mask in masks:
        clear = np.where(is_known | ~mask.is_known, clear, mask.clear)
        is_known |= mask.is_known
    return Mask(clear, is_known)


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
