"""An embedding field: unit vectors on a grid of 10 m for a valid period, read and written window by window."""

from collections.abc import Iterator
from itertools import product
from typing import NamedTuple, Protocol

import numpy as np
from jaxtyping import Float32

from aef_jax.data.store.site import Affine, Period

Window = tuple[slice, slice]
"""Rows and columns."""


class FieldInfo(NamedTuple):
    """The ground, the time and the model of a field."""

    crs: str
    """Coordinate reference system in meters, such as EPSG:32631."""
    transform: Affine
    """(10, 0, west, 0, -10, north): from (column, row) to coordinates, north-up."""
    shape: tuple[int, int]
    """Rows and columns."""
    embed_dim: int
    """D, the numbers of a vector."""
    period: Period | None = None
    """Valid period, in epoch milliseconds; None if a file does not tell it."""
    support: Period | None = None
    """Period of the frames that were used, in epoch milliseconds; None if a file does not tell it."""
    model: str = ""
    """What the weights are, for people."""


class Field(Protocol):
    """A field that can be read: a file, a store or an array."""

    @property
    def info(self) -> FieldInfo:
        """Its ground, time and model."""
        ...

    def read(self, rows: slice, columns: slice) -> Float32[np.ndarray, "h w D"]:
        """Read a window.

        Args:
            rows: rows of the field, with a start and a stop within it.
            columns: columns of the field, with a start and a stop within it.

        Returns:
            Unit vectors; NaN is no data.

        Raises:
            ValueError: the file is damaged; the message has its name.
        """
        ...


class FieldWriter(Protocol):
    """A field that is being written. What is not written is no data."""

    def write(self, rows: slice, columns: slice, field: Float32[np.ndarray, "h w D"]) -> None:
        """Write a window.

        Args:
            rows: rows of the field, with a start and a stop within it.
            columns: columns of the field, with a start and a stop within it.
            field: unit vectors; NaN is no data.
        """
        ...


class ArrayField(NamedTuple):
    """A field in memory."""

    info: FieldInfo
    vectors: Float32[np.ndarray, "H W D"]
    """Unit vectors; NaN is no data."""

    def read(self, rows: slice, columns: slice) -> Float32[np.ndarray, "h w D"]:
        """Read a window; see `Field.read`.

        Args:
            rows: rows of the field.
            columns: columns of the field.

        Returns:
            A view of the vectors.
        """
        return self.vectors[rows, columns]


def windows(shape: tuple[int, int], side: int) -> Iterator[Window]:
    """Divide a rectangle into squares, which are cut at its far ends.

    Args:
        shape: rows and columns.
        side: of a square.

    Yields:
        Rows and columns of each, row by row.
    """
    starts = (range(0, length, side) for length in shape)
    for row, column in product(*starts):
        yield slice(row, min(row + side, shape[0])), slice(column, min(column + side, shape[1]))
