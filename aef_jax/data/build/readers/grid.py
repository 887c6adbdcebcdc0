"""Bring rasters onto a site's grid of 10 m."""

from collections.abc import Sequence
from functools import cache
from math import ceil, floor
from typing import NamedTuple, Protocol

import numpy as np
import rasterio
import rasterio.errors
import rasterio.warp
from jaxtyping import Float32
from rasterio.enums import Resampling
from rasterio.transform import Affine
from rasterio.windows import Window, from_bounds

from aef_jax.data.build.sites.footprint import Cap, cap_of
from configs.serialization.printable import printable
from configs.source import PIXEL_M

MARGIN = 3
"""Pixels read around the ground of a site, for the resampling at its edges."""
FINER = 0.75
"""Rasters with pixels of less than this share of a site's are averaged, so that no pixel of theirs is left out."""
_FULL_TURN = 360
"""Degrees."""
_SAME = 1e-6
"""Pixels that two grids may be apart and be the same."""


class Grid(NamedTuple):
    """The grid of a site: north-up, pixels of 10 m."""

    crs: str
    transform: tuple[float, ...]
    side: int

    @property
    def bounds(self) -> tuple[float, float, float, float]:
        """West, south, east and north, in its crs."""
        _, _, west, _, _, north = self.transform
        return west, north - self.side * PIXEL_M, west + self.side * PIXEL_M, north

    @property
    def cap(self) -> Cap:
        """A cap of the sphere that holds it."""
        return cap_of(self.crs, self.transform, (self.side, self.side))


class Raster(Protocol):
    """One band of one acquisition, in a file."""

    @property
    def where(self) -> str:
        """File and band, for messages."""
        ...

    @property
    def crs(self) -> rasterio.CRS:
        """Coordinate reference system."""
        ...

    @property
    def transform(self) -> Affine:
        """Of the rows and columns that `read` takes: north-up."""
        ...

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        ...

    def read(self, rows: slice, columns: slice) -> Float32[np.ndarray, "h w"]:
        """Read a window.

        Args:
            rows: rows of the raster.
            columns: columns of the raster.

        Returns:
            The values; NaN is no data.
        """
        ...


def parse_crs(text: str, where: str) -> rasterio.CRS:
    """Read the coordinate reference system of a file.

    Args:
        text: what the file or the config says; empty if neither does.
        where: names the file, for messages.

    Returns:
        The system.

    Raises:
        ValueError: there is none, or PROJ does not know it.
    """
    if not text:
        raise ValueError(f"{where} names no coordinate reference system: give crs in the config")
    try:
        with rasterio.Env():  # GDAL's own messages go to the logging
            return rasterio.CRS.from_user_input(text)
    except (rasterio.errors.CRSError, ValueError) as error:  # ValueError of EPSG:banana
        raise ValueError(f"{where}: its crs {printable(text)} is not known to PROJ") from error


def read_on_grid(
    raster: Raster, grid: Grid, is_category: bool, no_data: Sequence[float] = ()
) -> Float32[np.ndarray, "H W"] | None:
    """Read a raster onto a grid: bilinear, averaged if its pixels are finer, nearest for categories.

    Args:
        raster: the raster, in any coordinate reference system. In one of degrees it may go around the earth, from -180
            or from 0 on.
        grid: the site's grid.
        is_category: whether the values are classes or bits.
        no_data: numbers that are no data, as are those that are not finite. They are left out before values are mixed.

    Returns:
        The values, NaN for no data; None if the raster does not reach the grid.

    Raises:
        ValueError: the file is damaged; the message has its name.
    """
    crs = _crs(grid.crs)
    bounds = grid.bounds if crs == raster.crs else rasterio.warp.transform_bounds(crs, raster.crs, *grid.bounds)
    west, south, east, north = _turned(bounds, raster) if raster.crs.is_geographic else bounds
    if not np.isfinite(bounds).all() or west >= east:
        return None  # the raster's system does not hold the ground, or cuts it
    ground = from_bounds(west, south, east, north, transform=raster.transform)
    if crs == raster.crs and (offsets := _aligned(raster, ground)):
        result = _copy(raster, *offsets, grid.side, no_data)
    else:
        result = _resample(raster, grid, ground, is_category, no_data)
    return None if result is None or np.isnan(result).all() else result


@cache
def _crs(text: str) -> rasterio.CRS:
    return rasterio.CRS.from_user_input(text)


def _turned(bounds: tuple[float, ...], raster: Raster) -> tuple[float, float, float, float]:
    """Add whole turns to longitudes, so that they are those of a raster; the east may be across 180 degrees."""
    west, south, east, north = bounds
    east += _FULL_TURN if east < west else 0
    middle = raster.transform.c + raster.transform.a * raster.shape[1] / 2
    turns = _FULL_TURN * round((middle - (west + east) / 2) / _FULL_TURN)
    return west + turns, south, east + turns, north


def _aligned(raster: Raster, ground: Window) -> tuple[int, int] | None:
    """Return the grid's first row and column in the raster, if the pixels of both are the same."""
    a, _, _, _, e, *_ = raster.transform
    row, column = round(ground.row_off), round(ground.col_off)
    is_aligned = max(abs(row - ground.row_off), abs(column - ground.col_off)) < _SAME
    return (row, column) if (a, e) == (PIXEL_M, -PIXEL_M) and is_aligned else None


def _copy(
    raster: Raster, row: int, column: int, side: int, no_data: Sequence[float]
) -> Float32[np.ndarray, "H W"] | None:
    """Read the pixels of the grid as they are."""
    values, top, left = _read_window(raster, slice(row, row + side), slice(column, column + side), no_data)
    if not values.size:
        return None
    result = np.full((side, side), np.nan, np.float32)
    result[top - row :, left - column :][: len(values), : values.shape[1]] = values
    return result


def _resample(
    raster: Raster, grid: Grid, ground: Window, is_category: bool, no_data: Sequence[float]
) -> Float32[np.ndarray, "H W"] | None:
    rows, columns = (
        slice(floor(start) - MARGIN, ceil(start + extent) + MARGIN)
        for start, extent in ((ground.row_off, ground.height), (ground.col_off, ground.width))
    )
    values, top, left = _read_window(raster, rows, columns, no_data)
    if not values.size:
        return None
    a, _, west, _, e, north, *_ = raster.transform
    is_finer = max(ground.width, ground.height) * FINER > grid.side
    result = np.full((grid.side, grid.side), np.nan, np.float32)
    rasterio.warp.reproject(
        values,
        result,
        src_transform=Affine(a, 0, west + a * left, 0, e, north + e * top),
        src_crs=raster.crs,
        dst_transform=Affine(*grid.transform),
        dst_crs=_crs(grid.crs),
        src_nodata=np.nan,
        dst_nodata=np.nan,
        resampling=_resampling(is_category, is_finer),
    )
    return result


def _read_window(
    raster: Raster, rows: slice, columns: slice, no_data: Sequence[float]
) -> tuple[Float32[np.ndarray, "h w"], int, int]:
    """Read the part of a window that a raster has; a raster around the earth goes on at its other end.

    Returns:
        The values, NaN for no data, and the row and column of the first.
    """
    height, width = raster.shape
    rows = slice(max(rows.start, 0), min(rows.stop, height))
    pixel = raster.transform.a
    is_around = raster.crs.is_geographic and abs(width * pixel - _FULL_TURN) < pixel / 2
    if not is_around:
        columns = slice(max(columns.start, 0), min(columns.stop, width))
    pieces, column = [np.zeros((max(rows.stop - rows.start, 0), 0), np.float32)], columns.start
    while column < columns.stop and rows.start < rows.stop:
        first = column % width
        length = min(columns.stop - column, width - first)
        pieces.append(raster.read(rows, slice(first, first + length)))
        column += length
    values = np.concatenate(pieces, axis=1)
    is_data = np.isfinite(values) & ~np.isin(values, np.array(no_data, np.float32))
    return np.where(is_data, values, np.float32(np.nan)), rows.start, columns.start


def _resampling(is_category: bool, is_finer: bool) -> Resampling:
    if is_category:
        return Resampling.nearest
    return Resampling.average if is_finer else Resampling.bilinear
