"""Read the bands and the mask of one product on a site's grid, in the units that records store."""

from functools import cache
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float32

from aef_jax.data.build.entry import Entry
from aef_jax.data.build.frames.masks import clear_sky
from aef_jax.data.build.frames.passes import Product
from aef_jax.data.build.frames.units import contradiction, convert, is_out_of_range, validate_unit, zero_is_no_data
from aef_jax.data.build.readers.baseline import BASELINE_UNIT, OFFSET, require_offset, unit_of_baseline
from aef_jax.data.build.readers.grid import Grid, read_on_grid
from aef_jax.data.build.readers.mtl import MTL_UNIT, convert_by_mtl
from configs.source import Band
from configs.sources import SENTINEL2

MAX_VANISHED = 0.5
"""Share of the values that may have no number in the band's unit (a logarithm of what is below 0)."""


class Mask(NamedTuple):
    """Where the sky is clear."""

    clear: Bool[np.ndarray, "H W"]
    is_known: Bool[np.ndarray, "H W"]
    """Where the product has a mask."""


def read_mask(product: Product, grid: Grid) -> Mask | None:
    """Read the mask of a product.

    Args:
        product: the product.
        grid: of the site.

    Returns:
        The mask; None if the product has none, or none of the site.

    Raises:
        ValueError: the file is damaged, or its numbers are not those of such a mask; the message begins with the file.
    """
    entry, acquisition = product
    raster = acquisition.rasters.get(entry.files.mask)
    values = None if raster is None else read_on_grid(raster, grid, is_category=True)
    if raster is None or values is None:
        return None
    try:
        return Mask(clear_sky(entry.mask_kind, values, entry.files.dilation), np.isfinite(values))
    except ValueError as error:
        raise ValueError(f"{raster.where}: {error}") from error


def read_bands(product: Product, grid: Grid, mask: Mask | None) -> dict[int, Float32[np.ndarray, "H W"]]:
    """Read the bands of a product.

    Args:
        product: the product.
        grid: of the site.
        mask: of the product; values under clouds tell nothing of their unit.

    Returns:
        Values in the units of the source, NaN for no data, by channel; only of bands that the product shows there.

    Raises:
        ValueError: a file is damaged, or its values cannot be in the unit that the config says; the message begins with
            the file.
    """
    entry, acquisition = product
    source, bands = entry.files.source, dict[int, Float32[np.ndarray, "H W"]]()

    @cache  # the sum, the mean and the extremes of a month are of one variable
    def read(name: str, no_data: tuple[float, ...]) -> Float32[np.ndarray, "H W"] | None:
        return read_on_grid(acquisition.rasters[name], grid, source.kind == "classes", no_data)

    for channel, band in enumerate(source.bands):
        name = entry.names.get(band.name, "")
        values = read(name, _no_data(entry, band)) if name in acquisition.rasters else None
        if values is None:
            continue
        where = acquisition.rasters[name].where
        converted = _convert(product, name, values, band, where)
        bands[channel] = _plausible(values, converted, entry.unit(band), band, where, mask)
    return bands


def _no_data(entry: Entry, band: Band) -> tuple[float, ...]:
    unit, (_, offset) = validate_unit(entry.unit(band), band, entry.files.name), entry.files.scale
    return (*entry.files.no_data, *((0.0,) if zero_is_no_data(unit, band) and offset == 0 else ()))


def _convert(
    product: Product, name: str, values: Float32[np.ndarray, "H W"], band: Band, where: str
) -> Float32[np.ndarray, "H W"]:
    """Convert values to the unit of records, by the config and by what the product says of itself."""
    entry, acquisition = product
    unit = validate_unit(entry.unit(band), band, where)
    if unit == MTL_UNIT:
        return convert_by_mtl(values, name, acquisition.mtl, where)
    if unit == BASELINE_UNIT:
        unit = unit_of_baseline(acquisition.baseline, where)
    if entry.files.name == SENTINEL2.name:
        (converted,) = _scale_and_convert(np.array([OFFSET], np.float32), unit, entry, band, where)
        require_offset(acquisition.baseline, unit, float(converted), where)
    return _scale_and_convert(values, unit, entry, band, where)


def _scale_and_convert(
    values: Float32[np.ndarray, "*N"], unit: str, entry: Entry, band: Band, where: str
) -> Float32[np.ndarray, "*N"]:
    factor, offset = entry.files.scale
    if (factor, offset) != (1.0, 0.0):
        values = (values.astype(np.float64) * factor + offset).astype(np.float32)
    return convert(values, unit, band, where)


def _plausible(
    values: Float32[np.ndarray, "H W"],
    converted: Float32[np.ndarray, "H W"],
    unit: str,
    band: Band,
    where: str,
    mask: Mask | None,
) -> Float32[np.ndarray, "H W"]:
    """Refuse values that cannot be in the unit that the config says; where a mask hides them they are fill."""
    had, has = np.isfinite(values), np.isfinite(converted)
    if np.count_nonzero(had & ~has) > MAX_VANISHED * np.count_nonzero(had):
        raise ValueError(f"{where}: as {unit}, most values are no {band.unit}; they go up to {values[had].max():.5g}")
    seen = converted[has if mask is None else has & mask.clear]
    if problem := contradiction(seen, band):
        raise ValueError(f"{where}: as {unit}, {problem}")
    return converted if mask is None else np.where(~mask.clear & is_out_of_range(converted, band), np.nan, converted)
