"""Read GeoTIFF, COG and JPEG 2000: one file per acquisition, or one per band."""

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import rasterio
import rasterio.errors
from jaxtyping import Float32
from rasterio.transform import Affine
from rasterio.windows import Window

from aef_jax.data.build.config import FilesConfig, LabelsConfig
from aef_jax.data.build.readers.acquisition import Acquisition
from aef_jax.data.build.readers.grid import parse_crs
from aef_jax.data.build.readers.times import time_of_name
from configs.serialization.printable import printable, sentence

_BAND_OF_NAME = re.compile(r"(?:^|[_.-])((?:S[RT]_|ST-|QA_|MSK_)?[A-Za-z][A-Za-z0-9]*)(?:[_-]\d+m)?$")
"""The band at the end of a file's name: `..._SR_B2`, `T32TMT_..._B02_10m`, `...-vv`."""


@dataclass(frozen=True)
class _TiffBand:
    """A band of a file that GDAL reads."""

    path: Path
    index: int
    """From 1."""
    where: str
    crs: rasterio.CRS
    transform: Affine
    shape: tuple[int, int]

    def read(self, rows: slice, columns: slice) -> Float32[np.ndarray, "h w"]:
        """Read a window, with the file's own scale, offset and no data applied. See `Raster`."""
        window = Window.from_slices(rows, columns)
        try:
            with rasterio.Env(), rasterio.open(self.path) as file:
                stored = file.read(self.index, window=window, masked=True)
                scale, offset = file.scales[self.index - 1], file.offsets[self.index - 1]
        except rasterio.errors.RasterioError as error:
            raise ValueError(f"{self.where} cannot be read: {sentence(error)}") from error
        return (stored.astype(np.float64) * scale + offset).astype(np.float32).filled(np.nan)


def list_acquisitions(path: Path, files: FilesConfig | LabelsConfig) -> list[Acquisition]:
    """List the only acquisition of a file.

    Args:
        path: the file.
        files: the entry of the config that names it.

    Returns:
        One acquisition; its rasters have the names of the file's bands, or of the file itself if it has one band.

    Raises:
        ValueError: the file is damaged, rotated or names no crs, or its path no time; the message has the path.
    """
    try:
        with rasterio.Env(), rasterio.open(path) as file:
            count, shape, transform = file.count, file.shape, file.transform
            crs, names = file.crs, [name or "" for name in file.descriptions]
    except rasterio.errors.RasterioError as error:
        raise ValueError(f"{path} cannot be read: {sentence(error)}") from error
    if files.crs or crs is None:
        crs = parse_crs(files.crs, path)
    if transform.b or transform.d or transform.a <= 0 or transform.e >= 0:
        raise ValueError(f"{path} is rotated or not north-up ({tuple(transform)[:6]}), expected a north-up grid")
    if count == 1 and not names[0]:
        names = [_band_of(path)]
    unnamed = [index for index, name in enumerate(names, 1) if not name]
    if unnamed:
        raise ValueError(f"{path}: bands {unnamed} have no name (description): bands match by name, never by position")
    where = {name: f"{printable(str(path))}, band {printable(name)}" for name in names}
    rasters = {name: _TiffBand(path, i, where[name], crs, transform, shape) for i, name in enumerate(names, 1)}
    time_ms = 0
    if isinstance(files, FilesConfig) and files.source.timed:
        time_ms = time_of_name(str(path), files.time, str(path))
    return [Acquisition(time_ms, _product(path), rasters)]


def _band_of(path: Path) -> str:
    match = _BAND_OF_NAME.search(path.stem)
    return match[1] if match else path.stem


def _product(path: Path) -> str:
    """Return what orders reprocessed products: the last stamp in a folder's name is when it was processed."""
    stamps = re.findall(r"\d{8}(?:T\d{6})?", path.parent.name)
    return stamps[-1] if stamps else ""
