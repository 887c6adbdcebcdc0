"""Check that a site's grid is one of 10 m in a projected coordinate reference system."""

import re
from functools import cache

import numpy as np

from configs.source import PIXEL_M, PIXEL_TOLERANCE

_AUTHORITY_CODE = re.compile(r"([A-Za-z]+):(\w+)")
_GEOGRAPHIC = frozenset(["EPSG:4326", "EPSG:4258", "EPSG:4267", "EPSG:4269", "EPSG:4490"])
"""The systems in degrees that people use most; other codes say nothing without PROJ's table."""


def validate_transform(where: str, transform: tuple[float, ...]) -> None:
    """Check that a transform is the map of a grid of 10 m.

    Args:
        where: names the site in errors.
        transform: the six numbers of affine.Affine.

    Raises:
        ValueError: it has other numbers: in GDAL's order, of a grid of 30 m, in degrees.
    """
    expected = f"expected pixels of {PIXEL_M} m, as in ({PIXEL_M}, 0, west, 0, -{PIXEL_M}, north)"
    if len(transform) != 6 or not np.isfinite(transform).all():
        raise ValueError(f"{where}: its transform is {tuple(transform)}, {expected}")
    a, b, _, d, e, _ = transform
    sides = np.hypot(a, d), np.hypot(b, e)
    if np.allclose([*sides, abs(a * e - b * d) / PIXEL_M], PIXEL_M, rtol=PIXEL_TOLERANCE):
        return
    in_gdal_order = np.allclose(np.abs([b, transform[5]]), PIXEL_M, rtol=PIXEL_TOLERANCE)
    reason = (
        "is in GDAL's order, expected affine.Affine's"
        if in_gdal_order
        else f"has pixels of {sides[0]:g} x {sides[1]:g} in the unit of its crs"
    )
    raise ValueError(f"{where}: its transform {tuple(transform)} {reason}; {expected}")


def validate_crs(where: str, crs: str) -> None:
    """Check that a coordinate reference system exists and is in meters.

    Without rasterio, only its form is checked, and that it is no system in degrees.

    Args:
        where: names the site in errors.
        crs: such as EPSG:32631, or WKT.

    Raises:
        ValueError: it is none, or not in meters.
    """
    if problem := _crs_problem(crs):
        raise ValueError(f"{where}: its crs {crs[:80]!r} is {problem}, expected one in meters, such as EPSG:32631")


@cache
def _crs_problem(crs: str) -> str:
    """Return what is wrong with a crs; empty if nothing is."""
    named = _AUTHORITY_CODE.fullmatch(crs)
    if not named and "[" not in crs and not crs.startswith("+proj="):
        return "not a crs"
    try:
        import rasterio
        import rasterio.errors
    except ModuleNotFoundError:
        return "in degrees" if crs.upper() in _GEOGRAPHIC or crs.startswith(("GEOG", "+proj=longlat")) else ""
    with rasterio.Env():  # GDAL's own messages go to the logging
        try:
            known = rasterio.CRS.from_user_input(crs)
        except (rasterio.errors.CRSError, ValueError):  # ValueError of EPSG:banana
            return "not known to PROJ"
        if not known.is_projected:
            return "not projected (its unit is degrees)"
        unit, meters = known.linear_units_factor
        return "" if meters == 1 else f"in the unit {unit}"
