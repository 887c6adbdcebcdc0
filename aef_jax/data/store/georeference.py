"""Check that a site's grid is one of 10 m in a projected coordinate reference system."""

import re
from functools import cache

import numpy as np

from configs.source import PIXEL_M

MAX_PIXEL_ERROR = 0.01
"""Accepted relative difference of a pixel's sides and area from those of 10 m (ours)."""

_AUTHORITY_CODE = re.compile(r"([A-Za-z]+):(\w+)")
_EPSG_GEOGRAPHIC = range(4001, 5000)
"""Codes that EPSG gave to systems in degrees, and to none in meters."""


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
    if np.allclose([*sides, abs(a * e - b * d) / PIXEL_M], PIXEL_M, rtol=MAX_PIXEL_ERROR):
        return
    in_gdal_order = np.allclose(np.abs([b, transform[5]]), PIXEL_M, rtol=MAX_PIXEL_ERROR)
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
        is_geographic_code = named is not None and named[2].isdecimal() and int(named[2]) in _EPSG_GEOGRAPHIC
        return "in degrees" if is_geographic_code or crs.startswith(("GEOG", "+proj=longlat")) else ""
    with rasterio.Env():  # GDAL's own messages go to the logging
        try:
            known = rasterio.CRS.from_user_input(crs)
        except rasterio.errors.CRSError:
            return "not known to PROJ"
        if not known.is_projected:
            return "not projected (its unit is degrees)"
        unit, meters = known.linear_units_factor
        return "" if meters == 1 else f"in the unit {unit}"
