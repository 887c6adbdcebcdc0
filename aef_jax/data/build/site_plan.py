"""Plan the sites of a build: square grids of 10 m around points, over polygons, or over the extent of a file."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Literal, NamedTuple, cast

import numpy as np
from pyproj import CRS
from pyproj.exceptions import CRSError

from aef_jax.data.build.footprint import are_near
from aef_jax.data.build.readers.grid import Grid
from aef_jax.data.build.utm_grid import WGS84, Tile, require_few, square_around, tiles_in_polygon, transformer, utm_crs
from aef_jax.data.place_table import parse_degrees, read_rows
from aef_jax.data.store.dataset import SPLITS
from aef_jax.data.store.georeference import validate_crs
from aef_jax.data.store.site import Affine, Period, to_ms
from configs.serialization.printable import printable_value, require_printable
from configs.serialization.strict_json import read_json
from configs.source import PIXEL_M
from configs.validate import require

PlannedSplit = Literal["", "training", "validation"]
Bounds = tuple[float, float, float, float]
"""West, south, east and north."""


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
        path: a CSV with the columns lon and lat, or GeoJSON (.json, .geojson) with a collection of Points. Optional
            columns or properties are name, split (training or validation), start and end (ISO 8601).
        side: pixels along each side of a site.

    Returns:
        The sites, in the list's order, with corners at multiples of 10 m. The first is called site-00000 if it has no
        name.

    Raises:
        ValueError: the first mistake, with its file and place: rows count from the header, which is row 1; features
            count from 1.
    """
    plans, names = [], set()
    is_json = path.suffix in (".json", ".geojson")
    for place, fields in _json_rows(path) if is_json else read_rows(path, ("lon", "lat")):
        try:
            plan = _plan_point(fields, f"site-{len(plans):05d}", side)
            require(plan.name not in names, f"its name {plan.name!r} is that of an earlier one, expected another")
        except ValueError as error:
            raise ValueError(f"{path}, {place}: {error}") from None
        plans.append(plan)
        names.add(plan.name)
    require(bool(plans), f"{path}: it has no point, expected at least one")
    return plans


def sites_of_polygons(path: Path, side: int) -> list[SitePlan]:
    """Cover polygons with tiles of the UTM zones' grids, which neighboring polygons share.

    Args:
        path: GeoJSON with a collection of Polygons and MultiPolygons (RFC 7946: in degrees, cut at 180 degrees).
        side: pixels along each side of a tile.

    Returns:
        The tiles whose center is inside a polygon and in the tile's own zone, sorted, with corners at multiples of the
        tile's side. Names are EPSG code, west and north.

    Raises:
        ValueError: the file has a mistake, or gives no tile or more than a million.
    """
    tiles: set[Tile] = set()
    for place, geometry, _ in _features(path, ("Polygon", "MultiPolygon")):
        polygons = geometry["coordinates"] if geometry["type"] == "MultiPolygon" else [geometry["coordinates"]]
        try:
            for polygon in polygons:
                tiles |= tiles_in_polygon(polygon, side * PIXEL_M)
                require_few(len(tiles))
        except ValueError as error:
            raise ValueError(f"{path}, {place}: {error}") from None
    require(bool(tiles), f"{path}: no tile of {side * PIXEL_M} m has its center in a polygon, expected at least one")
    return [_plan_tile(f"EPSG:{code}", code, west, north, side) for code, west, north in sorted(tiles)]


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


def _plan_point(fields: dict[str, Any], default_name: str, side: int) -> SitePlan:
    lon, lat = parse_degrees("lon", fields["lon"]), parse_degrees("lat", fields["lat"])
    name, split, *dates = (fields.get(name) or "" for name in ("name", "split", "start", "end"))
    require(split in ("", *SPLITS), f"its split is {printable_value(split)}, expected {' or '.join(SPLITS)} or nothing")
    require(all(isinstance(date, str) for date in dates), f"its dates are {printable_value(dates)}, expected ISO 8601")
    require(bool(dates[0]) == bool(dates[1]), "it has one of start and end, expected both or none")
    support = (to_ms(dates[0]), to_ms(dates[1])) if dates[0] else None
    require(not support or support[0] < support[1], f"its end ({dates[1]}) is not after its start ({dates[0]})")
    crs, west, north = square_around(lon, lat, (side * PIXEL_M, side * PIXEL_M))
    name = require_printable("a site", name or default_name)
    return SitePlan(name, crs, _transform(west, north), side, cast(PlannedSplit, split), support)


def _plan_tile(crs: str, code: int | str, west: float, north: float, side: int) -> SitePlan:
    return SitePlan(f"{code}_{west:.0f}_{north:.0f}", crs, _transform(west, north), side)


def _transform(west: float, north: float) -> Affine:
    return float(PIXEL_M), 0.0, float(west), 0.0, -float(PIXEL_M), float(north)


def _json_rows(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    for place, geometry, properties in _features(path, ("Point",)):
        lon, lat = (*geometry["coordinates"], None, None)[:2]
        yield place, {**properties, "lon": lon, "lat": lat}


def _features(path: Path, kinds: tuple[str, ...]) -> Iterator[tuple[str, dict[str, Any], dict[str, Any]]]:
    """Yield the place, the geometry and the properties of each feature of GeoJSON."""
    tree = read_json(path)
    features = tree.get("features") if isinstance(tree, dict) else None
    if not isinstance(features, list):
        raise ValueError(f"{path}: it has no list of features, expected a GeoJSON FeatureCollection")
    for number, feature in enumerate(features, start=1):
        match feature:
            case {"geometry": {"type": str(kind), "coordinates": list()} as geometry} if kind in kinds:
                properties = feature.get("properties") or {}
                require(isinstance(properties, dict), f"{path}, feature {number}: its properties are no JSON object")
                yield f"feature {number}", geometry, properties
            case _:
                expected = " or ".join(kinds)
                raise ValueError(
                    f"{path}, feature {number}: it has no geometry that is read here, expected a {expected}"
                )


def _require_tile(count: int, ground: tuple[float, float], side: int) -> None:
    width, height = (int(meters / PIXEL_M + 1e-6) for meters in ground)
    require(count > 0, f"the extent has {width} x {height} pixels of 10 m, expected at least a tile of {side} x {side}")
