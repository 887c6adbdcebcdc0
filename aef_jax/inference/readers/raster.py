"""Read embedding fields from rasters: the project's COGs, the public annual layers, and virtual rasters of both.

GDAL finds them at a path, at https://, s3:// or gs://. The public buckets take requests without a signature if the
environment has AWS_NO_SIGN_REQUEST=YES (Source Cooperative, region us-west-2) or GS_NO_SIGN_REQUEST=YES (Google).
"""

from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float32

from aef_jax.inference.encoding import band_names, decode, described_period, year_of_path
from aef_jax.inference.extras import needs_extra
from aef_jax.inference.field import FieldInfo
from configs.serialization.printable import printable, sentence
from configs.source import PIXEL_M

RELEASED_DIM = 64
"""D of the public annual layers: the number of bands of a raster whose bands have no names."""


class RasterField(NamedTuple):
    """A field in a raster. The raster is opened for each window, so that several threads may read."""

    path: str
    info: FieldInfo
    """Ground, time and model; north-up, also if the raster is stored bottom-up."""
    is_bottom_up: bool
    """Whether its first row is its southernmost, as in the copy of the layers on Source Cooperative."""

    def read(self, rows: slice, columns: slice) -> Float32[np.ndarray, "h w D"]:
        """Read a window; see `aef_jax.inference.field.Field.read`.

        Args:
            rows: rows of the field, from the north.
            columns: columns of the field.

        Returns:
            Unit vectors; NaN is no data.

        Raises:
            ValueError: the raster is damaged or gone.
        """
        height = self.info.shape[0]
        stored_rows = (height - rows.stop, height - rows.start) if self.is_bottom_up else (rows.start, rows.stop)
        with _open(self.path) as dataset:
            try:
                stored = dataset.read(window=(stored_rows, (columns.start, columns.stop)))
            except Exception as error:  # of GDAL's errors, rasterio's base class holds only some
                raise ValueError(f"{printable(self.path)} cannot be read: {sentence(error)}") from error
        return decode(np.moveaxis(stored[:, ::-1] if self.is_bottom_up else stored, 0, -1))


def open_raster(path: str) -> RasterField:
    """Open a field in a raster.

    Args:
        path: or URL, of anything that GDAL reads.

    Returns:
        The field.

    Raises:
        ValueError: it is missing or damaged, or holds no embedding field.
        ModuleNotFoundError: rasterio is not installed.
    """
    with _open(path) as dataset:
        if problem := _problem(dataset):
            raise ValueError(f"{printable(path)} is no embedding field: {problem}")
        a, _, west, _, e, y = tuple(dataset.transform)[:6]
        north = y + max(e, 0) * dataset.height
        tags = dataset.tags()
        info = FieldInfo(
            crs=dataset.crs.to_string(),
            transform=(a, 0.0, west, 0.0, -abs(e), north),
            shape=(dataset.height, dataset.width),
            embed_dim=dataset.count,
            period=_period("VALID", tags, path) or year_of_path(path),
            support=_period("SUPPORT", tags, path),
            model=printable(tags.get("AEF_MODEL", "")),
        )
        return RasterField(path, info, is_bottom_up=e > 0)


def _open(path: str) -> Any:
    with needs_extra("GeoTIFFs", "geo"):
        import rasterio
        import rasterio.errors
    # the other files of a remote folder are not listed
    options: dict[str, Any] = {"GDAL_DISABLE_READDIR_ON_OPEN": "EMPTY_DIR"} if "://" in path else {}
    try:
        with rasterio.Env(**options):
            return rasterio.open(path)
    except rasterio.errors.RasterioError as error:
        raise ValueError(f"{printable(path)} cannot be opened: {sentence(error)}") from error


def _problem(dataset: Any) -> str:
    """Say why a raster is no embedding field; empty if it is one."""
    kinds = sorted(set(dataset.dtypes))
    if kinds not in (["int8"], ["float32"]):
        return f"its bands are {', '.join(kinds)}, expected int8 or float32"
    names = [name for name in dataset.descriptions if name]
    if names != band_names(dataset.count) if names else dataset.count != RELEASED_DIM:
        named = f"called {printable(', '.join(names))}" if names else "without names"
        return f"it has {dataset.count} bands {named}, expected {RELEASED_DIM}, or A00, A01, ..."
    if dataset.crs is None or not dataset.crs.is_projected:
        return "it has no coordinate reference system in meters"
    a, b, _, d, e, _ = tuple(dataset.transform)[:6]
    if (a, b, d, abs(e)) != (PIXEL_M, 0, 0, PIXEL_M):
        return f"its transform is {tuple(dataset.transform)[:6]}, expected pixels of {PIXEL_M} m along its axes"
    return ""


def _period(name: Any, tags: dict[str, str], path: str) -> Any:
    try:
        return described_period(name, tags)
    except ValueError as error:
        raise ValueError(f"{printable(path)}: its tag AEF_{name} is no period: {sentence(error)}") from None
