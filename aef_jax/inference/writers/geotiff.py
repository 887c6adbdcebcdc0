"""Embedding fields as cloud-optimised GeoTIFFs of one band per axis of the embedding: A00 ... A63, like the release."""

from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Literal

import numpy as np
from jaxtyping import Float32

from aef_jax.data.store.site import Affine, Period
from aef_jax.files.atomic import replacing
from aef_jax.inference.quantize import NO_DATA, dequantize, quantize

StoredAs = Literal["int8", "float32"]

DEQUANTISE = "x = sign(q) * (|q| / 127.5)**2; -128 is no data; then divide each pixel's vector by its length"


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
    """Writes a field of unit vectors; NaN is no data. The file appears whole, or not at all.

    Args:
        crs, transform: the site's.
        period, support: the valid and the support period; they are written as tags, in ISO 8601.
        model: which weights made it, for the reader of the file.
        dtype: int8, quantised as the release is, one byte per number; or float32.

    Raises ModuleNotFoundError, with what to install, where rasterio is missing.
    """
    rasterio = import_rasterio()
    stored = np.moveaxis(quantize(field) if dtype == "int8" else field, -1, 0)
    bands, height, width = stored.shape
    # a COG is laid out once all is known: it is copied from a whole dataset, never written in place
    with replacing(path) as temporary, rasterio.MemoryFile() as memory:
        with memory.open(
            driver="GTiff",
            height=height,
            width=width,
            count=bands,
            dtype=dtype,
            nodata=NO_DATA if dtype == "int8" else np.nan,
            crs=crs,
            transform=rasterio.Affine(*transform),
        ) as whole:
            whole.write(stored)
            whole.descriptions = [f"A{band:02d}" for band in range(bands)]
            whole.update_tags(**_tags(period, support, model, dtype))
        with memory.open() as whole:
            # overviews: codes are not linear in the vectors, and a mean of unit vectors is none
            layout = {"blocksize": 256, "overview_resampling": "nearest", "bigtiff": "if_safer"}
            rasterio.shutil.copy(whole, temporary, driver="COG", compress="deflate", predictor="yes", **layout)


def read_field(path: Path) -> tuple[Float32[np.ndarray, "H W D"], str, Affine]:
    """The field, dequantised but not normalised again, NaN where there is no data; its crs, and its transform.

    Raises ValueError where the file holds neither int8 nor float32, and ModuleNotFoundError, with what to install,
    where the extra `geo` is missing.
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
    tags = {"TIFFTAG_SOFTWARE": software, "AEF_MODEL": model}
    for name, span in (("VALID", period), ("SUPPORT", support)):
        for end, ms in zip(("START", "END"), span, strict=True):
            tags[f"AEF_{name}_{end}"] = np.datetime_as_string(np.datetime64(ms, "ms"), timezone="UTC")
    return tags | ({"AEF_DEQUANTISE": DEQUANTISE} if dtype == "int8" else {})


def import_rasterio():
    """The module, which is an extra. Raises ModuleNotFoundError, with what to install, where it is missing."""
    try:
        import rasterio
        import rasterio.shutil
    except ModuleNotFoundError:
        raise ModuleNotFoundError("GeoTIFFs need rasterio: install aef[geo]") from None
    return rasterio
