"""Validate points and polygons, and convert them to degrees."""

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float64

from configs.serialization.printable import printable_value
from configs.validate import require

MAX_DEGREES = {"lon": 180, "lat": 90}
"""Largest absolute value, in degrees."""
MAX_EDGE_DEG = 1 / 64
"""Longest edge of a polygon that is taken for straight in any crs: 1.7 km, off by 0.1 m at 60 degrees north."""
_MAX_EDGE_M = 1000
_MAX_VERTICES = 10_000_000
"""Most vertices of a ring whose long edges are divided."""
Rings = list[Float64[np.ndarray, "_ 2"]]
"""Of one polygon, in degrees: the outer ring, then holes. Each has at least 4 positions."""
ToDegrees = Callable[[Float64[np.ndarray, "N 2"]], Float64[np.ndarray, "M 2"]]
"""Converts the positions of a ring, whose long edges it divides, or a single one, from another crs to degrees."""


class Row(NamedTuple):
    """A row or feature as the reader of a format yields it."""

    place: str
    """Where it is in the file, for messages: `row 3` or `feature 3`."""
    geometry: Any
    """A GeoJSON geometry that is not yet validated. Rings may be NumPy arrays."""
    properties: dict[str, Any]
    to_degrees: ToDegrees | None = None
    """Conversion of the geometry; None if it is in degrees, WGS 84."""


def to_degrees_from(crs: Any, where: str) -> ToDegrees | None:
    """Return the conversion from a coordinate reference system.

    Args:
        crs: its name, or PROJJSON as a dict.
        where: the file that names it, for messages.

    Returns:
        The conversion of x and y, or of longitude and latitude in this order; None if the system is WGS 84 in degrees.

    Raises:
        ModuleNotFoundError: pyproj is not installed.
        ValueError: PROJ does not know it.
    """
    try:
        from pyproj import CRS, Transformer
        from pyproj.exceptions import ProjError
    except ModuleNotFoundError:
        raise ModuleNotFoundError(f"{where} names a crs, which needs the package pyproj: install aef[build]") from None
    try:
        source, wgs84 = CRS.from_user_input(crs), CRS.from_epsg(4326)
        if source.equals(wgs84, ignore_axis_order=True):
            return None
        unit = source.axis_info[0].unit_conversion_factor
        transformer = Transformer.from_crs(source, wgs84, always_xy=True)
    except (ProjError, IndexError):  # a crs without axes has no conversion to degrees
        raise ValueError(f"{where}: its crs is {printable_value(crs)}, expected one that PROJ knows") from None
    longest = (math.radians(MAX_EDGE_DEG) if source.is_geographic else _MAX_EDGE_M) / unit

    def to_degrees(positions: Float64[np.ndarray, "N 2"]) -> Float64[np.ndarray, "M 2"]:
        # edges are straight in their own crs, not in degrees
        return np.stack(transformer.transform(*divide_edges(positions, longest).T), axis=-1)

    return to_degrees


def parse_degrees(name: str, value: Any) -> float:
    """Convert a coordinate to float.

    Args:
        name: lon or lat.
        value: a number, or its text.

    Returns:
        Degrees.

    Raises:
        ValueError: it is no number, or out of range.
    """
    bound = MAX_DEGREES[name]
    try:
        degrees = float(value)
    except (TypeError, ValueError):
        degrees = math.nan
    if not -bound <= degrees <= bound:
        raise ValueError(f"{name} is {printable_value(value)}, expected degrees from -{bound} to {bound}")
    return degrees


def parse_geometry(row: Row, kinds: Sequence[str]) -> dict[str, Any]:
    """Validate the geometry of a row, and convert it to degrees.

    Args:
        row: the row.
        kinds: the types that are expected: Point, Polygon, MultiPolygon.

    Returns:
        A Point, whose coordinates are longitude and latitude, or a MultiPolygon, whose coordinates are the `Rings` of
        each polygon. It is in WGS 84 and cut at 180 degrees (RFC 7946).

    Raises:
        ValueError: it is something else.
    """
    to_degrees = row.to_degrees
    match row.geometry:
        case {"type": "Point", "coordinates": list() | tuple() as position} if "Point" in kinds:
            lon, lat = (*position, None, None)[:2]
            if to_degrees:
                positions = _parse_positions([position])
                require(len(positions) == 1, f"its position is {printable_value(position)}, expected numbers [x, y]")
                lon, lat = to_degrees(positions)[0].tolist()
            return {"type": "Point", "coordinates": (parse_degrees("lon", lon), parse_degrees("lat", lat))}
        case {"type": "Polygon" | "MultiPolygon" as kind, "coordinates": list() as coordinates} if kind in kinds:
            polygons = coordinates if kind == "MultiPolygon" else [coordinates]
            require(polygons != [], "a MultiPolygon is empty, expected at least one polygon")
            return {"type": "MultiPolygon", "coordinates": [_parse_rings(each, to_degrees) for each in polygons]}
    raise ValueError(f"it has no geometry that is read here, expected a {' or '.join(kinds)}")


def divide_edges(corners: Float64[np.ndarray, "N 2"], longest: float) -> Float64[np.ndarray, "M 2"]:
    """Put vertices into long edges of a ring.

    Args:
        corners: the ring's positions.
        longest: the longest edge to leave, along each axis.

    Returns:
        The ring, with at most `longest` between neighbors.

    Raises:
        ValueError: it would have too many vertices.
    """
    counts = np.ceil(np.abs(np.diff(corners, axis=0)).max(axis=1, initial=0) / longest).clip(1)
    if (counts == 1).all():
        return corners
    require(bool(counts.sum() <= _MAX_VERTICES), f"a ring has {len(counts):,} long edges, expected a simpler polygon")
    counts = counts.astype(np.int64)
    edge = np.repeat(np.arange(len(counts)), counts)
    position = edge + (np.arange(len(edge)) - (np.cumsum(counts) - counts)[edge]) / counts[edge]
    position = np.append(position, len(counts))
    return np.stack([np.interp(position, np.arange(len(corners)), column) for column in corners.T], axis=-1)


def _parse_rings(rings: Any, to_degrees: ToDegrees | None) -> Rings:
    require(isinstance(rings, list) and rings != [], "a polygon has no rings, expected a list of them")
    return [_parse_ring(ring, to_degrees) for ring in rings]


def _parse_ring(ring: Any, to_degrees: ToDegrees | None) -> Float64[np.ndarray, "N 2"]:
    corners = _parse_positions(ring)
    if to_degrees:
        corners = to_degrees(corners)
    require(
        len(corners) >= 4 and bool((np.abs(corners) <= [180, 90]).all()),
        "a ring is wrong, expected at least 4 positions [lon, lat], in degrees",
    )
    steps = np.abs(np.diff(corners[:, 0]))
    require(
        not ((steps > 180) & (steps < 360)).any(),
        "an edge is longer than 180 degrees, expected a polygon that is cut where it crosses 180 degrees east",
    )
    return corners


def _parse_positions(positions: Any) -> Float64[np.ndarray, "N 2"]:
    """Return x and y of positions, which may have a height; none if they are no finite numbers."""
    try:
        values = np.array(positions if isinstance(positions, np.ndarray) else [each[:2] for each in positions])
    except (TypeError, KeyError, ValueError):
        values = np.zeros(0)
    is_valid = values.shape[1:] == (2,) and values.dtype.kind in "if" and bool(np.isfinite(values).all())
    return values.astype(np.float64) if is_valid else np.zeros((0, 2))
