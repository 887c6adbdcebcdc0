"""One record of a training set: a site and its support period as one safetensors blob, read without copying.

Tensors are named `sentinel2/pixels`, `.../valid`, `.../time_ms`, `.../metadata` for each source, and `text/row`,
`.../column`, `.../period_ms`, `.../sentence`, and `labels/map` where there are labels; the blob's own metadata say the
rest as JSON. What is the same all over a
site (a month's weather) is stored as one pixel.
"""

import json
import math
from dataclasses import replace
from typing import Any

import numpy as np
from safetensors.numpy import save

from aef_jax.data.site import Series, Site, TextPoints

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
"""Number types by their names in safetensors: those of imagery."""

TEXT = "text"
LABELS = "labels/map"
SERIES_FIELDS = ("pixels", "valid", "time_ms", "metadata")
TEXT_FIELDS = ("row", "column", "period_ms", "sentence")


def encode(site: Site) -> bytes:
    """The record of a site. Raises ValueError, naming site and source, where it is none that `decode` would accept."""
    check(site)
    tensors = {}
    for name, series in site.series.items():
        tensors |= {f"{name}/{field}": _stored(getattr(series, field)) for field in SERIES_FIELDS}
    if len(site.text):
        tensors |= {f"{TEXT}/{field}": getattr(site.text, field) for field in TEXT_FIELDS}
    if site.labels is not None:
        tensors[LABELS] = site.labels
    about = {
        "name": site.name,
        "crs": site.crs,
        "transform": site.transform,
        "support": site.support,
        "shape": site.shape,
        "no_data": {name: s.no_data for name, s in site.series.items() if s.no_data is not None},
        "words": site.text.words,
    }
    tensors = {name: np.ascontiguousarray(tensor) for name, tensor in tensors.items()}
    return save(tensors, metadata={"site": json.dumps(about)})


def decode(blob: bytes, where: str) -> Site:
    """The site of a record; its arrays are views of `blob`. `where` names the record in errors.

    Raises ValueError where it is no such record: nothing that the blob says of itself is trusted.
    """
    try:
        tensors, about = _views(blob)
        site = _site(tensors, about)
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError) as error:
        raise ValueError(f"{where}: not a record of a site ({type(error).__name__}: {error})") from None
    try:
        check(site)
    except ValueError as error:
        raise ValueError(f"{where}: {error}") from None
    return site


def check(site: Site) -> None:
    """Raises ValueError, naming site and source, where arrays do not belong together or times are not in order."""
    if not site.series:
        raise ValueError(f"site {site.name}: it has no source, expected at least one")
    if site.support and site.support[0] >= site.support[1]:
        raise ValueError(f"site {site.name}: its support period {site.support} ends before it begins")
    for name, series in site.series.items():
        where = f"site {site.name}, source {name}"
        frames, grid = len(series.time_ms), site.shape
        if series.pixels.ndim != 4 or series.pixels.shape[:3] != (frames, *grid):
            raise ValueError(f"{where}: pixels have shape {series.pixels.shape}, expected {(frames, *grid, 'bands')}")
        if series.valid.dtype != bool or series.valid.shape not in (series.pixels.shape, (frames, *grid, 1)):
            raise ValueError(
                f"{where}: the valid-pixel mask is {series.valid.dtype} {series.valid.shape}, expected bool of"
                f" {(frames, *grid, 1)} or one for each band"
            )
        if series.metadata.ndim != 2 or len(series.metadata) != frames:
            raise ValueError(f"{where}: metadata have shape {series.metadata.shape}, expected {(frames, 'facts')}")
        if series.time_ms.dtype != np.int64:
            raise ValueError(f"{where}: times are {series.time_ms.dtype}, expected int64 epoch milliseconds")
        backwards = np.flatnonzero(np.diff(series.time_ms) < 0)
        if len(backwards):
            raise ValueError(f"{where}: frame {backwards[0] + 1} was acquired before frame {backwards[0]}: sort them")
    if site.labels is not None and site.labels.shape != site.shape:
        raise ValueError(f"site {site.name}: its labels have shape {site.labels.shape}, expected {site.shape}")
    _check_text(site)


def _check_text(site: Site) -> None:
    text, (height, width) = site.text, site.shape
    where = f"site {site.name}, source {TEXT}"
    lengths = {len(getattr(text, field)) for field in TEXT_FIELDS} | ({len(text.words)} if text.words else set())
    if len(lengths) > 1 or text.sentence.ndim != 2 or text.period_ms.shape[1:] != (2,):
        raise ValueError(f"{where}: rows, columns, periods and sentences do not have one length")
    if len(text) and not ((text.row >= 0) & (text.row < height) & (text.column >= 0) & (text.column < width)).all():
        raise ValueError(f"{where}: a point lies outside of the site's {height} x {width} pixels")


def _stored(array: np.ndarray) -> np.ndarray:
    """One pixel of what was broadcast over the site."""
    return array[:, :1, :1] if array.ndim == 4 and array.strides[1:3] == (0, 0) else array


def _site(tensors: dict[str, np.ndarray], about: dict[str, Any]) -> Site:
    height, width = (int(length) for length in about["shape"])
    a, b, c, d, e, f = (float(number) for number in about["transform"])
    series = {}
    for name in sorted({key.rsplit("/", 1)[0] for key in tensors if key != LABELS} - {TEXT}):
        fields = {field: tensors[f"{name}/{field}"] for field in SERIES_FIELDS}
        for field in ("pixels", "valid"):
            frames, *_, last = fields[field].shape
            fields[field] = np.broadcast_to(fields[field], (frames, height, width, last))
        series[name] = Series(**fields, no_data=about["no_data"].get(name))
    support = about["support"] and (int(about["support"][0]), int(about["support"][1]))
    transform = (a, b, c, d, e, f)
    site = Site(str(about["name"]), series, str(about["crs"]), transform, support or None, labels=tensors.get(LABELS))
    if f"{TEXT}/row" in tensors:
        fields = {field: tensors[f"{TEXT}/{field}"] for field in TEXT_FIELDS}
        site = replace(site, text=TextPoints(**fields, words=tuple(str(words) for words in about.get("words", ()))))
    return site


def _views(blob: bytes) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """The blob's tensors as views of it, and what it says of the site; the format is safetensors' own.

    The library copies all tensors; a record is tens of megabytes, of which a step needs a few.
    """
    length = int.from_bytes(blob[:8], "little")
    start = 8 + length
    if not 8 < start <= len(blob):
        raise ValueError(f"its header would be {length} bytes long, of {len(blob)} in all")
    header = json.loads(blob[8:start])
    about = json.loads(header.pop("__metadata__")["site"])
    tensors = {}
    for name, entry in header.items():
        dtype, shape = np.dtype(DTYPES[entry["dtype"]]), tuple(int(axis) for axis in entry["shape"])
        begin, end = (start + int(offset) for offset in entry["data_offsets"])
        if not start <= begin <= end <= len(blob) or min(shape, default=0) < 0:
            raise ValueError(f"tensor {name} would lie beyond its end")
        if math.prod(shape) * dtype.itemsize != end - begin:
            raise ValueError(f"tensor {name} of shape {shape} has {end - begin} bytes")
        tensors[name] = np.frombuffer(blob, dtype, math.prod(shape), begin).reshape(shape)
    return tensors, about
