"""How files store an embedding field: numbers, no data, names of bands, and what they tell of time and model."""

import re
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from typing import Literal

import numpy as np
from jaxtyping import Float32, Shaped

from aef_jax.data.store.site import Period
from aef_jax.inference.field import FieldInfo
from configs.fields.quantize import NO_DATA, dequantize, quantize
from configs.serialization.printable import printable

StoredAs = Literal["int8", "float32"]
NO_DATA_OF = {"int8": NO_DATA, "float32": float("nan")}
"""The number in all bands of a pixel without data, by number type."""

DEQUANTIZE = "x = sign(q) * (|q| / 127.5)**2; -128 is no data; then divide each pixel's vector by its length"


def band_names(embed_dim: int) -> list[str]:
    """Name the bands as the release does: A00, A01, ... A63.

    Args:
        embed_dim: D, their number.

    Returns:
        The names.
    """
    return [f"A{band:02d}" for band in range(embed_dim)]


def encode(field: Float32[np.ndarray, "h w D"], dtype: StoredAs) -> Shaped[np.ndarray, "h w D"]:
    """Compute the numbers that a file stores.

    Args:
        field: unit vectors; a vector with a NaN is no data.
        dtype: int8 quantizes as the release.

    Returns:
        Numbers of this type; a pixel without data has -128 (float32: NaN) in all bands.
    """
    stored = quantize(field) if dtype == "int8" else field.copy()
    stored[np.isnan(field).any(axis=-1)] = NO_DATA_OF[dtype]
    return stored


def decode(stored: Shaped[np.ndarray, "h w D"]) -> Float32[np.ndarray, "h w D"]:
    """Compute unit vectors from the numbers that a file stores.

    Args:
        stored: int8 codes, or float32.

    Returns:
        Vectors of length 1; NaN is no data. A vector of zeros has no direction, and is no data.
    """
    # the order in which a length is summed up, and so its last bit, must not depend on the file's layout
    stored = np.ascontiguousarray(stored)
    return normalize(dequantize(stored) if stored.dtype == np.int8 else stored)


def normalize(vectors: Float32[np.ndarray, "h w D"]) -> Float32[np.ndarray, "h w D"]:
    """Divide vectors by their lengths.

    Args:
        vectors: of any length.

    Returns:
        Unit vectors; NaN where the length is 0 or NaN.
    """
    lengths = np.linalg.norm(vectors, axis=-1, keepdims=True)
    return vectors / np.where(lengths > 0, lengths, np.float32(np.nan))


def describe(info: FieldInfo, dtype: StoredAs) -> dict[str, str]:
    """Make the tags of a file: its model, its periods in ISO 8601, and how to read its numbers.

    Args:
        info: of the field.
        dtype: the file's number type.

    Returns:
        Text by name.
    """
    tags = {"AEF_MODEL": printable(info.model)} if info.model else {}
    for name, period in (("VALID", info.period), ("SUPPORT", info.support)):
        for end, ms in zip(("START", "END"), period or (), strict=False):
            tags[f"AEF_{name}_{end}"] = iso(ms)
    return tags | ({"AEF_DEQUANTISE": DEQUANTIZE} if dtype == "int8" else {})


def described_period(name: Literal["VALID", "SUPPORT"], tags: Mapping[str, str]) -> Period | None:
    """Read a period from the tags that `describe` makes.

    Args:
        name: which one.
        tags: of a file.

    Returns:
        [start, end) in epoch milliseconds; None if the tags do not tell it.

    Raises:
        ValueError: an end is no instant in ISO 8601.
    """
    ends = [tags.get(f"AEF_{name}_{end}") for end in ("START", "END")]
    if None in ends:
        return None
    start, end = (int(np.datetime64(str(text).removesuffix("Z"), "ms").astype(np.int64)) for text in ends)
    return start, end


def year_of_path(path: str) -> Period | None:
    """Find the calendar year of a file of the public annual layers: a folder that is called by a year.

    Args:
        path: or URL, such as `.../v1/annual/2021/36S/xekh5rjs4wg6wb9b4-0000000000-0000000000.tiff`.

    Returns:
        The year, in epoch milliseconds; None if not exactly one folder is called by a year.
    """
    years = [int(name) for name in re.split(r"[/\\]", path)[:-1] if re.fullmatch(r"20\d\d", name)]
    if len(years) != 1:
        return None
    start, end = (int(np.datetime64(f"{year}", "ms").astype(np.int64)) for year in (years[0], years[0] + 1))
    return start, end


def iso(ms: int) -> str:
    """Write an instant in ISO 8601, in UTC.

    Args:
        ms: epoch milliseconds.

    Returns:
        Such as 2019-01-01T00:00:00.000Z.
    """
    return str(np.datetime_as_string(np.datetime64(ms, "ms"), timezone="UTC"))


def software() -> str:
    """Name this package and its version.

    Returns:
        Such as "aef 0.1.0".
    """
    try:
        return f"aef {version('aef')}"
    except PackageNotFoundError:  # run from a source tree
        return "aef"
