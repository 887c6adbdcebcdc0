"""Cubes are read in any order of dimensions, with their own scale, fill value and times."""

from pathlib import Path

import numpy as np
import pytest
import xarray

from aef_jax.data.build.config import FilesConfig
from aef_jax.data.build.readers.cube import list_acquisitions
from tests.support.data.scenes import BANDS, DATES, cube, scenes
from tests.support.refusals import error_message

FILES = FilesConfig("sentinel2", "reflectance * 10000", ("*.nc",))
ALL = slice(0, 64)


def expected(index, band):
    stored = scenes()[index, band].astype(np.float32)
    return np.where(stored == 0, np.nan, stored)


@pytest.mark.parametrize("suffix", [".nc", ".zarr"])
def test_every_layer_is_north_up(tmp_path, suffix):
    path = tmp_path / f"cube{suffix}"
    cube().to_netcdf(path) if suffix == ".nc" else cube().to_zarr(path, consolidated=False)
    acquisitions = list_acquisitions(str(path), FILES)
    assert [each.time_ms for each in acquisitions] == DATES.astype(np.int64).tolist()
    for index, acquisition in enumerate(acquisitions):
        assert set(acquisition.rasters) == {*BANDS, "SCL"}
        for channel, name in enumerate(BANDS):
            raster = acquisition.rasters[name]
            assert tuple(raster.transform)[:6] == (10, 0, 500_000, 0, -10, 5_600_000)
            np.testing.assert_array_equal(raster.read(ALL, ALL), expected(index, channel))
            np.testing.assert_array_equal(raster.read(slice(3, 9), slice(20, 50)), expected(index, channel)[3:9, 20:50])


def test_integer_scales_and_east_first_columns_are_read(tmp_path):
    dataset = cube().isel(x=slice(None, None, -1))
    dataset["B02"].encoding = {}
    dataset["B02"].attrs = {"scale_factor": np.int64(2), "_FillValue": np.uint16(0)}
    dataset.to_netcdf(tmp_path / "cube.nc")
    raster = list_acquisitions(str(tmp_path / "cube.nc"), FILES)[1].rasters["B02"]
    np.testing.assert_array_equal(raster.read(ALL, ALL), 2 * expected(1, 0))


def write(folder: Path, change) -> Path:
    change(cube()).to_netcdf(folder / "cube.nc")
    return folder / "cube.nc"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda c: c.drop_vars("spatial_ref"), "names no coordinate reference system: give crs in the config"),
        (lambda c: c.rename(x="column"), "has the dimensions"),
        (lambda c: c.assign_coords(time=[0, 1, 2, 3]), "cube.nc"),
        (lambda c: c.assign_coords(x=c.x + 10 * (c.x > 500_100)), "x coordinates are not evenly spaced"),
        (lambda c: c.isel(y=slice(0, 1)), "its y has 1 coordinates, expected at least 2"),
        (lambda c: c.assign(spatial_ref=((), 0, {"crs_wkt": "banana"})), "its crs banana is not known to PROJ"),
    ],
    ids=["crs", "dimensions", "times", "spacing", "one row", "banana"],
)
def test_a_cube_without_a_grid_or_time_is_refused(tmp_path, change, message):
    assert message in error_message(list_acquisitions, str(write(tmp_path, change)), FILES)


def test_a_truncated_cube_is_refused(tmp_path):
    path = write(tmp_path, lambda c: c)
    path.write_bytes(path.read_bytes()[:3000])
    assert error_message(list_acquisitions, str(path), FILES).startswith(f"{path} cannot be read: ")


def test_a_cube_without_times_is_one_map(tmp_path):
    xarray.Dataset.to_netcdf(cube().isel(time=0, drop=True), tmp_path / "map.nc")
    (acquisition,) = list_acquisitions(str(tmp_path / "map.nc"), FilesConfig("glo30", "metres", ("*",)))
    assert acquisition.time_ms == 0
    assert "B02" in acquisition.rasters
