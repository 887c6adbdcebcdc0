"""Cubes are read in any order of dimensions, with their own scale, fill value and times."""

from pathlib import Path

import numpy as np
import pytest
import xarray

from aef_jax.data.build.catalogs.file_catalog import FileCatalog
from aef_jax.data.build.config import FilesConfig
from aef_jax.data.build.readers.cube import list_acquisitions
from aef_jax.data.build.readers.grid import Grid, read_on_grid
from aef_jax.data.store.georeference import validate_crs
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


def test_unsigned_numbers_of_a_signed_type_are_read(tmp_path):
    """As in NetCDF 3 and of openEO, which have no unsigned type."""
    stored = np.array([-1, -32_768, 0, 32_767, 300], np.int16)
    dataset = cube().isel(x=slice(0, 5), y=slice(0, 5))
    dataset["B02"] = (("time", "y", "x"), np.broadcast_to(stored, (4, 5, 5)))
    dataset["B02"].attrs = {"_Unsigned": "true", "_FillValue": np.int16(-1), "scale_factor": 0.5}
    dataset.to_netcdf(tmp_path / "cube.nc")
    raster = list_acquisitions(str(tmp_path / "cube.nc"), FILES)[0].rasters["B02"]
    np.testing.assert_array_equal(raster.read(slice(0, 1), slice(0, 5)), [[np.nan, 16_384, 0, 16_383.5, 150]])


LAEA = (
    'PROJCS["ETRS89 / LAEA Europe", GEOGCS["ETRS89", DATUM["European Terrestrial Reference System 1989",'
    ' SPHEROID["GRS 1980", 6378137.0, 298.257222101, AUTHORITY["EPSG","7019"]], TOWGS84[0.0, 0.0, 0.0, 0.0, 0.0, 0.0,'
    ' 0.0], AUTHORITY["EPSG","6258"]], PRIMEM["Greenwich", 0.0, AUTHORITY["EPSG","8901"]], UNIT["degree",'
    ' 0.017453292519943295], AXIS["Geodetic longitude", EAST], AXIS["Geodetic latitude", NORTH],'
    ' AUTHORITY["EPSG","4258"]], PROJECTION["Lambert_Azimuthal_Equal_Area", AUTHORITY["EPSG","9820"]],'
    ' PARAMETER["latitude_of_center", 52.0], PARAMETER["longitude_of_center", 10.0], PARAMETER["false_easting",'
    ' 4321000.0], PARAMETER["false_northing", 3210000.0], UNIT["m", 1.0], AXIS["Easting", EAST], AXIS["Northing",'
    ' NORTH], AUTHORITY["EPSG","3035"]]'
)
"""As openEO writes it. PROJ finds no code for it."""


def test_a_system_without_a_code_is_read_onto_one_with(tmp_path):
    """Its pixels are those of EPSG:3035, bit for bit."""
    dataset = cube()
    dataset["spatial_ref"] = ((), 0, {"crs_wkt": LAEA})
    dataset = dataset.assign_coords(x=dataset.x + 4_000_000, y=dataset.y - 3_600_000)
    dataset.to_netcdf(tmp_path / "cube.nc")
    raster = list_acquisitions(str(tmp_path / "cube.nc"), FILES)[1].rasters["B02"]
    grid = Grid("EPSG:3035", (10, 0, 4_500_000, 0, -10, 2_000_000), 64)
    np.testing.assert_array_equal(read_on_grid(raster, grid, False), expected(1, 0))
    ((crs, bounds),) = FileCatalog(list_acquisitions(str(tmp_path / "cube.nc"), FILES)).extents()
    assert bounds == (4_500_000, 1_999_360, 4_500_640, 2_000_000)
    validate_crs("a site", crs)


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
