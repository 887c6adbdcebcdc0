"""Write a field that is in memory as a GeoTIFF."""

from pathlib import Path

import numpy as np
from jaxtyping import Float32

from aef_jax.data.store.site import Affine, Period
from aef_jax.files.atomic import require_writable
from aef_jax.inference.encoding import StoredAs
from aef_jax.inference.extras import needs_extra
from aef_jax.inference.field import FieldInfo
from aef_jax.inference.writers.cog import write_cog


def write_field(
    path: Path,
    field: Float32[np.ndarray, "H W D"],
    *,
    crs: str,
    transform: Affine,
    period: Period,
    support: Period,
    model: str,
    dtype: StoredAs = "int8",
) -> None:
    """Write a field of unit vectors. The file appears complete or not at all.

    Args:
        path: the file to write.
        field: unit vectors; NaN is no data.
        crs: the site's coordinate reference system.
        transform: the site's affine transform.
        period: the valid period, written as tags in ISO 8601.
        support: the support period, written as tags in ISO 8601.
        model: a description of the weights for readers of the file.
        dtype: int8 for one byte per number, quantized as in the release; or float32.

    Raises:
        ModuleNotFoundError: if rasterio is not installed.
    """
    height, width, embed_dim = field.shape
    info = FieldInfo(crs, transform, (height, width), embed_dim, period, support, model)
    with write_cog(path, info, dtype) as writer:
        writer.write(slice(0, height), slice(0, width), field)


def require_field_target(output: Path) -> None:
    """Refuse before the work what no field can be written to.

    Args:
        output: the GeoTIFF to write.

    Raises:
        ModuleNotFoundError: rasterio is not installed.
        ValueError: the name does not end in .tif, or the file cannot be written.
    """
    with needs_extra("GeoTIFFs", "geo"):
        import rasterio  # noqa: F401
    if output.suffix not in (".tif", ".tiff") or output.is_dir():
        raise ValueError(f"{output} is not a path for a GeoTIFF, expected a file name that ends in .tif")
    require_writable(output)


def model_tag(name: str, step: int, site: str) -> str:
    """Describe what a field was computed with, for `write_field`.

    Args:
        name: of the run, or of the file of weights.
        step: the training steps done.
        site: name of the site.

    Returns:
        A line of text.
    """
    return f"{name}, step {step}, site {site}"
