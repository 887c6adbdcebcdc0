"""The ground of grids as caps of the sphere, which have no trouble with poles and with 180 degrees."""

from functools import cache
from typing import Any

import numpy as np
from jaxtyping import Bool, Float64
from pyproj import CRS, Transformer

_POINTS = 5
"""Points along each side of a grid that a cap is drawn around, corners included."""
_SLACK = 1e-4
"""Radians added to a cap, some 600 m: the sides of a grid are no great circles, and the earth is no sphere."""

Cap = tuple[float, float, float, float]
"""Unit vector of the center, and the radius in radians."""


@cache
def cap_of(crs: Any, transform: tuple[float, ...], shape: tuple[int, int]) -> Cap:
    """Draw a cap around a grid.

    Args:
        crs: coordinate reference system, as pyproj takes it or with `to_wkt`.
        transform: first six numbers of affine.Affine, of a north-up grid.
        shape: rows and columns.

    Returns:
        A cap that holds the grid. It is the whole sphere if a corner is no place on Earth.
    """
    width, _, west, _, height, north = transform
    # the center, and a frame of points
    steps = np.linspace(0, 1, _POINTS)
    columns, rows = np.meshgrid(steps, steps)
    x, y = west + width * shape[1] * columns.ravel(), north + height * shape[0] * rows.ravel()
    lon, lat = _to_degrees(crs).transform(x, y)
    if not (np.isfinite(lon).all() and np.isfinite(lat).all()):
        return 1.0, 0.0, 0.0, np.pi
    lon, lat = np.radians(lon), np.radians(lat)
    points = np.stack([np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat)], axis=-1)
    center = points[len(points) // 2]
    return *center.tolist(), float(_angle(points, center).max() * (1 + 1 / _POINTS) + _SLACK)


def are_near(caps: Float64[np.ndarray, "N 4"], cap: Cap) -> Bool[np.ndarray, "N"]:
    """Tell which caps meet another one.

    Args:
        caps: a row for each.
        cap: the other one.

    Returns:
        True where they share ground, or nearly.
    """
    return _angle(caps[:, :3], np.array(cap[:3])) <= caps[:, 3] + cap[3]


def _angle(points: Float64[np.ndarray, "N 3"], center: Float64[np.ndarray, "3"]) -> Float64[np.ndarray, "N"]:
    return 2 * np.arcsin(np.clip(np.linalg.norm(points - center, axis=-1) / 2, 0, 1))  # exact for small angles


@cache
def _to_degrees(crs: Any) -> Transformer:
    return Transformer.from_crs(CRS.from_user_input(crs), "EPSG:4326", always_xy=True)
