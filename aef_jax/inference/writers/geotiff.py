"""Write embedding fields as cloud-optimized GeoTIFFs, with one band per axis (A00 ... A63) as in the release."""

from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Literal

import numpy as np
from jaxtyping import Float32

from aef_jax.data.store.site import Affine, Period
from aef_jax.files.atomic import replace_file, require_writable
from configs.fields.quantize import NO_DATA, dequantize, quantize
from configs.serialization.printable import printable

StoredAs = Literal["int8", "float32"]

DEQUANTIZE = "x = sign(q) * (|q| / 127.5)**2; -128 is no data; then divide each pixel's vector by its length"


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
    rasterio = import_rasterio()
    stored = np.moveaxis(quantize(field) if dtype == "int8" else field, -1, 0)
    bands, height, width = stored.shape
    # a COG cannot be written in place: its layout is known only at the end, so it is copied from a dataset in memory
    with replace_file(path) as temporary, rasterio.MemoryFile() as memory:
        with memory.open(
            driver="GTiff",
            height=height,
            width=width,
            count=bands,
            dtype=dtype,
            nodata=NO_DATA if dtype == "int8" else np.nan,
            crs=crs,
            transform=rasterio.Affine(*transform),
        ) as dataset:
            dataset.write(stored)
            dataset.descriptions = [f"A{band:02d}" for band in range(bands)]
            dataset.update_tags(**_tags(period, support, model, dtype))
        with memory.open() as dataset:
            # overviews take the nearest pixel: codes are not linear in the vectors, and a mean of unit vectors is not
            # one
            layout = {"blocksize": 256, "overview_resampling": "nearest", "bigtiff": "if_safer"}
            rasterio.shutil.copy(dataset, temporary, driver="COG", compress="deflate", predictor="yes", **layout)


def require_field_target(output: Path) -> None:
    """Refuse before the work what no field can be written to.

    Args:
        output: the GeoTIFF to write.

    Raises:
        ModuleNotFoundError: rasterio is not installed.
        ValueError: the name does not end in .tif, or the file cannot be written.
    """
    import_rasterio()
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


def read_field(path: Path) -> tuple[Float32[np.ndarray, "H W D"], str, Affine]:
    """Read a field.

    Args:
        path: of the GeoTIFF.

    Returns:
        The field, dequantized but not normalized again, with NaN for no data; its crs; its transform.

    Raises:
        ValueError: if the file holds neither int8 nor float32.
        ModuleNotFoundError: if rasterio is not installed.
    """
    rasterio = import_rasterio()
    with rasterio.open(path) as source:
        stored = np.moveaxis(source.read(), 0, -1)
        crs, transform = source.crs, source.transform
    if stored.dtype not in (np.int8, np.float32):
        raise ValueError(f"{path}: bands are {stored.dtype}, expected int8 or float32 embeddings")
    field = dequantize(stored) if stored.dtype == np.int8 else stored
    return field, crs.to_string() if crs else "", tuple(transform)[:6]


def _tags(period: Period, support: Period, model: str, dtype: str) -> dict[str, str]:
    try:
        software = f"aef {version('aef')}"
    except PackageNotFoundError:  # run from a source tree
        software = "aef"
    tags = {"TIFFTAG_SOFTWARE": software, "AEF_MODEL": printable(model)}
    for name, span in (("VALID", period), ("SUPPORT", support)):
        for end, ms in zip(("START", "END"), span, strict=True):
            tags[f"AEF_{name}_{end}"] = np.datetime_as_string(np.datetime64(ms, "ms"), timezone="UTC")
    return tags | ({"AEF_DEQUANTISE": DEQUANTIZE} if dtype == "int8" else {})


def import_rasterio():
    """Import rasterio, which is an optional dependency, and return it.

    Raises:
        ModuleNotFoundError: if it is not installed.
    """
    try:
        import rasterio
        import rasterio.shutil
    except ModuleNotFoundError:
        raise ModuleNotFoundError("GeoTIFFs need rasterio: pip install 'aef[geo]'") from None
    return rasterio
