"""Burn the classes of points and polygons into maps of labels."""

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float64, Int32
from rasterio.features import rasterize
from rasterio.transform import Affine

from aef_jax.data.build.readers.grid import Grid
from aef_jax.data.build.sites.utm_grid import WGS84, transformer
from aef_jax.data.places.features import read_features
from aef_jax.data.places.geometry import MAX_EDGE_DEG, Rings, divide_edges
from configs.serialization.printable import printable, printable_value
from configs.source import PIXEL_M
from configs.validate import require

MAX_CLASS = 2**16 - 1
"""Largest class: maps of labels have at most 16 bits."""


class LabelFeatures(NamedTuple):
    """N points and polygons with classes, in the file's order."""

    classes: Int32[np.ndarray, "N"]
    bounds: Float64[np.ndarray, "4 N"]
    """West, south, east and north of each, in degrees, WGS 84: how those near a site are found."""
    polygons: list[list[Rings]]
    """Of each; empty for a point, whose position is its bounds."""


def read_label_features(path: Path, column: str) -> LabelFeatures:
    """Read points and polygons with classes.

    Args:
        path: CSV, GeoJSON, Parquet or GeoParquet; see `read_features`.
        column: the column or property with the class, a whole number; a feature without a value is left out.

    Returns:
        The features.

    Raises:
        ValueError: the first mistake, with its file and place, or no feature has a class.
    """
    classes, bounds, polygons = [], [], []
    for feature in read_features(path, ("Point", "Polygon", "MultiPolygon"), (column,)):
        try:
            label = _parse_class(column, feature.properties[column])
            if label is None:
                continue
            coordinates = feature.geometry["coordinates"]
            if feature.geometry["type"] == "Point":
                bounds.append((*coordinates, *coordinates))
                polygons.append([])
            else:
                corners = np.concatenate([ring for rings in coordinates for ring in rings[:1]])
                bounds.append((*corners.min(axis=0), *corners.max(axis=0)))
                polygons.append([[divide_edges(ring, MAX_EDGE_DEG) for ring in rings] for rings in coordinates])
            classes.append(label)
        except ValueError as error:
            raise ValueError(f"{path}, {feature.place}: {error}") from None
    require(bool(classes), f"{path}: no feature has a value of {printable(column)}, expected at least one")
    return LabelFeatures(np.array(classes, np.int32), np.array(bounds).T.copy(), polygons)


def burn_labels(features: LabelFeatures, grid: Grid) -> Int32[np.ndarray, "H W"]:
    """Make the map of labels of a site.

    Args:
        features: those of the whole file; only what is near the grid is projected.
        grid: the site's grid.

    Returns:
        The class of the polygons that a pixel's center is inside of, and of the points inside a pixel, including its
        upper and its left edge. The last of the file counts. -1 is none.
    """
    west, south, east, north = transformer(grid.crs, WGS84).transform_bounds(*grid.bounds)
    east += 360 if east < west else 0  # a site on both sides of 180 degrees
    # an edge that reaches the site is shorter than this margin, so that moving vertices to the frame keeps it
    frame = np.array([west, south, east, north]) + 2 * MAX_EDGE_DEG * np.array([-1, -1, 1, 1])
    shapes = [
        (_shape(features, index, shift, frame, grid), int(features.classes[index]))
        for index, shift in sorted(_near(features.bounds, frame))
    ]
    shape = (grid.side, grid.side)
    if not shapes:
        return np.full(shape, -1, np.int32)
    return rasterize(shapes, shape, fill=-1, transform=Affine(*grid.transform), dtype="int32")


def _near(bounds: Float64[np.ndarray, "4 N"], frame: Float64[np.ndarray, "4"]) -> Iterator[tuple[int, int]]:
    """Yield the features whose bounds touch a frame, and the degrees to add to their longitudes."""
    west, south, east, north = bounds
    for shift in (-360, 0, 360):
        low, high = frame[0] - shift, frame[2] - shift
        if low <= 180 and high >= -180:
            is_near = (west <= high) & (east >= low) & (south <= frame[3]) & (north >= frame[1])
            yield from ((index, shift) for index in np.flatnonzero(is_near).tolist())


def _shape(
    features: LabelFeatures, index: int, shift: int, frame: Float64[np.ndarray, "4"], grid: Grid
) -> dict[str, Any]:
    """Return a feature in the site's crs, as GeoJSON."""
    project = transformer(WGS84, grid.crs)
    if not features.polygons[index]:
        x, y = project.transform(*features.bounds[:2, index])
        west, _, _, north = grid.bounds
        # to a millionth of a pixel: a point on an edge, converted from degrees, is off by less
        column, row = np.floor(np.round([(x - west) / PIXEL_M, (north - y) / PIXEL_M], 6)) + 0.5
        return {"type": "Point", "coordinates": (west + column * PIXEL_M, north - row * PIXEL_M)}
    polygons = []
    for rings in features.polygons[index]:
        clipped = [np.add(ring, [shift, 0]).clip(frame[:2], frame[2:]) for ring in rings]
        polygons.append([np.stack(project.transform(*ring.T), axis=-1).tolist() for ring in clipped])
    return {"type": "MultiPolygon", "coordinates": polygons}


def _parse_class(column: str, value: Any) -> int | None:
    """Return the class; None if there is no value."""
    if value is None or value == "":
        return None
    try:
        number = float(value) if isinstance(value, str | int | float) and not isinstance(value, bool) else math.nan
    except (ValueError, OverflowError):
        number = math.nan
    if not (number.is_integer() and 0 <= number <= MAX_CLASS):
        expected = f"a whole number from 0 to {MAX_CLASS:,}"
        raise ValueError(f"its {printable(column)} is {printable_value(value)}, expected {expected}")
    return int(number)
