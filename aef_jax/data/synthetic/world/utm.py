"""Convert UTM coordinates to longitude and latitude (WGS 84) by Krueger's series, exact to a millimeter.

No geodesy library is needed.
"""

import numpy as np
from jaxtyping import Float64

_THIRD = (1 / 298.257223563) / (2 - 1 / 298.257223563)
"""The third flattening n of the ellipsoid."""
_RADIUS = 6378137.0 / (1 + _THIRD) * (1 + _THIRD**2 / 4 + _THIRD**4 / 64)
"""Radius in meters of the sphere with meridians of the same length."""
_BETA = (
    _THIRD / 2 - 2 * _THIRD**2 / 3 + 37 * _THIRD**3 / 96,
    _THIRD**2 / 48 + _THIRD**3 / 15,
    17 * _THIRD**3 / 480,
)
_DELTA = (
    2 * _THIRD - 2 * _THIRD**2 / 3 - 2 * _THIRD**3,
    7 * _THIRD**2 / 3 - 8 * _THIRD**3 / 5,
    56 * _THIRD**3 / 15,
)
SCALE = 0.9996
FALSE_EASTING = 500_000.0
FALSE_NORTHING = 10_000_000.0
"""Of the southern zones, in meters."""


def utm_zone(longitude: float) -> int:
    """Return the UTM zone, without the exceptions around Norway and Svalbard.

    Args:
        longitude: degrees.

    Returns:
        1 to 60.
    """
    return int((longitude + 180) // 6) % 60 + 1


def epsg_code(zone: int, south: bool) -> str:
    """Return the name of a UTM zone's coordinate reference system.

    Args:
        zone: 1 to 60.
        south: whether it is a southern zone.

    Returns:
        Such as "EPSG:32631".
    """
    return f"EPSG:{(32700 if south else 32600) + zone}"


def approximate_northing(latitude: float) -> float:
    """Compute the northing on a zone's central meridian to about a kilometer.

    Args:
        latitude: degrees.

    Returns:
        Meters north of the equator, negative in the south.
    """
    radians = np.deg2rad(latitude)
    return float(SCALE * (6_367_449.1 * radians - 16_038.5 * np.sin(2 * radians)))


def to_degrees(
    easting: Float64[np.ndarray, "*N"], northing: Float64[np.ndarray, "*N"], zone: int, south: bool
) -> tuple[Float64[np.ndarray, "*N"], Float64[np.ndarray, "*N"]]:
    """Convert UTM coordinates.

    Args:
        easting: meters.
        northing: meters.
        zone: 1 to 60.
        south: whether it is a southern zone.

    Returns:
        Longitudes and latitudes in degrees.
    """
    xi = (np.asarray(northing) - (FALSE_NORTHING if south else 0)) / (SCALE * _RADIUS)
    eta = (np.asarray(easting) - FALSE_EASTING) / (SCALE * _RADIUS)
    sphere_xi, sphere_eta = xi, eta
    for order, beta in enumerate(_BETA, start=1):
        sphere_xi = sphere_xi - beta * np.sin(2 * order * xi) * np.cosh(2 * order * eta)
        sphere_eta = sphere_eta - beta * np.cos(2 * order * xi) * np.sinh(2 * order * eta)
    conformal = np.arcsin(np.sin(sphere_xi) / np.cosh(sphere_eta))
    latitude = conformal + sum(delta * np.sin(2 * k * conformal) for k, delta in enumerate(_DELTA, start=1))
    longitude = np.deg2rad(zone * 6 - 183) + np.arctan2(np.sinh(sphere_eta), np.cos(sphere_xi))
    return np.rad2deg(longitude), np.rad2deg(latitude)
