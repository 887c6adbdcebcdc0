"""Tests of the vectors at the pixels of a map's tiles."""

import math

import numpy as np
import pytest

from aef_jax.inference.field import ArrayField
from aef_jax.serve.field_map import FieldMap, pixel_meters, reduce_vectors, tile_positions
from tests.support.data.two_halves import HALVES, degrees, two_halves

pytest.importorskip("pyproj", reason="pyproj is in the optional extra geo")


def tile_of(lon: float, lat: float, zoom: int) -> tuple[int, int]:
    """Compute the tile that holds a point, by the formula of OpenStreetMap's wiki."""
    column = (lon + 180) / 360 * 2**zoom
    row = (1 - math.asinh(math.tan(math.radians(lat))) / math.pi) / 2 * 2**zoom
    return int(column), int(row)


def test_the_world_is_the_tile_of_zoom_0():
    positions = tile_positions(0, 0, 0).reshape(256, 256, 2)
    np.testing.assert_allclose(positions[0, [0, 255], 0], [-180 + 180 / 256, 180 - 180 / 256])
    np.testing.assert_allclose(positions[127:129, 0, 1].sum(), 0, atol=1e-9)
    assert 84.9 < positions[0, 0, 1] < 85.06
    east = tile_positions(3, 4, 3).reshape(256, 256, 2)[..., 0]
    assert 0 < east.min() < east.max() < 45
    np.testing.assert_allclose(pixel_meters(0, 0), 156_543.03, rtol=1e-6)
    np.testing.assert_allclose(pixel_meters(10, 60), 156_543.03 / 2048, rtol=1e-6)


def test_tiles_show_the_nearest_pixels():
    field = two_halves()
    zoom, tiles = 16, {}
    for pixel in [(0, 0), (10, 5), (10, 25), (19, 29)]:
        lon, lat = degrees(*pixel)
        column, row = tile_of(lon, lat, zoom)
        tile = tiles.setdefault((column, row), FieldMap(field, "").tile(zoom, column, row))
        positions = tile_positions(zoom, column, row)
        nearest = np.abs(positions - [lon, lat]).sum(axis=1).argmin()
        np.testing.assert_allclose(tile.reshape(-1, 8)[nearest], field.vectors[pixel], atol=1e-6)
    shown = np.concatenate([tile.reshape(-1, 8) for tile in tiles.values()])
    share = np.isfinite(shown[:, 0]).sum() * pixel_meters(zoom, 50.8) ** 2
    assert 0.9 * 60_000 < share <= 1.02 * 60_000, "600 pixels of 100 square meters, if all tiles are drawn"


def test_overviews_are_normalized_means_of_data():
    blocks = np.zeros((3, 4, 8), np.float32)
    blocks[:2, :2] = [[HALVES[0], HALVES[0]], [HALVES[1], np.full(8, np.nan)]]
    blocks[:2, 2:] = np.nan
    blocks[2] = HALVES[1]
    reduced = reduce_vectors(blocks, 2)
    np.testing.assert_allclose(reduced[0, 0, :2], np.array([2, 1]) / np.sqrt(5), rtol=1e-6)
    assert np.isnan(reduced[0, 1]).all()
    np.testing.assert_array_equal(reduced[1], HALVES[[1, 1]])


def test_a_large_field_is_read_by_window_when_zoomed_in():
    width = 1100
    angles = np.linspace(0, np.pi / 2, width, dtype=np.float32)
    vectors = np.stack([np.cos(angles), np.sin(angles)], axis=-1)[None].repeat(20, axis=0)
    windows = []

    class Recorded(ArrayField):
        def read(self, rows: slice, columns: slice):
            windows.append((rows, columns))
            return super().read(rows, columns)

    field_map = FieldMap(Recorded(two_halves().info._replace(shape=(20, width), embed_dim=2), vectors), "")
    assert (field_map.factor, field_map.overview.shape) == (2, (10, 550, 2))
    lon, lat = degrees(10, 550)
    for zoom, is_read in ((13, False), (16, True)):
        windows.clear()
        tile = field_map.tile(zoom, *tile_of(lon, lat, zoom))
        assert bool(windows) == is_read
        positions = tile_positions(zoom, *tile_of(lon, lat, zoom))
        nearest = np.abs(positions - [lon, lat]).sum(axis=1).argmin()
        np.testing.assert_allclose(tile.reshape(-1, 2)[nearest], vectors[10, 550], atol=0.02)
    ((rows, columns),) = windows
    assert columns.stop - columns.start < 80, "a tile of zoom 16 is 386 m wide here"
    assert rows.stop == 20
