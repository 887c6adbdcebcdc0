"""Read GeoTIFF, COG and JPEG 2000: one file per acquisition, or one per band."""

import re
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import PurePosixPath
from threading import get_ident
from typing import Any

import numpy as np
import rasterio
import rasterio.errors
from jaxtyping import Float32
from rasterio.transform import Affine
from rasterio.windows import Window

from aef_jax.data.build.catalogs.acquisition import Acquisition
from aef_jax.data.build.config import FilesConfig, LabelsConfig
from aef_jax.data.build.readers.file_table import row_of_file
from aef_jax.data.build.readers.grid import parse_crs
from aef_jax.data.build.readers.mtl import MTL_UNIT, read_mtl_beside
from aef_jax.data.build.readers.remote import GDAL_OPTIONS, read_cached, reason, without_query
from aef_jax.data.build.readers.times import parse_time, sentinel2_baseline, time_of_name
from configs.serialization.printable import printable

_BAND_OF_NAME = re.compile(r"(?:^|[_.-])((?:S[RT]_|ST-|QA_|MSK_)?[A-Za-z][A-Za-z0-9]*)(?:[_-]\d+m)?$")
"""The band at the end of a file's name: `..._SR_B2`, `T32TMT_..._B02_10m`, `...-vv`."""


@dataclass(frozen=True, slots=True)
class TiffFile:
    """A file that GDAL reads, without its pixels."""

    path: str
    crs: rasterio.CRS
    transform: Affine
    shape: tuple[int, int]
    names: tuple[str, ...]
    """Of its bands; empty if a band has none."""
    tags: Mapping[str, str]
    cache: str
    """Folder that keeps windows of remote files; empty for none."""

    @property
    def name(self) -> str:
        """The path, or the URL without its query."""
        return without_query(self.path)


@dataclass(frozen=True, slots=True)
class _TiffBand:
    """A band of a file."""

    file: TiffFile
    index: int
    """From 1."""
    name: str

    @property
    def where(self) -> str:
        """File and band, for messages."""
        return f"{printable(self.file.name)}, band {printable(self.name)}"

    @property
    def crs(self) -> rasterio.CRS:
        """Coordinate reference system of the file."""
        return self.file.crs

    @property
    def transform(self) -> Affine:
        """Of the file."""
        return self.file.transform

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of the file."""
        return self.file.shape

    def read(self, rows: slice, columns: slice) -> Float32[np.ndarray, "h w"]:
        """Read a window, with the file's own scale, offset and no data applied. See `Raster`."""
        window = self.index, rows.start, rows.stop, columns.start, columns.stop
        return read_cached(self.file.cache, self.file.path, window, lambda: self._read(rows, columns))

    def _read(self, rows: slice, columns: slice) -> Float32[np.ndarray, "h w"]:
        try:
            file = _open(self.file.path, get_ident())
            stored = file.read(self.index, window=Window.from_slices(rows, columns), masked=True)
            scale, offset = file.scales[self.index - 1], file.offsets[self.index - 1]
        except rasterio.errors.RasterioError as error:
            raise ValueError(f"{self.where}: it cannot be read: {reason(error, self.file.path)}") from error
        values = np.where(np.ma.getmaskarray(stored), np.nan, stored.data)
        return (values * scale + offset).astype(np.float32)


@lru_cache(maxsize=8)
def _open(path: str, _thread: int) -> Any:
    """Open a file, whose bands are read one after another. Threads must not share what GDAL opened."""
    with rasterio.Env(**GDAL_OPTIONS):
        return rasterio.open(path, driver=_driver(path))


def open_tiff(path: str, crs: str, cache: str) -> TiffFile:
    """Read the header of a file.

    Args:
        path: the file, or its URL.
        crs: coordinate reference system to use in place of the file's; empty for the file's.
        cache: folder that keeps windows of remote files; empty for none.

    Returns:
        The file.

    Raises:
        ValueError: it is damaged, complex, rotated, not north-up, or names no crs; the message has the path.
    """
    where = printable(without_query(path))
    try:
        with (
            warnings.catch_warnings(action="ignore", category=rasterio.errors.NotGeoreferencedWarning),
            rasterio.Env(**GDAL_OPTIONS),
            rasterio.open(path, driver=_driver(path)) as file,
        ):
            dtypes, shape, transform, known, tags = file.dtypes, file.shape, file.transform, file.crs, file.tags()
            names = tuple(name or "" for name in file.descriptions)
    except rasterio.errors.RasterioError as error:
        raise ValueError(f"{where} cannot be read: {reason(error, path)}") from error
    if crs or known is None:
        known = parse_crs(crs, where)
    if any(dtype.startswith("complex") for dtype in dtypes):
        raise ValueError(f"{where} holds complex numbers ({dtypes[0]}), expected backscatter or other real numbers")
    if transform.is_identity:
        raise ValueError(f"{where} has no place on the ground (no geotransform), expected a georeferenced file")
    if transform.b or transform.d or transform.a <= 0 or transform.e >= 0:
        raise ValueError(f"{where} is rotated or not north-up ({tuple(transform)[:6]}), expected a north-up grid")
    return TiffFile(path, known, transform, shape, names, tags, cache)


def name_bands(file: TiffFile, order: Sequence[str]) -> dict[str, _TiffBand]:
    """Name the bands of a file.

    Args:
        file: the file.
        order: names of its bands by position, which the user or a catalog tells; empty for the file's own.

    Returns:
        The bands by name. A single band without a name has the one at the end of the file's name.

    Raises:
        ValueError: a band has no name, or `order` names another number of bands.
    """
    where = printable(file.name)
    if order and len(order) != len(file.names):
        raise ValueError(f"{where} has {len(file.names)} bands, expected {len(order)}: {', '.join(order)}")
    names = order or file.names
    if len(names) == 1 and not names[0]:
        names = [_band_of(file.name)]
    unnamed = [index for index, name in enumerate(names, 1) if not name]
    if unnamed:
        raise ValueError(
            f"{where}: bands {unnamed} have no name (description): bands match by name, never by position; say in"
            " `order` what they are"
        )
    return {name: _TiffBand(file, index, name) for index, name in enumerate(names, 1)}


def list_acquisitions(path: str, files: FilesConfig | LabelsConfig) -> list[Acquisition]:
    """List the only acquisition of a file. See `Reader`.

    Args:
        path: the file, or its URL.
        files: the entry of the config that names it.

    Returns:
        One acquisition; its rasters have the names of the file's bands, or of the file itself if it has one band.

    Raises:
        ValueError: the file is damaged, rotated or names no crs, or it has no time; the message has the path.
    """
    file = open_tiff(path, files.crs, files.cache)
    if isinstance(files, LabelsConfig):
        return [Acquisition(0, "", name_bands(file, ()), file.transform.a)]
    bands = name_bands(file, files.order)
    time_ms = _time(file, files) if files.source.timed else 0
    mtl = read_mtl_beside(file.name) if MTL_UNIT in (files.unit, *files.units.values()) else {}
    baseline = sentinel2_baseline(file.name)
    return [Acquisition(time_ms, _product(file.name), bands, file.transform.a, baseline=baseline, mtl=mtl)]


def _time(file: TiffFile, files: FilesConfig) -> int:
    where = printable(file.name)
    if files.table:
        row = row_of_file(files.table, file.name)
        return parse_time(row.get("time", ""), f"{files.table}, the time of {where}")
    if files.time_tag:
        if files.time_tag not in file.tags:
            raise ValueError(
                f"{where} has no tag {files.time_tag!r}, only {[printable(tag) for tag in file.tags][:20]}"
            )
        return parse_time(file.tags[files.time_tag], f"{where}, tag {files.time_tag}")
    return time_of_name(file.name, files.time, where)


def _driver(path: str) -> str:
    """Return the driver of GDAL for a file. Others are never used: some run code, or read what a file names."""
    return "JP2OpenJPEG" if PurePosixPath(without_query(path)).suffix.lower() == ".jp2" else "GTiff"


def _band_of(path: str) -> str:
    stem = PurePosixPath(path).stem
    match = _BAND_OF_NAME.search(stem)
    return match[1] if match else stem


def _product(path: str) -> str:
    """Return what orders reprocessed products: the last stamp in a folder's name is when it was processed."""
    stamps = re.findall(r"\d{8}(?:T\d{6})?", PurePosixPath(path).parent.name)
    return stamps[-1] if stamps else ""
