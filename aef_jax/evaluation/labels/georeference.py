"""Convert positions between degrees, coordinates in meters, and pixels."""

import numpy as np
from jaxtyping import Float64, Int64

from aef_jax.data.store.site import Affine
from configs.serialization.printable import printable

Positions = tuple[Float64[np.ndarray, "N"], Float64[np.ndarray, "N"]]
Pixels = tuple[Int64[np.ndarray, "N"], Int64[np.ndarray, "N"]]


def to_crs(lon: Float64[np.ndarray, "N"], lat: Float64[np.ndarray, "N"], crs: str, where: str) -> Positions:
    """Convert degrees to a coordinate reference system.

    Args:
        lon: degrees east, WGS 84.
        lat: degrees north, WGS 84.
        crs: the system.
        where: names what is in it, for messages.

    Returns:
        x and y; infinite where the system does not reach.

    Raises:
        ModuleNotFoundError: pyproj is not installed.
        ValueError: PROJ does not know the system.
    """
    return _transform(crs, where, lon, lat, inverse=False)


def to_degrees(x: Float64[np.ndarray, "N"], y: Float64[np.ndarray, "N"], crs: str, where: str) -> Positions:
    """Convert coordinates to degrees.

    Args:
        x: coordinates in `crs`.
        y: coordinates in `crs`.
        crs: the system.
        where: names what is in it, for messages.

    Returns:
        Longitude and latitude, WGS 84.

    Raises:
        ModuleNotFoundError: pyproj is not installed.
        ValueError: PROJ does not know the system.
    """
    return _transform(crs, where, x, y, inverse=True)


def to_pixels(x: Float64[np.ndarray, "N"], y: Float64[np.ndarray, "N"], transform: Affine) -> Pixels:
    """Find the pixels that positions lie in.

    Args:
        x: coordinates.
        y: coordinates.
        transform: of a grid without rotation, as `Site.transform`.

    Returns:
        Rows and columns, also beyond the grid. A pixel includes its upper and its left edge, to a millionth of a pixel.
    """
    width, _, west, _, height, north = transform
    with np.errstate(invalid="ignore"):
        row, column = np.floor(np.round([(y - north) / height, (x - west) / width], 6))
    # far outside, also where the system does not reach
    return tuple(
        np.nan_to_num(each, nan=-1, posinf=-1, neginf=-1).clip(-1, 2**40).astype(np.int64) for each in (row, column)
    )


def pixel_centers(row: Int64[np.ndarray, "N"], column: Int64[np.ndarray, "N"], transform: Affine) -> Positions:
    """Find the centers of pixels.

    Args:
        row: rows.
        column: columns.
        transform: of the grid.

    Returns:
        x and y.
    """
    a, b, c, d, e, f = transform
    u, v = column + 0.5, row + 0.5
    return a * u + b * v + c, d * u + e * v + f


def _transform(crs: str, where: str, x: np.ndarray, y: np.ndarray, inverse: bool) -> Positions:
    try:
        from pyproj import Transformer
        from pyproj.enums import TransformDirection
        from pyproj.exceptions import ProjError
    except ModuleNotFoundError:
        raise ModuleNotFoundError("placing labels needs the package pyproj: pip install 'aef[build]'") from None
    try:
        transformer = Transformer.from_crs("EPSG:4326", crs, always_xy=True)
    except ProjError:
        raise ValueError(f"{where}: its crs is {printable(crs)!r}, expected one that PROJ knows") from None
    direction = TransformDirection.INVERSE if inverse else TransformDirection.FORWARD
    return transformer.transform(x, y, direction=direction)
