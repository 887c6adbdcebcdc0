"""Tests of the ground that fields are asked for, on numbers worked out by hand."""

import json

import numpy as np
import pytest
from pyproj import Transformer

from aef_jax.inference.field import windows
from aef_jax.inference.imagery.areas import (
    GroundTile,
    blocks_of_tiles,
    is_in_area,
    polygon_of_bounds,
    read_area,
    regions_of_area,
    tiles_of_area,
)
from tests.support.refusals import error_message

SIDE = 128


def ring_around(code: int, west: float, south: float, east: float, north: float) -> list[np.ndarray]:
    """Return a rectangle of a zone's grid as a polygon in degrees."""
    corners = np.array([(west, south), (east, south), (east, north), (west, north), (west, south)])
    to_degrees = Transformer.from_crs(f"EPSG:{code}", "EPSG:4326", always_xy=True)
    return [np.stack(to_degrees.transform(*corners.T), axis=-1)]


def test_tiles_are_those_whose_core_touches_the_area():
    area = [ring_around(32631, 500_170, 5_600_650, 501_000, 5_600_710)]
    # cores of 960 m: columns from 499200 and 500160, rows from 5600640
    assert tiles_of_area(area, SIDE) == [GroundTile(32631, 500_160, 5_601_600)]
    wider = [ring_around(32631, 500_150, 5_600_650, 501_000, 5_600_710)]
    assert [tile.west for tile in tiles_of_area(wider, SIDE)] == [499_200, 500_160]
    (region,) = regions_of_area(wider, tiles_of_area(wider, SIDE), SIDE)
    assert (region.west, region.north, region.shape) == (500_150, 5_600_710, (6, 85))
    assert region.name == "32631_500150_5600710"
    assert region.is_inside(slice(0, 6), slice(0, 85)).all()


def test_pixels_outside_of_a_polygon_are_not_inside():
    corners = np.array([(500_000, 5_600_000), (500_200, 5_600_000), (500_000, 5_600_200), (500_000, 5_600_000)])
    to_degrees = Transformer.from_crs("EPSG:32631", "EPSG:4326", always_xy=True)
    area = [[np.stack(to_degrees.transform(*corners.T.astype(float)), axis=-1)]]
    (region,) = regions_of_area(area, tiles_of_area(area, SIDE), SIDE)
    rows, columns = np.mgrid[:20, :20]
    inside = region.is_inside(slice(0, 20), slice(0, 20))
    off_diagonal = rows != columns
    np.testing.assert_array_equal(inside[off_diagonal], (rows > columns)[off_diagonal])


def test_an_area_across_zones_has_a_file_in_each():
    area = polygon_of_bounds((5.99, 50.0, 6.01, 50.01))
    tiles = tiles_of_area(area, SIDE)
    assert {tile.code for tile in tiles} == {32631, 32632}
    regions = regions_of_area(area, tiles, SIDE)
    assert [region.crs for region in regions] == ["EPSG:32631", "EPSG:32632"]
    to_zone = {code: Transformer.from_crs("EPSG:4326", f"EPSG:{code}", always_xy=True) for code in (32631, 32632)}
    for lon in np.linspace(5.991, 6.009, 19):  # no gap between the files
        x, y = to_zone[code := 32631 if lon < 6 else 32632].transform(lon, 50.005)
        region = next(each for each in regions if each.crs == f"EPSG:{code}")
        column, row = int((x - region.west) // 10), int((region.north - y) // 10)
        assert region.is_inside(slice(row, row + 1), slice(column, column + 1)).all()


def test_large_areas_are_divided_into_files_of_8192_pixels():
    area = [ring_around(32631, 400_000, 5_600_000, 500_000, 5_601_000)]
    tiles = tiles_of_area(area, SIDE)
    regions = regions_of_area(area, tiles, SIDE)
    assert regions[0].shape[1] == 8192
    assert sum(region.shape[1] for region in regions) == pytest.approx(10_000, abs=40)
    assert list(windows((5, 3), 4)) == [(slice(0, 4), slice(0, 3)), (slice(4, 5), slice(0, 3))]


@pytest.mark.parametrize("side", [16, 32, 128])
def test_blocks_hold_their_tiles_and_do_not_depend_on_others(side):
    step = (side - side // 4) * 10
    tiles = [GroundTile(32631, x * step, y * step) for y in range(-3, 20) for x in range(-2, 21)]
    grids = {tile: block.grid for block in blocks_of_tiles(tiles, side) for tile in block.tiles}
    assert grids.keys() == set(tiles)
    for block in blocks_of_tiles(tiles, side):
        for tile in block.tiles:
            row, column = block.start(tile, side)
            assert 0 <= row <= block.grid.side - side
            assert 0 <= column <= block.grid.side - side
            assert block.grid.bounds[0] + 10 * column == tile.west - side // 8 * 10
    (alone,) = blocks_of_tiles(tiles[37:38], side)
    assert alone.grid == grids[tiles[37]]


def test_impossible_areas_are_told(tmp_path):
    assert "expected west, south, east and north in degrees" in error_message(polygon_of_bounds, (6.0, 50.0, 5.0, 51.0))
    path = tmp_path / "area.geojson"
    path.write_text(json.dumps({"type": "FeatureCollection", "features": []}))
    assert error_message(read_area, path) == f"{path}: it has no polygon, expected at least one"
    assert is_in_area(polygon_of_bounds((3.0, 50.0, 4.0, 51.0)), 3.5, 50.5)
    assert not is_in_area(polygon_of_bounds((3.0, 50.0, 4.0, 51.0)), 2.5, 50.5)
