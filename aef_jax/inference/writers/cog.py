"""Write an embedding field as a cloud-optimized GeoTIFF, with one band per axis (A00 ... A63) as in the release."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float32

from aef_jax.files.atomic import replace_file, temporary_folder
from aef_jax.inference.encoding import NO_DATA_OF, StoredAs, band_names, describe, encode, software
from aef_jax.inference.extras import needs_extra
from aef_jax.inference.field import FieldInfo, FieldWriter
from aef_jax.inference.writers.overviews import write_overviews

MAX_SIDE = 8192
"""Most rows and columns of a file, as in the release."""
BLOCK = 256
"""Side of a block of the file, in pixels."""
_CACHE_BYTES = 128 * 2**20
"""GDAL's block cache while a field is written; by default it is a share of the machine's memory."""


class _CogWriter(NamedTuple):
    dataset: Any
    dtype: StoredAs

    def write(self, rows: slice, columns: slice, field: Float32[np.ndarray, "h w D"]) -> None:
        window = ((rows.start, rows.stop), (columns.start, columns.stop))
        self.dataset.write(np.moveaxis(encode(field, self.dtype), -1, 0), window=window)


@contextmanager
def write_cog(path: Path, info: FieldInfo, dtype: StoredAs = "int8") -> Iterator[FieldWriter]:
    """Write a field, window by window, in bounded memory. The file appears complete at the end, or not at all.

    A COG cannot be written in place, since its layout is known only at the end. Until then the field lies uncompressed
    in a temporary folder beside the file: 5.7 GB for 8192 x 8192 x 64 codes, four times as much for float32. Windows of
    multiples of 256 rows and columns are the fastest.

    Args:
        path: the file to write. Folders above it are created, and a file of this name is replaced.
        info: of the field.
        dtype: int8 for one byte per number, quantized as in the release; or float32.

    Yields:
        The writer. What is not written is no data.

    Raises:
        ModuleNotFoundError: rasterio is not installed.
        ValueError: the field has more rows or columns than a file of the release.
    """
    with needs_extra("GeoTIFFs", "geo"):
        import rasterio
        import rasterio.shutil
    if max(info.shape) > MAX_SIDE:
        raise ValueError(
            f"{path}: the field has {info.shape[0]} x {info.shape[1]} pixels, expected at most {MAX_SIDE} x {MAX_SIDE}"
            " in a file: write several, or Zarr"
        )
    profile = _profile(info, dtype)
    with temporary_folder(path) as folder, rasterio.Env(GDAL_CACHEMAX=_CACHE_BYTES):
        base = folder / "base.tif"
        with rasterio.open(base, "w", **profile) as dataset:
            dataset.descriptions = band_names(info.embed_dim)
            dataset.update_tags(TIFFTAG_SOFTWARE=software(), **describe(info, dtype))
            yield _CogWriter(dataset, dtype)
        write_overviews(base, profile, dtype)
        with replace_file(path) as temporary, rasterio.open(base) as dataset:
            layout = {"blocksize": BLOCK, "overviews": "force_use_existing", "bigtiff": "if_safer"}
            speed = {"num_threads": "all_cpus"}
            rasterio.shutil.copy(
                dataset, temporary, driver="COG", compress="deflate", predictor="yes", **layout, **speed
            )


def _profile(info: FieldInfo, dtype: StoredAs) -> dict[str, Any]:
    import rasterio

    height, width = info.shape
    return {
        "driver": "GTiff",
        "height": height,
        "width": width,
        "count": info.embed_dim,
        "dtype": dtype,
        "nodata": NO_DATA_OF[dtype],
        "crs": info.crs,
        "transform": rasterio.Affine(*info.transform),
        "tiled": True,
        "blockxsize": BLOCK,
        "blockysize": BLOCK,
        "interleave": "pixel",
        "sparse_ok": True,  # a block that nothing was written to is no data
        "bigtiff": "yes",
    }
