"""Several embedding fields of one coordinate reference system as one field."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float32

from aef_jax.inference.field import Field, FieldInfo
from configs.serialization.printable import printable
from configs.source import PIXEL_M


class Mosaic(NamedTuple):
    """Fields side by side on one grid of 10 m."""

    info: FieldInfo
    parts: tuple[tuple[int, int, Field], ...]
    """Row and column of the corner of each field, and the field."""

    def read(self, rows: slice, columns: slice) -> Float32[np.ndarray, "h w D"]:
        """Read a window; see `aef_jax.inference.field.Field.read`.

        Args:
            rows: rows of the field.
            columns: columns of the field.

        Returns:
            Unit vectors; NaN is no data.

        Raises:
            ValueError: a file is damaged.
        """
        shape = (rows.stop - rows.start, columns.stop - columns.start, self.info.embed_dim)
        window = np.full(shape, np.nan, np.float32)
        for top, left, field in self.parts:
            inner_rows = _overlap(rows, top, field.info.shape[0])
            inner_columns = _overlap(columns, left, field.info.shape[1])
            if inner_rows.start >= inner_rows.stop or inner_columns.start >= inner_columns.stop:
                continue
            target = window[_shift(inner_rows, -rows.start), _shift(inner_columns, -columns.start)]
            if np.isnan(target).any():
                vectors = field.read(_shift(inner_rows, -top), _shift(inner_columns, -left))
                np.copyto(target, vectors, where=np.isnan(target))
        return window


def make_mosaic(paths: Sequence[str], fields: Sequence[Field]) -> Field:
    """Put fields together.

    Args:
        paths: where they are, for messages.
        fields: of one coordinate reference system, number of bands and period.

    Returns:
        A field over all of them, or the only one.

    Raises:
        ValueError: there is none, or they differ in more than their ground.
    """
    if not fields:
        raise ValueError("no field to open, expected at least one")
    if len(fields) == 1:
        return fields[0]
    first = fields[0].info
    for path, field in zip(paths, fields, strict=True):
        for name in ("crs", "embed_dim", "period"):
            value, expected = getattr(field.info, name), getattr(first, name)
            if value != expected:
                difference = f"{printable(str(value))}, expected {printable(str(expected))} as of {printable(paths[0])}"
                raise ValueError(f"the {name} of {printable(path)} is {difference}")
    norths, wests = np.array([(field.info.transform[5], field.info.transform[2]) for field in fields]).T
    north, west = norths.max(), wests.min()
    corners = np.stack([north - norths, wests - west], axis=1) / PIXEL_M
    between = (corners % 1 != 0).any(axis=1)
    if between.any():
        path = printable(paths[int(between.argmax())])
        raise ValueError(f"the pixels of {path} lie between those of the other fields, expected one grid")
    height, width = (corners + [field.info.shape for field in fields]).max(axis=0)
    transform = (PIXEL_M, 0.0, float(west), 0.0, -PIXEL_M, float(north))
    info = first._replace(transform=transform, shape=(int(height), int(width)))
    parts = zip(corners, fields, strict=True)
    return Mosaic(info, tuple((int(top), int(left), field) for (top, left), field in parts))


def _overlap(window: slice, start: int, length: int) -> slice:
    return slice(max(window.start, start), min(window.stop, start + length))


def _shift(window: slice, offset: int) -> slice:
    return slice(window.start + offset, window.stop + offset)
