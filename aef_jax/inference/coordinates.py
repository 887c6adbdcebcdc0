"""The ground of a field: coordinates of its pixels, and its outline in degrees."""

from typing import Any

import numpy as np

from aef_jax.inference.field import FieldInfo

_SIDE_POINTS = 8
"""Points on each side of an outline: a side that is straight in UTM is not in degrees."""


def bounds(info: FieldInfo) -> tuple[float, float, float, float]:
    """Compute the bounds of a field.

    Args:
        info: of the field.

    Returns:
        West, south, east and north, in meters of its coordinate reference system.
    """
    (height, width), (a, _, west, _, e, north) = info.shape, info.transform
    return west, north + e * height, west + a * width, north


def grid_coordinates(info: FieldInfo) -> dict[str, tuple]:
    """Make the coordinates of a field by the CF conventions, as rioxarray and GDAL find them.

    Args:
        info: of the field.

    Returns:
        y and x of the centers of pixels in meters, and `spatial_ref`, as xarray takes them: dimensions, values and
        attributes.
    """
    from pyproj import CRS

    (a, _, west, _, e, north), (height, width) = info.transform, info.shape
    coordinates = {}
    for name, start, step, length in (("y", north, e, height), ("x", west, a, width)):
        attributes = {"standard_name": f"projection_{name}_coordinate", "units": "m"}
        coordinates[name] = (name, start + step * (np.arange(length) + 0.5), attributes)
    crs = CRS.from_user_input(info.crs).to_cf() | {"GeoTransform": f"{west} {a} 0.0 {north} 0.0 {e}"}
    return {**coordinates, "spatial_ref": ((), np.int64(0), crs)}


def outline(info: FieldInfo) -> tuple[dict[str, Any], list[float]]:
    """Compute the outline and the bounds of a field in degrees, as GeoJSON has them.

    Args:
        info: of the field.

    Returns:
        A polygon, or two boxes if the field crosses the 180th meridian (RFC 7946); and west, south, east, north, where
        west is then the larger.
    """
    from pyproj import CRS, Transformer

    west, south, east, north = bounds(info)
    start, zeros = np.linspace(0, 1, _SIDE_POINTS, endpoint=False), np.zeros(_SIDE_POINTS)
    right = np.concatenate([zeros, start, zeros + 1, 1 - start, [0]])  # down, right, up and left again
    down = np.concatenate([start, zeros + 1, 1 - start, zeros, [0]])
    to_degrees = Transformer.from_crs(CRS.from_user_input(info.crs), "OGC:CRS84", always_xy=True)
    x, y = np.round(to_degrees.transform(west + (east - west) * right, north + (south - north) * down), 7)
    south, north = float(y.min()), float(y.max())
    if np.ptp(x) < 180:
        ring = np.stack([x, y], axis=1).tolist()
        return {"type": "Polygon", "coordinates": [ring]}, [float(x.min()), south, float(x.max()), north]
    west, east = float(x[x > 0].min()), float(x[x < 0].max())
    boxes = [[_box(west, south, 180.0, north)], [_box(-180.0, south, east, north)]]
    return {"type": "MultiPolygon", "coordinates": boxes}, [west, south, east, north]


def _box(west: float, south: float, east: float, north: float) -> list[list[float]]:
    return [[west, south], [east, south], [east, north], [west, north], [west, south]]
