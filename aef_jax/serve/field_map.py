"""Read a field at the pixels of a map's tiles in Web Mercator."""

import math
from functools import lru_cache
from threading import Lock

import numpy as np
from jaxtyping import Float32, Float64, Int8

from aef_jax.analysis.points import inside, locate, vectors_at
from aef_jax.analysis.windows import each_window
from aef_jax.inference.field import Field
from configs.fields.quantize import NO_DATA, dequantize, quantize
from configs.source import PIXEL_M

TILE = 256
"""Pixels of a tile's side."""
MAX_ZOOM = 22
"""Deepest zoom that is drawn: pixels of 4 cm."""
OVERVIEW = 1024
"""The most pixels of an overview's side: 67 MB of 64 codes."""
_CACHED_TILES = 48
"""Tiles whose vectors are kept: 4 MB each of 64 codes."""


class FieldMap:
    """A field, and an overview of it in memory for maps that show much of it.

    A pixel of the overview is the normalized mean of the vectors of `factor` x `factor` pixels.

    Args:
        field: the field.
        name: of its period, for people.
    """

    def __init__(self, field: Field, name: str):
        self.field, self.name = field, name
        self.lock = Lock()  # a dataset of GDAL is for one thread at a time
        self.factor = 1
        while max(field.info.shape) > OVERVIEW * self.factor:
            self.factor *= 2
        self.overview = self._make_overview()
        self.tile_codes = lru_cache(_CACHED_TILES)(self._tile_codes)

    def corners(self) -> tuple[float, float, float, float]:
        """Compute what the map shows first.

        Returns:
            West, south, east, north in degrees.
        """
        from pyproj import Transformer

        height, width = self.field.info.shape
        a, b, west, d, e, north = self.field.info.transform
        x = [west, west + a * width + b * height]
        y = [north, north + d * width + e * height]
        transformer = Transformer.from_crs(self.field.info.crs, "EPSG:4326", always_xy=True)
        return transformer.transform_bounds(min(x), min(y), max(x), max(y))

    def vector(self, lon: float, lat: float) -> Float32[np.ndarray, "D"]:
        """Read the vector at a point.

        Args:
            lon: degrees east.
            lat: degrees north.

        Returns:
            A unit vector; NaN outside of the field and without data.
        """
        with self.lock:
            return vectors_at(self.field, np.array([[lon, lat]], np.float64))[0]

    def tile(self, zoom: int, column: int, row: int) -> Float32[np.ndarray, "256 256 D"]:
        """Read the vectors of a tile: of each pixel's center, the nearest pixel of the field.

        Args:
            zoom: of the tile, as in the tiles of OpenStreetMap.
            column: of the tile, from 180 degrees west.
            row: of the tile, from the north.

        Returns:
            Unit vectors, to within the rounding of 8-bit codes; NaN is no data.
        """
        vectors = dequantize(self.tile_codes(zoom, column, row))
        return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)

    def _tile_codes(self, zoom: int, column: int, row: int) -> Int8[np.ndarray, "256 256 D"]:
        positions = tile_positions(zoom, column, row)
        rows, columns = (index.reshape(TILE, TILE) for index in locate(self.field.info, positions))
        is_inside = inside(self.field.info, rows, columns)
        codes = np.full((TILE, TILE, self.field.info.embed_dim), NO_DATA, np.int8)
        if not is_inside.any():
            return codes
        rows, columns = rows[is_inside], columns[is_inside]
        if self.factor == 1 or pixel_meters(zoom, positions[:, 1].mean()) >= self.factor * PIXEL_M / 2:
            codes[is_inside] = self.overview[rows // self.factor, columns // self.factor]
            return codes
        top, left = int(rows.min()), int(columns.min())
        with self.lock:
            window = self.field.read(slice(top, int(rows.max()) + 1), slice(left, int(columns.max()) + 1))
        codes[is_inside] = quantize(window[rows - top, columns - left])
        return codes

    def _make_overview(self) -> Int8[np.ndarray, "h w D"]:
        height, width = self.field.info.shape
        shape = -(-height // self.factor), -(-width // self.factor), self.field.info.embed_dim
        overview = np.empty(shape, np.int8)
        for rows, columns in each_window((height, width), f"overview of {self.name}"):
            block = reduce_vectors(self.field.read(rows, columns), self.factor)
            top, left = rows.start // self.factor, columns.start // self.factor
            overview[top : top + block.shape[0], left : left + block.shape[1]] = quantize(block)
        return overview


def reduce_vectors(vectors: Float32[np.ndarray, "h w D"], factor: int) -> Float32[np.ndarray, "i j D"]:
    """Average blocks of vectors, and normalize the means.

    Args:
        vectors: unit vectors; NaN is no data.
        factor: side of a block, in pixels. Blocks at the end of a row or column may be smaller.

    Returns:
        Unit vectors; NaN if a block has no data.
    """
    if factor == 1:
        return vectors
    height, width, embed_dim = vectors.shape
    padding = (0, -height % factor), (0, -width % factor), (0, 0)
    sums = np.pad(np.nan_to_num(vectors), padding)
    blocks = sums.reshape(sums.shape[0] // factor, factor, sums.shape[1] // factor, factor, embed_dim).sum(axis=(1, 3))
    length = np.linalg.norm(blocks, axis=-1, keepdims=True)
    return np.where(length > 0, blocks / np.maximum(length, 1e-12), np.nan).astype(np.float32)


def tile_positions(zoom: int, column: int, row: int) -> Float64[np.ndarray, "N 2"]:
    """Compute the centers of a tile's pixels (the tile scheme of OpenStreetMap, on EPSG:3857).

    Args:
        zoom: 0 is one tile for the world.
        column: from 180 degrees west.
        row: from 85.05 degrees north.

    Returns:
        Longitudes and latitudes in degrees, row by row.
    """
    offsets = (np.arange(TILE) + 0.5) / TILE
    lon = (column + offsets) / 2**zoom * 360 - 180
    lat = np.degrees(np.arctan(np.sinh(math.pi * (1 - 2 * (row + offsets) / 2**zoom))))
    return np.stack([np.tile(lon, TILE), np.repeat(lat, TILE)], axis=-1)


def pixel_meters(zoom: int, lat: float) -> float:
    """Compute the side of a tile's pixel on the ground.

    Args:
        zoom: of the tile.
        lat: degrees north.

    Returns:
        Meters.
    """
    return 2 * math.pi * 6_378_137 * math.cos(math.radians(lat)) / (TILE * 2**zoom)
