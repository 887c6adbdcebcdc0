"""Read the vectors of a field at points in degrees."""

import math
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float32, Float64, Int64, Shaped

from aef_jax.analysis.windows import WINDOW
from aef_jax.data.places.features import read_features
from aef_jax.inference.extras import needs_extra
from aef_jax.inference.field import Field, FieldInfo
from configs.serialization.printable import printable, printable_value

Positions = Float64[np.ndarray, "N 2"]
"""Longitudes and latitudes, in degrees."""


class LabeledVectors(NamedTuple):
    """Vectors of labeled points that lie in a field, on pixels with data."""

    vectors: Float32[np.ndarray, "N D"]
    """Unit vectors."""
    labels: Shaped[np.ndarray, "N"]
    """Name of each one's class."""
    left_out: int
    """Points that lie outside or on pixels without data."""


def read_points(path: Path) -> Positions:
    """Read the points of a file.

    Args:
        path: CSV with the columns lon and lat, GeoJSON, Parquet or GeoParquet.

    Returns:
        The points.

    Raises:
        ValueError: the first mistake, with file and place; or there is no point.
    """
    positions = [feature.geometry["coordinates"] for feature in read_features(path, ["Point"])]
    if not positions:
        raise ValueError(f"{path}: it has no point, expected at least one")
    return np.array(positions, np.float64)


def locate(info: FieldInfo, positions: Positions) -> tuple[Int64[np.ndarray, "N"], Int64[np.ndarray, "N"]]:
    """Find the pixels that contain points.

    Args:
        info: of the field.
        positions: the points.

    Returns:
        Rows and columns. They lie outside of the field if the points do; they are -1 if the crs has no such place.

    Raises:
        ModuleNotFoundError: pyproj is not installed.
        ValueError: PROJ does not know the field's crs.
    """
    with needs_extra("points in degrees", "geo"):
        from pyproj import Transformer
        from pyproj.exceptions import ProjError
    try:
        transformer = Transformer.from_crs("EPSG:4326", info.crs, always_xy=True)
    except ProjError:
        raise ValueError(f"the field's crs is {printable_value(info.crs)}, expected one that PROJ knows") from None
    x, y = transformer.transform(*positions.T)
    a, b, west, d, e, north = info.transform
    with np.errstate(invalid="ignore"):  # PROJ gives infinity for what its projection cannot show
        pixels = np.linalg.inv([[a, b], [d, e]]) @ np.stack([x - west, y - north])
    columns, rows = np.where(np.isfinite(pixels), np.floor(pixels), -1).astype(np.int64)
    return rows, columns


def inside(info: FieldInfo, rows: Int64[np.ndarray, "*N"], columns: Int64[np.ndarray, "*N"]) -> Bool[np.ndarray, "*N"]:
    """Tell which pixels are of the field.

    Args:
        info: of the field.
        rows: rows of pixels.
        columns: their columns.

    Returns:
        True if it is one of the field.
    """
    height, width = info.shape
    return (rows >= 0) & (rows < height) & (columns >= 0) & (columns < width)


def vectors_at(field: Field, positions: Positions) -> Float32[np.ndarray, "N D"]:
    """Read the vectors of the pixels that contain points.

    Args:
        field: the field.
        positions: the points.

    Returns:
        Unit vectors; NaN at points outside and at pixels without data.
    """
    return read_pixels(field, *locate(field.info, positions))


def read_pixels(
    field: Field, rows: Int64[np.ndarray, "N"], columns: Int64[np.ndarray, "N"]
) -> Float32[np.ndarray, "N D"]:
    """Read the vectors of pixels. Each window is read once.

    Args:
        field: the field.
        rows: rows of the pixels; they may lie outside of the field.
        columns: their columns.

    Returns:
        Unit vectors; NaN outside and at pixels without data.
    """
    vectors = np.full((len(rows), field.info.embed_dim), np.nan, np.float32)
    is_inside = inside(field.info, rows, columns)
    blocks = np.stack([rows // WINDOW, columns // WINDOW])[:, is_inside]
    indices = np.flatnonzero(is_inside)
    for block in np.unique(blocks, axis=1).T:
        members = indices[(blocks == block[:, None]).all(axis=0)]
        top, left = rows[members].min(), columns[members].min()
        window = field.read(
            slice(int(top), int(rows[members].max()) + 1), slice(int(left), int(columns[members].max()) + 1)
        )
        vectors[members] = window[rows[members] - top, columns[members] - left]
    return vectors


def mean_vector(field: Field, positions: Positions) -> Float32[np.ndarray, "D"]:
    """Compute the normalized mean of the vectors at points.

    Args:
        field: the field.
        positions: the points, at least one.

    Returns:
        A unit vector.

    Raises:
        ValueError: a point lies outside of the field, or on a pixel without data; or the vectors cancel out.
    """
    vectors = vectors_at(field, positions)
    if missing := np.flatnonzero(np.isnan(vectors).any(axis=-1)).tolist():
        lon, lat = positions[missing[0]]
        is_inside = inside(field.info, *locate(field.info, positions[missing[:1]]))[0]
        problem = "the field has no data there" if is_inside else "it lies outside of the field"
        raise ValueError(f"the point at lon {lon:g}, lat {lat:g} cannot be used: {problem}")
    mean = vectors.mean(axis=0, dtype=np.float64)
    length = np.linalg.norm(mean)
    if length < 1e-6:
        raise ValueError("the mean of the points' vectors is 0, expected points that are alike")
    return (mean / length).astype(np.float32)


def labeled_vectors(field: Field, path: Path, column: str) -> LabeledVectors:
    """Read the vectors of labeled points. Points outside of the field, or without data, are left out.

    Args:
        field: the field.
        path: CSV with the columns lon and lat, GeoJSON, Parquet or GeoParquet.
        column: that holds the class, as text or number.

    Returns:
        The vectors and their classes.

    Raises:
        ValueError: the first mistake, with file and place; or no point is left.
    """
    positions, labels = [], []
    for feature in read_features(path, ["Point"], [column]):
        label = feature.properties[column]
        if label in (None, "") or (isinstance(label, float) and math.isnan(label)):
            raise ValueError(f"{path}, {feature.place}: its {printable(column)} is empty, expected the name of a class")
        positions.append(feature.geometry["coordinates"])
        labels.append(printable(str(label)))
    vectors = vectors_at(field, np.array(positions, np.float64).reshape(-1, 2))
    has_data = np.isfinite(vectors).all(axis=-1)
    if not has_data.any():
        raise ValueError(f"{path}: none of its {len(labels):,} points lies on a pixel of the field with data")
    return LabeledVectors(vectors[has_data], np.array(labels)[has_data], int((~has_data).sum()))
