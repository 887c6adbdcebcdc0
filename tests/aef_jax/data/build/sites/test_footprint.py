"""A cap holds all of a grid, and not much more, so that a site reads few files in vain and misses none."""

import numpy as np
import pytest
import rasterio
from pyproj import Transformer

from aef_jax.data.build.catalogs.acquisition import Acquisition
from aef_jax.data.build.catalogs.file_catalog import FileCatalog
from aef_jax.data.build.readers.grid import Grid
from aef_jax.data.build.sites.footprint import cap_of
from aef_jax.data.build.sites.utm_grid import square_around
from tests.support.data.georeferenced import Array

RANDOM = np.random.default_rng(0)
FIXED = {
    "whole earth": ("EPSG:4326", (0.1, 0, -180, 0, -0.1, 90), (1800, 3600)),
    "from 0 to 360, centers at the poles": ("EPSG:4326", (0.1, 0, -0.05, 0, -0.1, 90.05), (1801, 3600)),
    "around the earth": ("EPSG:4326", (0.1, 0, -180, 0, -0.1, 80), (300, 3600)),
    "across 180 degrees": ("EPSG:4326", (0.01, 0, 179, 0, -0.01, 10), (100, 200)),
    "around the pole": ("EPSG:3413", (1000, 0, -3e6, 0, -1000, 3e6), (6000, 6000)),
    "Europe": ("EPSG:3035", (1000, 0, 2.5e6, 0, -1000, 5.5e6), (4000, 4000)),
    "world in Mercator": ("EPSG:3857", (10_000, 0, -2e7, 0, -10_000, 2e7), (4000, 4000)),
    "a disk of the earth": ("+proj=geos +h=35785831 +lon_0=0", (3000, 0, -5.568e6, 0, -3000, 5.568e6), (3712, 3712)),
}


def directions(crs, transform, shape, count=1000):
    """Return unit vectors of random places of a grid, half of which are on its edges."""
    width, _, west, _, height, north = transform
    share = RANDOM.random((2, count))
    on_edge = RANDOM.integers(2, size=count // 2)
    share[on_edge, np.arange(count // 2)] = RANDOM.integers(2, size=count // 2)
    x, y = west + width * shape[1] * share[0], north + height * shape[0] * share[1]
    lon, lat = np.radians(Transformer.from_crs(crs, "EPSG:4326", always_xy=True).transform(x, y))
    lon, lat = lon[np.isfinite(lon)], lat[np.isfinite(lat)]
    return np.stack([np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat)], axis=-1)


def random_grid(kind: str):
    width, height = 10 ** RANDOM.uniform(-2, 2), 10 ** RANDOM.uniform(-2, 1.9)
    if kind == "degrees":
        north = RANDOM.uniform(height - 90, 90)
        return "EPSG:4326", (width / 100, 0, RANDOM.uniform(-180, 180), 0, -height / 100, north), (100, 100)
    zone, side = RANDOM.integers(1, 61), 10 ** RANDOM.uniform(2, 5.3)
    code = {"north": 32600 + zone, "south": 32700 + zone, "polar": 3031 + 382 * RANDOM.integers(2)}[kind]
    corner = RANDOM.uniform(2e5, 6e5, 2) if kind != "polar" else RANDOM.uniform(-3e6, 3e6, 2)
    return f"EPSG:{code}", (side / 100, 0, corner[0], 0, -side / 100, 5e6 + corner[1]), (100, 100)


@pytest.mark.parametrize("kind", [*FIXED, "degrees", "north", "south", "polar"])
def test_a_cap_holds_its_grid_and_little_more(kind):
    for grid in [FIXED[kind]] if kind in FIXED else [random_grid(kind) for _ in range(30)]:
        *center, radius = cap_of(*grid)
        farthest = np.arccos(np.clip(directions(*grid) @ center, -1, 1)).max()
        assert farthest <= radius, grid
        assert radius < 1.35 * farthest + 2e-4 or kind == "a disk of the earth", grid


def test_a_catalog_leaves_out_files_that_are_far():
    def acquisition(product, crs, corner, pixel, side):
        transform = rasterio.Affine(pixel, 0, corner[0], 0, -pixel, corner[1])
        return Acquisition(0, product, {"B2": Array(np.zeros((side, side)), transform, rasterio.CRS.from_string(crs))})

    crs, west, north = square_around(179.999, 10, (1280, 1280))
    catalog = FileCatalog(
        [
            acquisition("own zone", crs, (west - 50_000, north + 50_000), 100, 1098),
            acquisition("zone beyond 180 degrees", "EPSG:32601", (160_000, north + 5000), 10, 1000),
            acquisition("earth from 0 on", "EPSG:4326", (0, 90), 1, 360),
            acquisition("next tile", crs, (west - 20_000, north), 10, 1000),
            acquisition("south", crs, (west, north - 50_000), 10, 1000),
            acquisition("Africa", "EPSG:32631", (500_000, north), 10, 1000),
        ]
    )
    listed = catalog.find(Grid(crs, (10, 0, west, 0, -10, north), 128), (0, 1))
    assert [each.product for each in listed] == ["own zone", "zone beyond 180 degrees", "earth from 0 on"]
