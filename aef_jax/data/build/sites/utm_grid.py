"""The grids in meters that sites are on, UTM and polar stereographic (UPS), and their tiles inside polygons."""

from functools import cache

import numpy as np
from jaxtyping import Bool, Float64, Int64
from pyproj import Transformer
from rasterio.features import rasterize
from rasterio.transform import Affine

from aef_jax.data.places.geometry import MAX_EDGE_DEG, Rings, divide_edges, parse_degrees
from configs.source import PIXEL_M
from configs.validate import require

WGS84 = "EPSG:4326"
Tile = tuple[int, int, int]
"""EPSG code, west and north, in meters."""
_POLAR_ZONE = 61
"""32600 and 32700 plus this are the codes of the polar grids, as plus 1 to 60 those of UTM's zones."""
MAX_TILES = 1_000_000
"""Most tiles of one build."""
_MAX_CELLS = 20_000_000
"""Most tiles in the rectangle around a polygon, which memory holds: some 50 bytes each."""


def utm_crs(lon: float, lat: float) -> str:
    """Return the grid in meters of a place: UTM, or polar stereographic above 84 N and below 80 S.

    Args:
        lon: degrees east, WGS 84.
        lat: degrees north, WGS 84.

    Returns:
        Its code, such as EPSG:32631. A border belongs to the zone east of it, and the equator to the north.

    Raises:
        ValueError: there is no such place.
    """
    lon, lat = parse_degrees("lon", lon), parse_degrees("lat", lat)
    return f"EPSG:{utm_codes(np.array([lon]), np.array([lat]))[0]}"


def corners_around(
    crs: str, lon: Float64[np.ndarray, "N"], lat: Float64[np.ndarray, "N"], size_m: tuple[float, float]
) -> Float64[np.ndarray, "N 2"]:
    """Place rectangles around points, on the grid of 10 m of a zone.

    Args:
        crs: the zone.
        lon: degrees east, WGS 84.
        lat: degrees north, WGS 84.
        size_m: width and height, in meters.

    Returns:
        West and north of each: multiples of 10 m.
    """
    x, y = transformer(WGS84, crs).transform(lon, lat)
    # to 1 mm first: a point in the middle between two corners gives the same one everywhere
    edges = np.round(np.stack([x - size_m[0] / 2, y + size_m[1] / 2], axis=-1), 3)
    return np.floor(edges / PIXEL_M + 0.5) * PIXEL_M


def square_around(lon: float, lat: float, size_m: tuple[float, float]) -> tuple[str, float, float]:
    """Place a rectangle around a point, on the grid of 10 m of the point's UTM zone.

    Args:
        lon: degrees east, WGS 84.
        lat: degrees north, WGS 84.
        size_m: width and height, in meters.

    Returns:
        The zone, such as EPSG:32631, and west and north in it: multiples of 10 m.

    Raises:
        ValueError: there is no such place.
    """
    crs = utm_crs(lon, lat)
    ((west, north),) = corners_around(crs, np.array([lon]), np.array([lat]), size_m).tolist()
    return crs, west, north


def utm_codes(lon: Float64[np.ndarray, "N"], lat: Float64[np.ndarray, "N"]) -> Int64[np.ndarray, "N"]:
    """Return the grid of each place, as `utm_crs` does.

    PROJ's table of zones lacks the wider ones of Norway (32V) and Svalbard (31X to 37X), which satellite products use.

    Args:
        lon: degrees east, -180 to 180.
        lat: degrees north, -90 to 90.

    Returns:
        EPSG codes.
    """
    zone = np.floor((lon + 180) / 6).astype(np.int64) % 60 + 1
    zone[(lat >= 56) & (lat < 64) & (lon >= 3) & (lon < 12)] = 32
    is_svalbard = (lat >= 72) & (lon >= 0) & (lon < 42)
    zone[is_svalbard] = 31 + 2 * np.digitize(lon[is_svalbard], [9, 21, 33])
    zone[(lat > 84) | (lat < -80)] = _POLAR_ZONE
    return np.where(lat >= 0, 32600, 32700) + zone


def require_few(count: int) -> None:
    """Require at most `MAX_TILES` tiles.

    Args:
        count: the tiles.

    Raises:
        ValueError: there are more.
    """
    require(count <= MAX_TILES, f"the ground has {count:,} tiles, expected at most {MAX_TILES:,}: choose larger ones")


@cache
def transformer(source: str, target: str) -> Transformer:
    """Return the map between two coordinate reference systems, made once.

    Args:
        source: such as EPSG:4326.
        target: such as EPSG:32631.

    Returns:
        A map of x and y, or of longitude and latitude in this order.
    """
    return Transformer.from_crs(source, target, always_xy=True)


def tiles_in_polygon(polygon: Rings, extent: int, touching: bool = False) -> set[Tile]:
    """List the tiles whose center is inside a polygon and in the tile's own zone.

    Args:
        polygon: its rings.
        extent: meters along each side of a tile. Corners are at multiples of it.
        touching: list the tiles that touch the polygon instead, and of which a part is in the tile's zone.

    Returns:
        The tiles.

    Raises:
        ValueError: it is too large for such tiles.
    """
    (west, south), (east, north) = polygon[0].min(axis=0), polygon[0].max(axis=0)
    # zones are at least 3 degrees wide, so that points at most a degree apart miss none
    lon, lat = np.meshgrid(
        np.linspace(west, east, int(east - west) + 2), np.linspace(south, north, int(north - south) + 2)
    )
    codes = np.unique(utm_codes(lon.ravel(), lat.ravel())).tolist()
    return {tile for code in codes for tile in _tiles_in_zone(polygon, code, extent, touching)}


def project_rings(polygon: Rings, code: int) -> Rings:
    """Project the part of a polygon that is near a zone.

    Args:
        polygon: its rings, in degrees.
        code: of the zone.

    Returns:
        Its rings in meters, with long edges divided. Vertices far from the zone are moved nearer, but stay outside.
    """
    # coordinates are finite near the zone only; a vertex that is moved to the frame around it stays outside of the zone
    rings = [divide_edges(ring, MAX_EDGE_DEG).clip(*_frame(code)) for ring in polygon]
    to_zone = transformer(WGS84, f"EPSG:{code}")
    return [np.stack(to_zone.transform(*ring.T), axis=-1) for ring in rings]


def _tiles_in_zone(polygon: Rings, code: int, extent: int, touching: bool) -> list[Tile]:
    rings = [ring / extent for ring in project_rings(polygon, code)]
    west, south = np.floor(rings[0].min(axis=0))
    columns, rows = np.ceil(rings[0].max(axis=0) - [west, south]).clip(1).astype(int).tolist()
    require(
        rows * columns <= _MAX_CELLS,
        f"{rows} x {columns} tiles are around a polygon, expected at most {_MAX_CELLS:,}: choose larger tiles",
    )
    geometry = {"type": "Polygon", "coordinates": [ring.tolist() for ring in rings]}
    grid = Affine(1, 0, west, 0, -1, south + rows)  # a pixel is a tile
    row, column = np.nonzero(
        rasterize([geometry], (rows, columns), transform=grid, all_touched=touching, dtype="uint8")
    )
    x, y = (west + column) * extent, (south + rows - row) * extent
    places = [(0.5, 0.5), *([(0, 0), (0, 1), (1, 0), (1, 1)] if touching else [])]
    is_own = np.any([_is_in_zone(code, x + right * extent, y - down * extent) for right, down in places], axis=0)
    require_few(int(is_own.sum()))
    return [(code, int(x), int(y)) for x, y in zip(x[is_own], y[is_own], strict=True)]


def _is_in_zone(code: int, x: Float64[np.ndarray, "N"], y: Float64[np.ndarray, "N"]) -> Bool[np.ndarray, "N"]:
    lon, lat = transformer(f"EPSG:{code}", WGS84).transform(x, y)
    # to 0.1 mm: a center on the equator must not be south of it by rounding
    return utm_codes(np.round(lon, 9), np.round(lat, 9)) == code


def _frame(code: int) -> tuple[tuple[float, float], tuple[float, float]]:
    """Return the south-west and the north-east corner, in degrees, of a frame a degree or more around a zone."""
    zone, is_north = code % 100, code < 32700
    if zone == _POLAR_ZONE:
        return ((-180, 83), (180, 90)) if is_north else ((-180, -90), (180, -79))
    middle = 6 * zone - 183
    return ((middle - 7, -1), (middle + 7, 85)) if is_north else ((middle - 7, -81), (middle + 7, 1))
