"""Rasters come onto a site's grid at the right place."""

import numpy as np
import pytest
import rasterio
from rasterio.warp import transform

from aef_jax.data.build.readers.grid import Grid, read_on_grid
from aef_jax.data.build.sites.utm_grid import square_around, utm_crs
from tests.support.data.georeferenced import Array

GRID = Grid("EPSG:32631", (10, 0, 500_000, 0, -10, 5_600_000), 16)


def random(side):
    return np.random.default_rng(0).normal(size=(side, side)).astype(np.float32)


def test_pixels_of_the_same_grid_keep_every_bit():
    values = random(40)
    values[10, 10] = np.nan
    raster = Array(values, rasterio.Affine(10, 0, 499_950, 0, -10, 5_600_030))
    np.testing.assert_array_equal(read_on_grid(raster, GRID, False), values[3:19, 5:21])
    np.testing.assert_array_equal(read_on_grid(raster, GRID, True), values[3:19, 5:21])


def test_coarser_pixels_are_interpolated_and_finer_averaged():
    coarse = Array(random(20), rasterio.Affine(20, 0, 499_900, 0, -20, 5_600_100))
    row = coarse.values[5]  # the grid's first rows lie a quarter and three quarters into it
    expected = 0.75 * (0.75 * row[5] + 0.25 * row[4]) + 0.25 * (0.75 * coarse.values[4, 5] + 0.25 * coarse.values[4, 4])
    assert read_on_grid(coarse, GRID, False)[0, 0] == pytest.approx(expected, rel=1e-5)
    assert read_on_grid(coarse, GRID, True)[0, 0] == row[5]
    fine = Array(random(64), rasterio.Affine(5, 0, 499_920, 0, -5, 5_600_080))
    assert read_on_grid(fine, GRID, False)[0, 0] == pytest.approx(fine.values[16:18, 16:18].mean(), rel=1e-5)


def test_ground_that_a_raster_does_not_reach_is_none():
    beside = Array(random(16), rasterio.Affine(10, 0, 510_000, 0, -10, 5_600_000))
    assert read_on_grid(beside, GRID, False) is None
    empty = Array(np.full((16, 16), np.nan), rasterio.Affine(10, 0, 500_000, 0, -10, 5_600_000))
    assert read_on_grid(empty, GRID, False) is None


def test_no_data_is_left_out_before_values_are_mixed():
    """Else a shore of zeros, of fill or of infinity would be half of the number beside it."""
    values = np.full((20, 20), 1000.0)
    values[:, 5], values[:, 7], values[:, 9] = 0, -9999.9, np.inf
    coarse = Array(values, rasterio.Affine(20, 0, 499_900, 0, -20, 5_600_100))
    read = read_on_grid(coarse, GRID, False, no_data=(0, -9999.9))
    np.testing.assert_array_equal(
        read[:, :10], [[np.nan, np.nan, 1000, 1000, np.nan, np.nan, 1000, 1000] + 2 * [np.nan]] * 16
    )


@pytest.mark.parametrize("west", [-180, 0])
@pytest.mark.parametrize("lon", [-60.0, -0.0001, 10.0, 179.9999, -180.0])
def test_a_raster_around_the_earth_has_every_site(west, lon):
    longitudes = np.radians(west + np.arange(3600) * 0.1 + 0.05)
    crs, left, top = square_around(lon, -16, (160, 160))
    grid = Grid(crs, (10, 0, left, 0, -10, top), 16)
    degrees = rasterio.CRS.from_epsg(4326)
    for function in (np.sin, np.cos):
        raster = Array(np.tile(function(longitudes), (1800, 1)), rasterio.Affine(0.1, 0, west, 0, -0.1, 90), degrees)
        np.testing.assert_allclose(read_on_grid(raster, grid, False), function(np.radians(lon)), atol=2e-5)


@pytest.mark.parametrize(("west", "lon"), [(299.5, -60.0), (-180.5, 180.0), (179.5, -180.0), (179.5, -179.9)])
def test_a_part_of_the_earth_may_be_a_turn_away(west, lon):
    longitudes = west + np.arange(10) * 0.1 + 0.05
    crs, left, top = square_around(lon, -16, (160, 160))
    raster = Array(
        np.tile(longitudes, (20, 1)), rasterio.Affine(0.1, 0, west, 0, -0.1, -15), rasterio.CRS.from_epsg(4326)
    )
    read = read_on_grid(raster, Grid(crs, (10, 0, left, 0, -10, top), 16), False)
    assert not np.isnan(read).any()
    np.testing.assert_allclose((read - lon + 180) % 360, 180, atol=2e-3)


@pytest.mark.parametrize(
    ("lon", "lat"),
    [(4.4, 51.2), (-58.4, -34.6), (5.9999, 47.0), (15.0, 80.0), (179.99, 10.0)],
    ids=["north", "south", "zone border", "80 degrees north", "beside 180 degrees"],
)
def test_a_gradient_in_degrees_is_recovered(lon, lat):
    """Within a tenth of a pixel, at every pixel."""
    crs = utm_crs(lon, lat)
    (east,), (north,) = transform("EPSG:4326", crs, [lon], [lat])
    west, top = (round(number, -1) for number in (east, north))
    grid = Grid(crs, (10, 0, west, 0, -10, top), 16)
    centers = np.arange(16) * 10 + 5
    xs, ys = (array.ravel() for array in np.meshgrid(west + centers, top - centers))
    lons, lats = (np.array(numbers).reshape(16, 16) for numbers in transform(crs, "EPSG:4326", xs, ys))
    step = 1e-4
    size = int(np.ceil(max(np.ptp(lons), np.ptp(lats)) / step)) + 20
    corner = rasterio.Affine(step, 0, lons.min() - 10 * step, 0, -step, lats.max() + 10 * step)
    degrees = np.arange(size) * step + step / 2
    for values, expected, pixel in (
        (np.tile(degrees, (size, 1)), lons - corner.c, 10 / (111_320 * np.cos(np.radians(lat)))),
        (np.tile(-degrees[:, None], (1, size)), lats - corner.f, 10 / 111_320),
    ):
        raster = Array(values, corner, rasterio.CRS.from_epsg(4326))
        assert np.abs(read_on_grid(raster, grid, False) - expected).max() < 0.1 * pixel
