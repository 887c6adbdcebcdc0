"""Remote files are read in place, or copied once; a signature in a URL is no part of a file's name."""

import multiprocessing
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import rasterio

from aef_jax.data.build.catalogs.acquisition import Acquisition
from aef_jax.data.build.catalogs.find_files import find_files, list_acquisitions
from aef_jax.data.build.config import FilesConfig
from tests.support.data.archives import npy, write_npz
from tests.support.data.scenes import CRS, NORTH, WEST, cube
from tests.support.data.serving import serve_folder
from tests.support.refusals import error_message

pytestmark = pytest.mark.slow

ROWS, COLUMNS = slice(0, 2), slice(1, 4)
BANDS = ("B2", "B3", "B4", "B8", "B11")
SIGNATURE = "?se=2030-01-01T00:00:00Z&sig=a/b.c"
"""With a date, a slash and a dot."""


def entry(folder: Path, **options) -> FilesConfig:
    return FilesConfig("sentinel2", "reflectance * 10000", ("*",), cache=str(folder / "cache"), **options)


def write_tiff(path: Path, driver: str = "GTiff") -> np.ndarray:
    values = np.arange(12, dtype=np.uint16).reshape(1, 3, 4)
    profile = {"driver": driver, "height": 3, "width": 4, "count": 1, "dtype": "uint16", "crs": CRS}
    with rasterio.open(path, "w", **profile, transform=rasterio.Affine(10, 0, WEST, 0, -10, NORTH)) as file:
        file.write(values)
    return values[0]


def test_a_tiff_of_a_server_is_read_in_place_and_kept(tmp_path):
    name = "T31UDS_20230501T103000_B02.tif"
    values = write_tiff(tmp_path / name)
    with serve_folder(tmp_path) as (url, requests):
        (path,) = find_files(tmp_path, (f"{url}/{name}{SIGNATURE}",))
        (acquisition,) = list_acquisitions(path, entry(tmp_path))
        (band,) = acquisition.rasters.values()
        assert (band.where, acquisition.time_ms) == (f"{url}/{name}, band B02", 1_682_937_000_000)
        np.testing.assert_array_equal(band.read(ROWS, COLUMNS), values[ROWS, COLUMNS])
        assert {request.partition("?")[0] for request in requests} == {f"/{name}"}, "no folder is listed"
        (signed_anew,) = list_acquisitions(path.replace("sig=a", "sig=b"), entry(tmp_path))
        (stored,) = (tmp_path / "cache").iterdir()
        np.save(stored, np.full((2, 3), 7, np.float32))
        np.testing.assert_array_equal(signed_anew.rasters["B02"].read(ROWS, COLUMNS), np.full((2, 3), 7))


def test_a_table_names_a_remote_file_without_its_signature(tmp_path):
    write_tiff(tmp_path / "scene.tif")
    (tmp_path / "times.csv").write_text("file,time\nscene.tif,2023-06-01\n")
    with serve_folder(tmp_path) as (url, _):
        files = entry(tmp_path, table=str(tmp_path / "times.csv"), order=("B2",))
        (acquisition,) = list_acquisitions(f"{url}/scene.tif{SIGNATURE}", files)
    assert acquisition.time_ms == 1_685_577_600_000


def test_a_copy_is_made_once_and_has_the_name_of_its_file(tmp_path):
    """Of a NetCDF file, and of chips, which a table names."""
    cube().to_netcdf(tmp_path / "cube.nc")
    times = np.array(["2023-06-01"], "datetime64[ms]").astype(np.int64)
    write_npz(tmp_path / "chip.npz", sentinel2=npy(np.ones((1, 4, 4, 5), np.uint16)), ts_sentinel2=npy(times))
    (tmp_path / "table.csv").write_text("file,lon,lat\nchip.npz,3,50\n")
    files = entry(tmp_path, order=BANDS, table=str(tmp_path / "table.csv"))
    for name, frames in (("cube.nc", 4), ("chip.npz", 1)):
        url = (tmp_path / name).as_uri()
        assert len(list_acquisitions(url, files)) == frames
        (tmp_path / name).unlink()
        acquisitions = list_acquisitions(url, files)
        assert len(acquisitions) == frames
        assert next(iter(acquisitions[0].rasters.values())).where.startswith(f"{url}, ")
    assert len(list((tmp_path / "cache").iterdir())) == 2


def test_a_remote_file_that_is_not_there_is_told(tmp_path):
    url = (tmp_path / "none.nc").as_uri()
    assert error_message(list_acquisitions, url, entry(tmp_path)).startswith(f"{url} cannot be copied: ")
    assert list((tmp_path / "cache").iterdir()) == [], "no half of a copy"
    files = FilesConfig("sentinel2", "reflectance", ("*",))
    assert "must be copied to be read: give cache" in error_message(list_acquisitions, url, files)


def test_patterns_of_urls_are_listed(tmp_path):
    for name in ("b.tif", "a.tif", "a.txt"):
        (tmp_path / name).touch()
    assert find_files(tmp_path, (f"{tmp_path.as_uri()}/*",)) == [f"file://{tmp_path}/{name}.tif" for name in "ab"]


def read_all(acquisitions: list[Acquisition]) -> list[np.ndarray]:
    return [each.rasters["B04"].read(ROWS, COLUMNS) for each in acquisitions]


def test_cubes_of_a_server_are_read_by_another_process(tmp_path):
    pytest.importorskip("aiohttp")
    cube().to_netcdf(tmp_path / "cube.nc")
    cube().to_zarr(tmp_path / "cube.zarr", zarr_format=2)
    files, context = entry(tmp_path), multiprocessing.get_context("spawn")
    with serve_folder(tmp_path) as (url, _), ProcessPoolExecutor(1, context) as pool:
        for name in ("cube.nc", "cube.zarr"):
            remote = list_acquisitions(f"{url}/{name}", files)
            local = list_acquisitions(str(tmp_path / name), files)
            assert [each.time_ms for each in remote] == [each.time_ms for each in local]
            np.testing.assert_array_equal(pool.submit(read_all, remote).result(), read_all(local))


@pytest.mark.parametrize("kind", ["VRT", "HDF", "JPEG 2000"])
def test_only_the_driver_of_the_name_opens_a_file(tmp_path, kind):
    """A VRT may name other files and run code."""
    write_tiff(tmp_path / "real.tif")
    path = tmp_path / "T31UDS_20230501T103000_B02.tif"
    if kind == "HDF":
        cube().to_netcdf(path)
    else:
        write_tiff(tmp_path / "x.jp2", "JP2OpenJPEG")
        vrt = (
            f'<VRTDataset rasterXSize="4" rasterYSize="3"><SRS>{CRS}</SRS><GeoTransform>0,10,0,0,0,-10</GeoTransform>'
            '<VRTRasterBand dataType="UInt16" band="1"><SimpleSource><SourceFilename relativeToVRT="1">real.tif'
            "</SourceFilename><SourceBand>1</SourceBand></SimpleSource></VRTRasterBand></VRTDataset>"
        )
        path.write_bytes(vrt.encode() if kind == "VRT" else (tmp_path / "x.jp2").read_bytes())
    if kind != "HDF":
        with rasterio.open(path) as file:
            assert file.driver != "GTiff", "GDAL by itself opens it"
    assert error_message(list_acquisitions, str(path), entry(tmp_path)).startswith(f"{path} cannot be read: ")
