"""Encode one record of a training set: a site and its support period as one safetensors blob, read without copying.

Tensors are named `sentinel2/pixels`, `.../valid`, `.../time_ms`, `.../metadata` for each source; `text/row`,
`.../column`, `.../period_ms`, `.../sentence`; and `labels/0`, `labels/1`, ... for the label maps. The blob's metadata
hold the rest as JSON, with the names of the maps. Older records have one map, `labels/map`, without a name. A frame
that is the same all over a site (monthly weather) is stored as one pixel.
"""

import json
import math
from dataclasses import replace
from typing import Any

import numpy as np
from safetensors.numpy import save

from aef_jax.data.store.site import Series, Site, TextPoints
from aef_jax.files.safetensors_header import header_length, parse_header
from configs.serialization.printable import printable_value, require_printable, sentence
from configs.serialization.strict_json import loads

DTYPES = {
    "BOOL": np.bool_,
    "U8": np.uint8,
    "I8": np.int8,
    "U16": np.uint16,
    "I16": np.int16,
    "U32": np.uint32,
    "I32": np.int32,
    "I64": np.int64,
    "F16": np.float16,
    "F32": np.float32,
    "F64": np.float64,
}
"""Number types of imagery, by their names in safetensors."""

LABEL_DTYPES = [np.dtype(dtype) for dtype in DTYPES.values() if np.issubdtype(dtype, np.integer)]
METADATA_DTYPES = (np.float32, np.float64)
MAX_SIDE = 2**15
"""Most pixels of a site's side. A blob that stores one pixel for all could state any size."""
MAX_NUMBERS = 2**31
"""Most numbers of a source at one site, for the same reason: reading them takes gigabytes."""
WEIGHTS = (1e-6, 1e6)
"""Smallest and largest weight of a record (ours)."""
LATEST_MS = 253_402_300_800_000
"""Latest accepted timestamp, the year 10000. Larger values mean corrupt data."""

TEXT = "text"
OLD_LABELS = "labels/map"
"""Tensor of an older record's only label map."""
OLD_LABELS_NAME = "labels"
"""Name that this map is read under."""
SERIES_FIELDS = ("pixels", "valid", "time_ms", "metadata")
TEXT_FIELDS = ("row", "column", "period_ms", "sentence")


def encode(site: Site) -> bytes:
    """Encode a site as a record.

    Args:
        site: the site.

    Returns:
        The blob.

    Raises:
        ValueError: `decode` would refuse the record; the message has the names of site and source.
    """
    validate_site(site)
    tensors = {}
    for name, series in site.series.items():
        tensors |= {f"{name}/{field}": _stored(getattr(series, field)) for field in SERIES_FIELDS}
    if len(site.text):
        tensors |= {f"{TEXT}/{field}": getattr(site.text, field) for field in TEXT_FIELDS}
    tensors |= {f"labels/{index}": classes for index, classes in enumerate(site.labels.values())}
    attributes = {
        "name": site.name,
        "crs": site.crs,
        "transform": site.transform,
        "support": site.support,
        "shape": site.shape,
        "no_data": {name: s.no_data for name, s in site.series.items() if s.no_data is not None},
        "words": site.text.words,
        "labels": list(site.labels),
        "weight": site.weight,
    }
    tensors = {name: np.ascontiguousarray(tensor) for name, tensor in tensors.items()}
    text = json.dumps(attributes)
    loads(f"site {site.name}", text, finite=False)  # what cannot be read, such as half of a character, is not written
    return save(tensors, metadata={"site": text})


def decode(blob: bytes, where: str) -> Site:
    """Decode a record. Nothing that the blob states attributes itself is trusted.

    Args:
        blob: the record.
        where: names the record in errors.

    Returns:
        The site. Its arrays are views of `blob`.

    Raises:
        ValueError: it is no record of a valid site.
    """
    try:
        tensors, attributes = _views(blob)
        site = _site(tensors, attributes)
    except (ValueError, LookupError, TypeError, AttributeError, OverflowError, RecursionError) as error:
        raise ValueError(f"{where}: not a record of a site ({type(error).__name__}: {sentence(error)})") from None
    try:
        validate_site(site)
    except ValueError as error:
        raise ValueError(f"{where}: {sentence(error)}") from None
    return site


def validate_site(site: Site) -> None:
    """Check that a site's arrays fit each other.

    Args:
        site: the site.

    Raises:
        ValueError: they do not; the message has the names of site and source.
    """
    where = f"site {require_printable('site', site.name)}"
    if not site.series:
        raise ValueError(f"{where}: it has no source, expected at least one")
    if len(site.shape) != 2 or not all(1 <= side <= MAX_SIDE for side in site.shape):
        raise ValueError(f"{where}: its grid is {site.shape}, expected 1 to {MAX_SIDE} rows and columns")
    if site.support and site.support[0] >= site.support[1]:
        raise ValueError(f"{where}: its support period {site.support} ends before it begins")
    for name, series in site.series.items():
        require_printable(f"{where}, source", name)
        _check_arrays(f"{where}, source {name}", series, site.shape)
        _check_frames(f"{where}, source {name}", series)
    for name, classes in site.labels.items():
        require_printable(f"{where}, label map", name)
        if classes.shape != site.shape or classes.dtype not in LABEL_DTYPES:
            raise ValueError(
                f"{where}: its labels {name!r} are {classes.dtype} {classes.shape}, expected integers of {site.shape}"
            )
    validate_weight(where, site.weight)
    _check_text(f"{where}, source {TEXT}", site.text, site.shape)


def validate_weight(where: str, weight: float) -> None:
    """Check the weight of a record.

    Args:
        where: names the site in errors.
        weight: how often it is drawn, relative to others.

    Raises:
        ValueError: it is not a number above 0, or so far from 1 that sums of weights lose digits.
    """
    low, high = WEIGHTS
    if isinstance(weight, bool) or not isinstance(weight, int | float) or not low <= weight <= high:
        shown = printable_value(weight)
        raise ValueError(f"{where}: its weight is {shown}, expected a number from {low:g} to {high:g}")


def _check_arrays(where: str, series: Series, grid: tuple[int, int]) -> None:
    if series.time_ms.ndim != 1 or series.time_ms.dtype != np.int64:
        raise ValueError(f"{where}: times are {series.time_ms.dtype}, expected a list of int64 epoch milliseconds")
    frames = len(series.time_ms)
    if series.pixels.dtype.newbyteorder("=") not in DTYPES.values():
        raise ValueError(
            f"{where}: pixels are {series.pixels.dtype}, expected a number type of imagery, such as uint16"
        )
    if series.pixels.ndim != 4 or series.pixels.shape[:3] != (frames, *grid):
        raise ValueError(f"{where}: pixels have shape {series.pixels.shape}, expected {(frames, *grid, 'bands')}")
    if series.pixels.size > MAX_NUMBERS:
        raise ValueError(f"{where}: pixels of shape {series.pixels.shape} are more than {MAX_NUMBERS} numbers")
    if series.valid.dtype != bool or series.valid.shape not in (series.pixels.shape, (frames, *grid, 1)):
        raise ValueError(
            f"{where}: the valid-pixel mask is {series.valid.dtype} {series.valid.shape}, expected bool of"
            f" {(frames, *grid, 1)} or one for each band"
        )
    if series.metadata.ndim != 2 or len(series.metadata) != frames:
        raise ValueError(f"{where}: metadata have shape {series.metadata.shape}, expected {(frames, 'fields')}")


def _check_frames(where: str, series: Series) -> None:
    if len(series.time_ms) and not -LATEST_MS < series.time_ms[0] <= series.time_ms[-1] < LATEST_MS:
        raise ValueError(f"{where}: frames have times outside of +-{LATEST_MS}, expected epoch milliseconds")
    if series.metadata.dtype not in METADATA_DTYPES or np.isinf(series.metadata).any():
        raise ValueError(f"{where}: metadata are {series.metadata.dtype}, expected finite numbers, or NaN if unknown")
    if series.no_data is not None and (isinstance(series.no_data, bool) or not isinstance(series.no_data, int | float)):
        raise ValueError(f"{where}: no data is {series.no_data!r}, expected a number")


def _check_text(where: str, text: TextPoints, grid: tuple[int, int]) -> None:
    if text.row.ndim != 1:
        raise ValueError(f"{where}: row has {text.row.ndim} axes, expected one")
    expected = {"row": (len(text),), "column": (len(text),), "period_ms": (len(text), 2)}
    for field, shape in expected.items():
        numbers: np.ndarray = getattr(text, field)
        if numbers.shape != shape or numbers.dtype != np.int64:
            raise ValueError(f"{where}: {field} is {numbers.dtype} {numbers.shape}, expected int64 of {shape}")
    if text.sentence.ndim != 2 or len(text.sentence) != len(text) or text.sentence.dtype != np.float32:
        raise ValueError(
            f"{where}: sentence is {text.sentence.dtype} {text.sentence.shape}, expected float32 of"
            f" {(len(text), 'numbers')}"
        )
    if len(text.words) not in (0, len(text)):
        raise ValueError(f"{where}: there are words of {len(text.words)} points, expected {len(text)} or none")
    if not np.isfinite(text.sentence).all():
        raise ValueError(f"{where}: a sentence embedding is not finite")
    if not ((text.row >= 0) & (text.row < grid[0]) & (text.column >= 0) & (text.column < grid[1])).all():
        raise ValueError(f"{where}: a point is outside of the site's {grid[0]} x {grid[1]} pixels")
    if not (text.period_ms[:, 0] < text.period_ms[:, 1]).all():
        raise ValueError(f"{where}: a point's period ends before it begins")
    if len(text) and not -LATEST_MS < text.period_ms.min() <= text.period_ms.max() < LATEST_MS:
        raise ValueError(f"{where}: a point's period is outside of +-{LATEST_MS}, expected epoch milliseconds")


def _stored(array: np.ndarray) -> np.ndarray:
    """Return one pixel of an array that is broadcast over the site, and any other array as it is."""
    return array[:, :1, :1] if array.ndim == 4 and array.strides[1:3] == (0, 0) else array


def _site(tensors: dict[str, np.ndarray], attributes: dict[str, Any]) -> Site:
    height, width = (_whole(length) for length in attributes["shape"])
    a, b, c, d, e, f = (float(number) for number in attributes["transform"])
    names, maps = attributes.get("labels", []), {}
    if OLD_LABELS in tensors:
        maps[OLD_LABELS_NAME] = tensors.pop(OLD_LABELS)
    maps |= {name: tensors.pop(f"labels/{index}") for index, name in enumerate(names)}
    series = {}
    for name in sorted({key.rsplit("/", 1)[0] for key in tensors} - {TEXT}):
        fields = {field: tensors[f"{name}/{field}"] for field in SERIES_FIELDS}
        for field in ("pixels", "valid"):
            frames, *_, last = fields[field].shape
            fields[field] = np.broadcast_to(fields[field], (frames, height, width, last))
        series[name] = Series(**fields, no_data=attributes["no_data"].get(name))
    support = attributes["support"] and (_whole(attributes["support"][0]), _whole(attributes["support"][1]))
    transform = (a, b, c, d, e, f)
    weight = attributes.get("weight", 1.0)
    site = Site(
        attributes["name"], series, str(attributes["crs"]), transform, support or None, labels=maps, weight=weight
    )
    if f"{TEXT}/row" in tensors:
        fields = {field: tensors[f"{TEXT}/{field}"] for field in TEXT_FIELDS}
        site = replace(
            site, text=TextPoints(**fields, words=tuple(str(words) for words in attributes.get("words", ())))
        )
    return site


def _whole(number: Any) -> int:
    """Return a number from JSON. Raises TypeError if it is not a whole number."""
    if isinstance(number, bool) or not isinstance(number, int):
        raise TypeError(f"{number!r} is not a whole number")
    return number


def _views(blob: bytes) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Return the blob's tensors as views of it, and the site's attributes.

    The safetensors library would copy all tensors, tens of megabytes, of which a step needs a few.
    """
    length = header_length(blob, len(blob))
    metadata, entries = parse_header("its header", blob[8 : 8 + length], len(blob))
    attributes = loads("its site", metadata["site"], finite=False)  # no data may be NaN
    tensors = {}
    for name, (dtype, shape, begin, _) in entries.items():
        if dtype not in DTYPES.values():
            raise ValueError(f"tensor {name} is {dtype}, expected a number type of imagery")
        tensors[name] = np.frombuffer(blob, dtype, math.prod(shape), begin).reshape(shape)
    return tensors, attributes
