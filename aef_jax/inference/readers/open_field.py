"""Open embedding fields: the project's own and the public annual layers."""

from collections.abc import Sequence

from aef_jax.inference.field import Field
from aef_jax.inference.readers.mosaic import make_mosaic
from aef_jax.inference.readers.raster import open_raster
from aef_jax.inference.readers.zarr_store import open_zarr


def open_field(path: str) -> Field:
    """Open a field to read windows of it.

    Args:
        path: or URL, of a GeoTIFF or of another raster that GDAL reads, such as the .vrt of the public layers; or of a
            Zarr store, whose name ends in .zarr. `fields.zarr#2019` is its field of the period that begins in
            2019, `fields.zarr#2019-01-01..2020-01-01` that of the year.

    Returns:
        The field. Its vectors are of length 1, also if they are stored as codes.

    Raises:
        ValueError: there is no such field.
        ModuleNotFoundError: rasterio or zarr is not installed.
    """
    store, _, start = path.partition("#")
    return open_zarr(store, start) if store.rstrip("/").endswith(".zarr") else open_raster(path)


def open_fields(paths: Sequence[str]) -> Field:
    """Open fields of one coordinate reference system and one period as a single field.

    Args:
        paths: as of `open_field`, such as those of `index.find_files`.

    Returns:
        A field over all of them; NaN between them. Where two overlap, the first that has data counts.

    Raises:
        ValueError: there is no such field, or the fields differ in more than their ground.
        ModuleNotFoundError: rasterio or zarr is not installed.
    """
    return make_mosaic(paths, [open_field(path) for path in paths])
