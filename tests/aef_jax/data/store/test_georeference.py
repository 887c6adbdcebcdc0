"""A site has a grid of 10 m in a projected crs (row 12 of the users' cases)."""

import sys
from dataclasses import replace

import pytest

from aef_jax.data.store import georeference
from aef_jax.data.store.georeference import validate_crs, validate_transform
from tests.support.data.small_site import small_site
from tests.support.refusals import error_message

SITE = small_site()
NORTH_UP = (10, 0, 500_000, 0, -10, 5_600_000)
AS_IN = "expected pixels of 10 m, as in (10, 0, west, 0, -10, north)"


@pytest.mark.parametrize(
    ("transform", "reason"),
    [
        ((500_000, 10, 0, 5_600_000, 0, -10), "is in GDAL's order, expected affine.Affine's"),
        ((30, 0, 500_000, 0, -30, 5_600_000), "has pixels of 30 x 30 in the unit of its crs"),
        ((9e-5, 0, 26.0, 0, -9e-5, 46.0), "has pixels of 9e-05 x 9e-05 in the unit of its crs"),
        ((10, 10, 0, 0, 0, 0), "has pixels of 10 x 10"),  # both axes are one
        ((10, 0, float("nan"), 0, -10, 0), "its transform is"),
        ((10, 0, 0, 0, -10), "its transform is"),
        ((10, 0, 0, 0, -10, 0, 0, 0, 2), "its transform is"),
    ],
)
def test_transform_of_another_grid_is_refused(transform, reason):
    said = error_message(replace, SITE, transform=transform)
    assert said.startswith("site small: its transform")
    assert reason in said
    assert said.endswith(AS_IN)


def test_grids_of_ten_meters_are_accepted():
    validate_transform("site", (8, 6, 0, 6, -8, 0))  # rotated
    validate_transform("site", (10.002, 0, 0, 0, 9.998, 0))  # resampled, south up
    affine = pytest.importorskip("affine", reason="affine comes with the optional extra geo").Affine(*NORTH_UP)
    assert replace(SITE, transform=affine).transform == NORTH_UP


WRONG_CRS = {
    "": "not a crs",
    "utm 31": "not a crs",
    "EPSG:4326": "not projected",
    "+proj=longlat": "not projected",
    "EPSG:99999": "not known to PROJ",
    "EPSG:2272": "in the unit US survey foot",
}


@pytest.mark.parametrize("crs", WRONG_CRS)
def test_unusable_crs_is_refused(crs):
    pytest.importorskip("rasterio", reason="rasterio is in the optional extra geo")
    said = error_message(validate_crs, "site a", crs)
    assert said.startswith(f"site a: its crs {crs!r} is {WRONG_CRS[crs]}")
    assert said.endswith("expected one in meters, such as EPSG:32631")


def test_degrees_are_refused_without_rasterio(monkeypatch):
    monkeypatch.setitem(sys.modules, "rasterio", None)
    georeference._crs_problem.cache_clear()
    for crs in ("EPSG:4326", "+proj=longlat", 'GEOGCRS["WGS 84"]'):
        assert "is in degrees" in error_message(validate_crs, "site a", crs)
    for crs in ("EPSG:32631", "EPSG:4491", "EPSG:4484"):  # of China and Mexico, in meters
        validate_crs("site a", crs)
    georeference._crs_problem.cache_clear()
