"""GeoTIFF files name their bands, or are named for them."""

import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import rasterio

from aef_jax.data.build.config import FilesConfig
from aef_jax.data.build.readers.geotiff import list_acquisitions
from tests.support.refusals import error_message

ROWS = slice(0, 3)
FILES = FilesConfig("sentinel2", "reflectance", ("*.tif",))
GRID = {"crs": "EPSG:32631", "transform": rasterio.Affine(10, 0, 500_000, 0, -10, 5_600_000)}


def write(path, names=("B02", "B03"), scale=1.0, tags=None, **profile):
    values = np.arange(len(names) * 12, dtype=np.uint16).reshape(len(names), 3, 4)
    options = {"driver": "GTiff", "height": 3, "width": 4, "count": len(names), "dtype": "uint16", "nodata": 0}
    path.parent.mkdir(parents=True, exist_ok=True)
    with warnings.catch_warnings(action="ignore"), rasterio.open(path, "w", **options | GRID | profile) as file:
        file.write(values)
        file.update_tags(**(tags or {}))
        file.descriptions = names
        file.scales = [scale] * len(names)
    return str(path)


def test_a_window_has_the_files_scale_and_no_data(tmp_path):
    (acquisition,) = list_acquisitions(write(tmp_path / "s2_20230501T103000.tif", scale=0.5), FILES)
    raster = acquisition.rasters["B02"]
    np.testing.assert_array_equal(raster.read(slice(0, 2), slice(0, 3)), [[np.nan, 0.5, 1], [2, 2.5, 3]])


@pytest.mark.parametrize(
    ("name", "band"),
    [
        ("LC08_L1TP_013032_20180131_20180207_01_T1/LC08_L1TP_013032_20180131_B10.TIF", "B10"),
        ("LC08_L2SP_013032_20180131_20200902_02_T1_SR_B2.TIF", "SR_B2"),
        ("LC08_L2SP_013032_20180131_20200902_02_T1_QA_PIXEL.TIF", "QA_PIXEL"),
        ("S2A_MSIL1C_20180131T105301_N0206_R051_T31UDS_20180131T125601.SAFE/T31UDS_20180131T105301_B02.tif", "B02"),
        ("T31UDS_20180131T105301_B8A_20m.tif", "B8A"),
        ("20180131-vv.tif", "vv"),
    ],
)
def test_one_band_has_the_name_at_the_files_end(tmp_path, name, band):
    (acquisition,) = list_acquisitions(write(tmp_path / name, names=("",)), FILES)
    assert list(acquisition.rasters) == [band]
    assert np.array(acquisition.time_ms, "datetime64[ms]").astype("datetime64[D]") == np.datetime64("2018-01-31")


def test_jpeg_2000_is_read(tmp_path):
    path = write(
        tmp_path / "T31UDS_20180131T105301_B02.jp2", ("",), driver="JP2OpenJPEG", QUALITY=100, REVERSIBLE="YES"
    )
    raster = list_acquisitions(path, FILES)[0].rasters["B02"]
    np.testing.assert_array_equal(raster.read(ROWS, slice(0, 4))[1:], [[4, 5, 6, 7], [8, 9, 10, 11]])


def test_a_product_is_ordered_by_when_it_was_processed(tmp_path):
    names = (
        "S2A_MSIL2A_20220620T102041_N9999_R065_T32TMT_20221231T122258.SAFE",
        "S2A_MSIL2A_20220620T102041_N0400_R065_T32TMT_20220620T162319.SAFE",
    )
    later, earlier = (list_acquisitions(write(tmp_path / name / "S2.tif"), FILES)[0] for name in names)
    assert later.product > earlier.product
    assert later.time_ms == earlier.time_ms


@pytest.mark.parametrize(
    ("profile", "names", "message"),
    [
        ({"crs": None}, ("B02",), "names no coordinate reference system: give crs in the config"),
        ({"transform": rasterio.Affine(10, 0, 0, 0, 10, 0)}, ("B02",), "not north-up"),
        ({"transform": rasterio.Affine(10, 3, 0, 3, -10, 0)}, ("B02",), "is rotated"),
        ({"transform": None}, ("B02",), "has no place on the ground"),
        ({"dtype": "complex64", "nodata": None}, ("B02",), "holds complex numbers (complex64)"),
        ({}, ("B02", ""), "bands [2] have no name (description): bands match by name, never by position"),
    ],
    ids=["crs", "south-up", "rotated", "no place", "complex", "unnamed"],
)
def test_a_file_that_cannot_be_placed_is_refused(tmp_path, profile, names, message):
    path = write(tmp_path / "s2_20230501.tif", names, **profile)
    refused = error_message(list_acquisitions, path, FILES)
    assert refused.startswith(path)
    assert message in refused


TIMES = "file,time\na/scene.tif,2023-06-01T10:30:00Z\nb/scene.tif,2023-07-01\nscene.tif,2023-08-01\n"


@pytest.mark.parametrize(
    ("folder", "options", "expected"),
    [
        ("20230501", {}, "2023-05-01"),
        ("a", {"table": TIMES}, "2023-06-01T10:30"),
        ("b", {"table": TIMES}, "2023-07-01"),
        ("c", {"table": TIMES}, "2023-08-01"),
        ("a", {"time_tag": "TIFFTAG_DATETIME"}, "2023-09-01T10:30:21"),
    ],
)
def test_a_time_is_of_the_name_the_table_or_a_tag(tmp_path, folder, options, expected):
    path = write(tmp_path / folder / "scene.tif", tags={"TIFFTAG_DATETIME": "2023:09:01 10:30:21"})
    if "table" in options:
        (tmp_path / "times.csv").write_text(options["table"])
        options = {"table": str(tmp_path / "times.csv")}
    (acquisition,) = list_acquisitions(path, replace(FILES, **options))
    assert acquisition.time_ms == np.datetime64(expected, "ms").astype(int)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"time_tag": "TIME"}, "has no tag 'TIME', only ['TIFFTAG_DATETIME'"),
        ({"time_tag": "TIFFTAG_DATETIME"}, "tag TIFFTAG_DATETIME: time is 'yesterday', expected ISO 8601"),
        ({"table": "file,time\nother.tif,2023-06-01\n"}, "has no row whose `file` is 'scene.tif'"),
        ({"table": "file,time\nscene.tif,2023-06-01\nscene.tif,2023-06-02\n"}, "2 rows are of 'scene.tif'"),
        ({"table": "file\nscene.tif\n"}, "expected ISO 8601"),
        ({}, "no date in "),
        ({"order": ("B02",)}, "has 2 bands, expected 1: B02"),
    ],
)
def test_a_file_without_a_time_or_a_name_is_refused(tmp_path, options, message):
    path = write(tmp_path / "scene.tif", tags={"TIFFTAG_DATETIME": "yesterday"})
    if "table" in options:
        (tmp_path / "times.csv").write_text(options["table"])
        options = {"table": str(tmp_path / "times.csv")}
    assert message in error_message(list_acquisitions, path, replace(FILES, **options))


def test_an_order_names_bands(tmp_path):
    (acquisition,) = list_acquisitions(write(tmp_path / "20230501.tif"), replace(FILES, order=("B8", "B11")))
    assert list(acquisition.rasters) == ["B8", "B11"]
    np.testing.assert_array_equal(acquisition.rasters["B11"].read(slice(0, 1), slice(0, 4)), [[12, 13, 14, 15]])


def test_a_truncated_file_is_told_when_it_is_read(tmp_path):
    path = write(tmp_path / "s2_20230501.tif")
    (acquisition,) = list_acquisitions(path, FILES)
    Path(path).write_bytes(Path(path).read_bytes()[:200])
    for read in (lambda: list_acquisitions(path, FILES), lambda: acquisition.rasters["B02"].read(ROWS, ROWS)):
        message = error_message(read)
        assert message.startswith(path)
        assert "cannot be read: " in message
