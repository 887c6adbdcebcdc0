"""Plan the sites of a build: square grids of 10 m around points, over polygons, or over the extent of a file."""

from array import array
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Literal, NamedTuple, cast

import numpy as np
from pyproj import CRS
from pyproj.exceptions import CRSError

from aef_jax.data.build.readers.grid import Grid
from aef_jax.data.build.sites.footprint import are_near
from aef_jax.data.build.sites.utm_grid import (
    WGS84,
    Tile,
    corners_around,
    require_few,
    tiles_in_polygon,
    transformer,
    utm_codes,
    utm_crs,
)
from aef_jax.data.places.features import parse_period, read_features
from aef_jax.data.store.dataset import SPLITS
from aef_jax.data.store.georeference import validate_crs
from aef_jax.data.store.record import WEIGHTS
from aef_jax.data.store.site import Affine, Period
from configs.serialization.printable import printable_value, require_printable
from configs.source import PIXEL_M
from configs.validate import require

PlannedSplit = Literal["", "training", "validation"]
Bounds = tuple[float, float, float, float]
"""West, south, east and north."""
_COLUMNS = ("split", "start", "end", "weight")
_Columns = tuple[PlannedSplit, Period | None, float]
"""Split, support and weight of a site."""


class SitePlan(NamedTuple):
    """The ground of a site: a square, north-up grid of 10 m."""

    name: str
    crs: str
    """Coordinate reference system in meters."""
    transform: Affine
    """(10, 0, west, 0, -10, north), as that of a `Site`."""
    side: int
    """Pixels along each side."""
    split: PlannedSplit = ""
    """Empty if `split_sites` is to choose it."""
    support: Period | None = None
    """Support period, in epoch milliseconds; None for that of the build."""
    weight: float = 1.0
    """Above 0."""

    @property
    def grid(self) -> Grid:
        """The site's grid."""
        return Grid(self.crs, self.transform, self.side)

    @property
    def center(self) -> tuple[float, float]:
        """Longitude and latitude of the center, in degrees, WGS 84."""
        west, south, east, north = self.grid.bounds
        return transformer(self.crs, WGS84).transform((west + east) / 2, (south + north) / 2)


def sites_of_points(path: Path, side: int) -> list[SitePlan]:
    """Plan a site around each point of a list, in the point's UTM zone.

    Args:
        path: points in CSV, GeoJSON, Parquet or GeoParquet; see `read_features`. Optional columns are name, split
            (training or validation), start and end (ISO 8601), and weight (above 0).
        side: pixels along each side of a site.

    Returns:
        The sites, in the list's order, with corners at multiples of 10 m. The first is called site-00000 if it has no
        name.

    Raises:
        ValueError: the first mistake, with its file and place.
    """
    positions: array[float] = array("d")  # a list of tuples takes ten times the memory
    columns: dict[str, _Columns] = {}
    for feature in read_features(path, ("Point",), optional=("name", *_COLUMNS)):
        try:
            name = require_printable("a site", feature.properties["name"] or f"site-{len(columns):05d}")
            require(name not in columns, f"its name {name!r} is that of an earlier one, expected another")
            columns[name] = _parse_columns(feature.properties)
        except ValueError as error:
            raise ValueError(f"{path}, {feature.place}: {error}") from None
        positions.extend(feature.geometry["coordinates"])
    require(bool(columns), f"{path}: it has no point, expected at least one")
    lon, lat = np.array(positions).reshape(-1, 2).T
    codes = utm_codes(lon, lat)
    corners = np.zeros((len(codes), 2))
    crs = {code: f"EPSG:{code}" for code in np.unique(codes).tolist()}
    for code in crs:
        in_zone = codes == code
        corners[in_zone] = corners_around(crs[code], lon[in_zone], lat[in_zone], (side * PIXEL_M, side * PIXEL_M))
    return [
        SitePlan(name, crs[code], _transform(west, north), side, *columns[name])
        for name, code, (west, north) in zip(columns, codes.tolist(), corners.tolist(), strict=True)
    ]


def sites_of_polygons(path: Path, side: int) -> list[SitePlan]:
    """Cover polygons with tiles of the UTM zones' grids, which neighboring polygons share.

    Args:
        path: polygons in GeoJSON or GeoParquet (see `read_features`), cut at 180 degrees (RFC 7946). Optional columns
            are split, start, end and weight, as those of points; polygons that share a tile have the same.
        side: pixels along each side of a tile.

    Returns:
        The tiles whose center is inside a polygon and in the tile's own zone, sorted, with corners at multiples of the
        tile's side. Names are EPSG code, west and north.

    Raises:
        ValueError: the file has a mistake, or gives no tile or more than a million.
    """
    columns: dict[Tile, _Columns] = {}
    for feature in read_features(path, ("Polygon", "MultiPolygon"), optional=_COLUMNS):
        try:
            values = _parse_columns(feature.properties)
            for polygon in feature.geometry["coordinates"]:
                for tile in tiles_in_polygon(polygon, side * PIXEL_M):
                    is_same = columns.setdefault(tile, values) == values
                    require(
                        is_same, f"its {', '.join(_COLUMNS)} differ from those of an earlier one over the same tile"
                    )
                require_few(len(columns))
        except ValueError as error:
            raise ValueError(f"{path}, {feature.place}: {error}") from None
    require(bool(columns), f"{path}: no tile of {side * PIXEL_M} m has its center in a polygon, expected at least one")
    return [
        _plan_tile(f"EPSG:{code}", code, west, north, side)._replace(split=split, support=support, weight=weight)
        for (code, west, north), (split, support, weight) in sorted(columns.items())
    ]


def sites_of_extents(extents: Iterable[tuple[str, Bounds]], side: int) -> list[SitePlan]:
    """Cover the extents of several files with whole tiles that share no ground.

    Args:
        extents: crs and bounds of each, as `sites_of_extent` takes them. One that is smaller than a tile is left out.
        side: pixels along each side of a tile.

    Returns:
        The tiles of the first extent, then of each other one those that are away from all before.

    Raises:
        ValueError: as `sites_of_extent`, if no extent gives a tile.
    """
    plans: list[SitePlan] = []
    caps, problem = np.zeros((0, 4)), None
    for extent in extents:
        try:
            tiles = sites_of_extent(*extent, side)
        except ValueError as error:
            problem = problem or error
            continue
        before = len(plans)
        for tile in tiles:
            near = np.flatnonzero(are_near(caps[:before], tile.grid.cap))
            if not any(_share_ground(tile, plans[index]) for index in near):
                plans.append(tile)
        caps = np.array([plan.grid.cap for plan in plans]).reshape(-1, 4)
    if not plans and problem:
        raise problem
    require_few(len(plans))
    return plans


def _share_ground(tile: SitePlan, other: SitePlan) -> bool:
    west, south, east, north = transformer(other.crs, tile.crs).transform_bounds(*other.grid.bounds)
    own_west, own_south, own_east, own_north = tile.grid.bounds
    slack = PIXEL_M / 10  # tiles side by side share an edge
    return (
        west < own_east - slack and own_west < east - slack and south < own_north - slack and own_south < north - slack
    )


def sites_of_extent(crs: str, bounds: Bounds, side: int) -> list[SitePlan]:
    """Cover the extent of a file with whole tiles.

    Args:
        crs: coordinate reference system of the file.
        bounds: west, south, east and north in its unit.
        side: pixels along each side of a tile.

    Returns:
        Tiles in the file's crs, row by row from its north-west corner. If that is in degrees, tiles inside the extent
        of the UTM zone of its center, sorted, with corners at multiples of the tile's side.

    Raises:
        ValueError: the crs is unknown or in another unit, or the extent is empty, smaller than a tile or too large.
    """
    try:
        file_crs = CRS.from_user_input(crs)
    except CRSError:
        raise ValueError(f"the extent's crs is {printable_value(crs[:80])}, expected one that PROJ knows") from None
    west, south, east, north = bounds
    is_valid = bool(np.isfinite(bounds).all()) and west < east and south < north
    require(is_valid, f"the extent is {tuple(bounds)}, expected west below east and south below north")
    if file_crs.is_geographic:
        return _tiles_in_degrees(crs, bounds, side)
    validate_crs("the extent", crs)
    extent = side * PIXEL_M
    # a millionth: bounds that are computed from an origin and a number of pixels may be off by their last digit
    columns, rows = int((east - west) / extent + 1e-6), int((north - south) / extent + 1e-6)
    require_few(rows * columns)
    _require_tile(rows * columns, (east - west, north - south), side)
    corners = ((west + column * extent, north - row * extent) for row in range(rows) for column in range(columns))
    return [_plan_tile(crs, file_crs.to_epsg() or "tile", *corner, side) for corner in corners]


def _tiles_in_degrees(crs: str, bounds: Bounds, side: int) -> list[SitePlan]:
    west, south, east, north = bounds
    utm, extent = utm_crs((west + east) / 2, (south + north) / 2), side * PIXEL_M
    ground = np.array(transformer(crs, utm).transform_bounds(*bounds))
    require(bool(np.isfinite(ground).all()), f"the extent is {bounds}, expected one that fits in a UTM zone")
    low, high = np.floor(ground[:2] / extent), np.ceil(ground[2:] / extent)
    require_few(int(np.prod(high - low)))
    # of each tile its corners, the middles of its edges, which are arcs in degrees, and its center
    x, y = (np.arange(2 * start, 2 * stop + 1) * (extent / 2) for start, stop in zip(low, high, strict=True))
    lon, lat = transformer(utm, crs).transform(*np.meshgrid(x, y))
    is_inside = (west <= lon) & (lon <= east) & (south <= lat) & (lat <= north)
    is_tile = np.lib.stride_tricks.sliding_window_view(is_inside, (3, 3))[::2, ::2].all(axis=(2, 3))
    rows, columns = np.nonzero(is_tile)
    _require_tile(len(rows), tuple(ground[2:] - ground[:2]), side)
    corners = sorted(zip(x[2 * columns].tolist(), y[2 * rows + 2].tolist(), strict=True))
    return [_plan_tile(utm, int(utm.removeprefix("EPSG:")), *corner, side) for corner in corners]


def _parse_columns(properties: dict[str, Any]) -> _Columns:
    split, start, end = (properties[name] or "" for name in ("split", "start", "end"))
    if split not in ("", *SPLITS):
        raise ValueError(f"its split is {printable_value(split)}, expected {' or '.join(SPLITS)} or nothing")
    require(bool(start) == bool(end), "it has one of start and end, expected both or none")
    support = parse_period(start, end) if start else None
    return cast(PlannedSplit, split), support, _parse_weight(properties["weight"])


def _parse_weight(value: Any) -> float:
    if value is None or value == "":
        return 1.0
    try:
        weight = float(value)
    except (TypeError, ValueError):
        weight = np.nan
    low, high = WEIGHTS
    if not low <= weight <= high:
        raise ValueError(f"its weight is {printable_value(value)}, expected a number from {low:g} to {high:g}")
    return weight


def _plan_tile(crs: str, code: int | str, west: float, north: float, side: int) -> SitePlan:
    return SitePlan(f"{code}_{west:.0f}_{north:.0f}", crs, _transform(west, north), side)


def _transform(west: float, north: float) -> Affine:
    return float(PIXEL_M), 0.0, float(west), 0.0, -float(PIXEL_M), float(north)


def _require_tile(count: int, ground: tuple[float, float], side: int) -> None:
    width, height = (int(meters / PIXEL_M + 1e-6) for meters in ground)
    require(count > 0, f"the extent has {width} x {height} pixels of 10 m, expected at least a tile of {side} x {side}")
