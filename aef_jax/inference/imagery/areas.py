"""The ground that fields are asked for: polygons in degrees to UTM grids of 10 m, and the tiles that cover them.

Tiles lie on a grid of each zone whose corners are multiples of 960 m, so that a tile is the same whatever the area.
"""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool
from rasterio.features import rasterize
from rasterio.transform import Affine as RasterAffine

from aef_jax.data.build.readers.grid import Grid
from aef_jax.data.build.sites.utm_grid import WGS84, project_rings, tiles_in_polygon, transformer
from aef_jax.data.places.features import read_features
from aef_jax.data.places.geometry import Rings
from aef_jax.data.store.dataset import Dataset
from aef_jax.data.store.records import SPLITS
from aef_jax.data.store.site import Affine, Site
from aef_jax.inference.field import windows
from aef_jax.inference.writers.cog import MAX_SIDE
from configs.fields.layout import step_of
from configs.source import PIXEL_M
from configs.validate import require

BLOCK_SIDE = 224
"""Most pixels along a block, unless a tile is larger: a year of Sentinel-2 frames of them takes 150 MB as float32."""
Bounds = tuple[float, float, float, float]
"""West, south, east and north, in degrees."""


class GroundTile(NamedTuple):
    """A tile of a zone's grid. Its core is a square of 3/4 of the tile's side, which cores of others do not share."""

    code: int
    """EPSG code of the zone."""
    west: int
    """Of the core, in meters: a multiple of the core's side."""
    north: int
    """Of the core, in meters: a multiple of the core's side."""


class Block(NamedTuple):
    """Neighboring tiles whose frames are read at once, so that buffers which they share are read once."""

    grid: Grid
    """Pixels of all tiles that the block may have, with their buffers."""
    tiles: list[GroundTile]

    def start(self, tile: GroundTile, side: int) -> tuple[int, int]:
        """Return the first row and column of a tile, with its buffer.

        Args:
            tile: one of the block's.
            side: of a tile, in pixels.

        Returns:
            Both, counted from the grid's corner.
        """
        west, _, _, north = self.grid.bounds
        buffer = side // 8 * PIXEL_M
        return round((north - tile.north - buffer) / PIXEL_M), round((tile.west - buffer - west) / PIXEL_M)


class Region(NamedTuple):
    """The ground of one file: a rectangle of a zone's grid of 10 m, and the area within it."""

    crs: str
    west: int
    """In meters, a multiple of 10."""
    north: int
    """In meters, a multiple of 10."""
    shape: tuple[int, int]
    """Rows and columns."""
    polygons: Sequence[Rings]
    """The area, in `crs`."""

    @property
    def name(self) -> str:
        """Zone, west and north."""
        return f"{self.crs.removeprefix('EPSG:')}_{self.west}_{self.north}"

    @property
    def transform(self) -> Affine:
        """From (column, row) to coordinates."""
        return float(PIXEL_M), 0.0, float(self.west), 0.0, -float(PIXEL_M), float(self.north)

    def is_inside(self, rows: slice, columns: slice) -> Bool[np.ndarray, "h w"]:
        """Find the pixels of a window that are in the area.

        Args:
            rows: of the rectangle.
            columns: of the rectangle.

        Returns:
            True for pixels whose center is inside a polygon.
        """
        shape = rows.stop - rows.start, columns.stop - columns.start
        west, north = self.west + PIXEL_M * columns.start, self.north - PIXEL_M * rows.start
        corner = RasterAffine(PIXEL_M, 0, west, 0, -PIXEL_M, north)
        shapes = [{"type": "Polygon", "coordinates": [ring.tolist() for ring in rings]} for rings in self.polygons]
        return np.asarray(rasterize(shapes, shape, transform=corner, dtype="uint8"), bool)


def read_area(path: Path) -> list[Rings]:
    """Read the polygons of an area.

    Args:
        path: GeoJSON or GeoParquet; see `read_features`.

    Returns:
        The polygons, in degrees, WGS 84.

    Raises:
        ValueError: the file has a mistake, or no polygon.
    """
    features = read_features(path, ("Polygon", "MultiPolygon"))
    polygons = [rings for feature in features for rings in feature.geometry["coordinates"]]
    require(bool(polygons), f"{path}: it has no polygon, expected at least one")
    return polygons


def polygon_of_bounds(bounds: Bounds) -> list[Rings]:
    """Make the polygon of a rectangle in degrees.

    Args:
        bounds: west, south, east and north.

    Returns:
        One polygon.

    Raises:
        ValueError: it is empty, or not on the Earth.
    """
    west, south, east, north = bounds
    is_valid = -180 <= west < east <= 180 and -90 <= south < north <= 90
    require(is_valid, f"bounds are {bounds}, expected west, south, east and north in degrees, west below east")
    return [[np.array([(west, south), (east, south), (east, north), (west, north), (west, south)], np.float64)]]


def is_in_area(polygons: Sequence[Rings], lon: float, lat: float) -> bool:
    """Tell whether a place is in an area.

    Args:
        polygons: the area, in degrees.
        lon: degrees east, WGS 84.
        lat: degrees north, WGS 84.

    Returns:
        True if a polygon contains it.
    """
    small = 1e-6  # degrees: 0.1 m
    pixel = RasterAffine(small, 0, lon - small / 2, 0, -small, lat + small / 2)
    shapes = [{"type": "Polygon", "coordinates": [ring.tolist() for ring in rings]} for rings in polygons]
    return bool(np.any(rasterize(shapes, (1, 1), transform=pixel, dtype="uint8")))


def sites_in_area(dataset: Dataset, polygons: Sequence[Rings]) -> list[Callable[[], Site | None]]:
    """List readers of all sites of a data set.

    Args:
        dataset: the data set, which does not say where its sites are.
        polygons: the area, in degrees.

    Returns:
        Functions that read a site, and return it if its center is in the area.
    """

    def read(records: Sequence[Site], index: int) -> Site | None:
        site = records[index]
        west, north, (height, width) = site.transform[2], site.transform[5], site.shape
        center = west + width * PIXEL_M / 2, north - height * PIXEL_M / 2
        return site if is_in_area(polygons, *transformer(site.crs, WGS84).transform(*center)) else None

    both = [dataset.records(split) for split in SPLITS]
    return [partial(read, records, index) for records in both for index in range(len(records))]


def tiles_of_area(polygons: Sequence[Rings], side: int) -> list[GroundTile]:
    """List the tiles of an area: those whose core touches it.

    Args:
        polygons: the area, in degrees.
        side: of a tile, in pixels.

    Returns:
        The tiles by zone, from north to south and from west to east.

    Raises:
        ValueError: the area is too large.
    """
    extent = step_of(side) * PIXEL_M
    tiles = {tile for polygon in polygons for tile in tiles_in_polygon(polygon, extent, touching=True)}
    return [GroundTile(*tile) for tile in sorted(tiles, key=lambda tile: (tile[0], -tile[2], tile[1]))]


def blocks_of_tiles(tiles: Sequence[GroundTile], side: int) -> list[Block]:
    """Group tiles into blocks.

    Args:
        tiles: the tiles.
        side: of a tile, in pixels.

    Returns:
        The blocks, in the order of their first tiles. A tile's block has the same grid whatever the other tiles are.
    """
    buffer, step = side // 8, step_of(side)
    count = max(1, (BLOCK_SIDE - 2 * buffer) // step)
    extent = count * step * PIXEL_M
    grouped: dict[tuple[int, int, int], list[GroundTile]] = {}
    for tile in tiles:
        grouped.setdefault((tile.code, tile.west // extent, -(-tile.north // extent)), []).append(tile)
    blocks = []
    for (code, column, row), members in grouped.items():
        west, north = column * extent - buffer * PIXEL_M, row * extent + buffer * PIXEL_M
        transform = float(PIXEL_M), 0.0, float(west), 0.0, -float(PIXEL_M), float(north)
        blocks.append(Block(Grid(f"EPSG:{code}", transform, count * step + 2 * buffer), members))
    return blocks


def regions_of_area(
    polygons: Sequence[Rings], tiles: Sequence[GroundTile], side: int, max_side: int = MAX_SIDE
) -> list[Region]:
    """Divide an area into files, of one zone each.

    Args:
        polygons: the area, in degrees.
        tiles: its tiles.
        side: of a tile, in pixels.
        max_side: most rows and columns of a file.

    Returns:
        The files' ground, by zone, from north to south and from west to east. Each meets a tile.
    """
    regions = []
    extent = step_of(side) * PIXEL_M
    for code in sorted({tile.code for tile in tiles}):
        in_zone = [tile for tile in tiles if tile.code == code]
        projected = [project_rings(rings, code) for rings in polygons]
        outer = np.concatenate([rings[0] for rings in projected])
        low = np.array([min(tile.west for tile in in_zone), min(tile.north for tile in in_zone) - extent])
        high = np.array([max(tile.west for tile in in_zone) + extent, max(tile.north for tile in in_zone)])
        # an edge that is 1 cm in a pixel is taken for its border: coordinates come from degrees
        first = np.floor(np.maximum(outer.min(axis=0), low) / PIXEL_M + 1e-3).astype(int)
        end = np.ceil(np.minimum(outer.max(axis=0), high) / PIXEL_M - 1e-3).astype(int)
        west, north = int(first[0]) * PIXEL_M, int(end[1]) * PIXEL_M
        shape = int(end[1] - first[1]), int(end[0] - first[0])
        for rows, columns in windows(shape, max_side):
            corner = west + columns.start * PIXEL_M, north - rows.start * PIXEL_M
            size = rows.stop - rows.start, columns.stop - columns.start
            region = Region(f"EPSG:{code}", *corner, size, projected)
            if any(_meets(region, tile, extent) for tile in in_zone):
                regions.append(region)
    return regions


def _meets(region: Region, tile: GroundTile, extent: int) -> bool:
    height, width = (length * PIXEL_M for length in region.shape)
    return (
        region.west < tile.west + extent
        and tile.west < region.west + width
        and region.north - height < tile.north
        and tile.north - extent < region.north
    )
