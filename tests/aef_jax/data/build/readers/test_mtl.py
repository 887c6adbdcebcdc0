"""Landsat's digital numbers become reflectance and kelvin by the numbers of the MTL file beside them."""

from pathlib import Path

import numpy as np
import pytest
import rasterio

from aef_jax.data.build.config import read_build_config
from aef_jax.data.build.readers.mtl import convert_by_mtl, read_mtl_beside
from aef_jax.data.build.site_builder import SiteBuilder
from tests.support.data.scenes import CRS, NORTH, WEST
from tests.support.refusals import error_message

LEVEL1, LEVEL2 = "LC08_L1TP_199024_20230501_20230509_02_T1", "LC08_L2SP_199024_20230501_20230509_02_T1"
# as the USGS writes it: the groups of both levels have the same keys, and a level 2 product has both groups
MTL = """GROUP = LANDSAT_METADATA_FILE
  GROUP = PRODUCT_CONTENTS
    ORIGIN = "Image courtesy of the U.S. Geological Survey"
    LANDSAT_PRODUCT_ID = "LC08_L2SP_199024_20230501_20230509_02_T1"
    COLLECTION_NUMBER = 02
  END_GROUP = PRODUCT_CONTENTS
  GROUP = IMAGE_ATTRIBUTES
    DATE_ACQUIRED = 2023-05-01
    SCENE_CENTER_TIME = "10:32:17.1234560Z"
    SUN_AZIMUTH = 152.85
    SUN_ELEVATION = 30.00000000
  END_GROUP = IMAGE_ATTRIBUTES
  GROUP = LEVEL2_SURFACE_REFLECTANCE_PARAMETERS
    REFLECTANCE_MULT_BAND_2 = 2.75e-05
    REFLECTANCE_ADD_BAND_2 = -0.2
  END_GROUP = LEVEL2_SURFACE_REFLECTANCE_PARAMETERS
  GROUP = LEVEL2_SURFACE_TEMPERATURE_PARAMETERS
    TEMPERATURE_MULT_BAND_ST_B10 = 0.00341802
    TEMPERATURE_ADD_BAND_ST_B10 = 149.0
  END_GROUP = LEVEL2_SURFACE_TEMPERATURE_PARAMETERS
  GROUP = LEVEL1_RADIOMETRIC_RESCALING
    RADIANCE_MULT_BAND_10 = 3.3420E-04
    RADIANCE_ADD_BAND_10 = 0.10000
    REFLECTANCE_MULT_BAND_2 = 2.0000E-05
    REFLECTANCE_ADD_BAND_2 = -0.100000
  END_GROUP = LEVEL1_RADIOMETRIC_RESCALING
  GROUP = LEVEL1_THERMAL_CONSTANTS
    K1_CONSTANT_BAND_10 = 774.8853
    K2_CONSTANT_BAND_10 = 1321.0789
  END_GROUP = LEVEL1_THERMAL_CONSTANTS
END_GROUP = LANDSAT_METADATA_FILE
END
"""
CONFIG = """
support = ["2023-01-01", "2024-01-01"]
[sites]
side = 16
extent_of = "landsat"
validation = 0
[[source]]
name = "landsat"
files = ["**/*.TIF"]
unit = "landsat mtl"
mask = "QA_PIXEL"
"""


def mtl_of(folder: Path, text: str = MTL, name: str = f"{LEVEL2}_MTL.txt", band: str = f"{LEVEL2}_SR_B2.TIF"):
    (folder / name).write_text(text)
    return read_mtl_beside(str(folder / band))


# (20000 * 0.00002 - 0.1) / sin(30 degrees) = 0.6; 0.0000275 * 20000 - 0.2 = 0.35; 0.00341802 * 44000 + 149 = 299.39288;
# radiance 0.0003342 * 25000 + 0.1 = 8.455, and 1321.0789 / ln(774.8853 / 8.455 + 1) = 291.71
@pytest.mark.parametrize(
    ("name", "stored", "expected"),
    [("B2", 20_000, 0.6), ("SR_B2", 20_000, 0.35), ("ST_B10", 44_000, 299.39288), ("B10", 25_000, 291.70557)],
)
def test_each_level_has_its_own_numbers(tmp_path, name, stored, expected):
    values = np.array([[stored, 0, np.nan]], np.float32)
    converted = convert_by_mtl(values, name, mtl_of(tmp_path), "file")
    np.testing.assert_allclose(converted, [[expected, np.nan, np.nan]], rtol=2e-6)


def test_groups_of_collection_1_are_read(tmp_path):
    text = MTL.replace("LEVEL1_RADIOMETRIC", "RADIOMETRIC").replace("LEVEL1_THERMAL", "TIRS_THERMAL")
    name = "LC08_L1TP_199024_20230501_20230509_01_T1"
    mtl = mtl_of(tmp_path, text, f"{name}_MTL.txt", f"{name}_B10.TIF")
    converted = convert_by_mtl(np.full((1, 1), 25_000, np.float32), "B10", mtl, "file")
    assert converted[0, 0] == pytest.approx(291.70557, rel=2e-6)


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("SR_B2", MTL.replace("REFLECTANCE_ADD_BAND_2 = -0.2", ""), "has no LEVEL2_SURFACE_REFLECTANCE_PARAMETERS.REF"),
        ("B2", MTL.replace("SUN_ELEVATION", "SUN"), "the MTL file has no IMAGE_ATTRIBUTES.SUN_ELEVATION"),
        ("B2", MTL.replace("30.00000000", "-3.0"), "the sun's elevation is -3.0 degrees, expected above 0"),
        ("B10", MTL.replace("K1_", "K3_"), "the MTL file has no LEVEL1_THERMAL_CONSTANTS.K1_CONSTANT_BAND_10"),
        ("SR_B3", MTL, "has no LEVEL2_SURFACE_REFLECTANCE_PARAMETERS.REFLECTANCE_MULT_BAND_3"),
        ("blue", MTL, "no band of Landsat such as B2, SR_B2 or ST_B10, which 'landsat mtl' needs"),
    ],
)
def test_a_missing_number_is_told(tmp_path, name, text, message):
    refused = error_message(convert_by_mtl, np.ones((1, 1), np.float32), name, mtl_of(tmp_path, text), "file, band")
    assert refused.startswith("file, band: ")
    assert message in refused


def test_a_product_has_one_mtl_file(tmp_path):
    path = str(tmp_path / f"{LEVEL2}_SR_B2.TIF")
    assert f"{path}: 0 files beside it end with _MTL.txt" in error_message(read_mtl_beside, path)
    (tmp_path / f"{LEVEL1}_MTL.txt").write_text("")
    assert mtl_of(tmp_path)["IMAGE_ATTRIBUTES.SUN_ELEVATION"] == 30, "that of another product does not count"
    (tmp_path / "scene_MTL.txt").write_text("")
    assert "3 files beside it" in error_message(read_mtl_beside, str(tmp_path / "B2.TIF"))


def write_band(folder: Path, name: str, value: int) -> None:
    """Write a band of pixels of 30 m around the site, whose first columns are fill."""
    values = np.full((1, 12, 12), value, np.uint16)
    values[..., :4] = 0
    profile = {"driver": "GTiff", "height": 12, "width": 12, "count": 1, "dtype": "uint16", "crs": CRS}
    folder.mkdir(exist_ok=True)
    with rasterio.open(folder / name, "w", **profile, transform=rasterio.Affine(30, 0, WEST, 0, -30, NORTH)) as file:
        file.write(values)


def test_a_folder_of_landsat_is_built(tmp_path):
    """Fill has no tag in these files; it is mixed with nothing, and is no data."""
    folder = tmp_path / LEVEL2
    for band, value in (("SR_B2", 20_000), ("ST_B10", 44_000), ("QA_PIXEL", 21_824)):
        write_band(folder, f"{LEVEL2}_{band}.TIF", value)
    (folder / f"{LEVEL2}_MTL.txt").write_text(MTL)
    write_band(tmp_path / "other", f"{LEVEL2}_SR_B2.TIF", 20_000)
    (tmp_path / "build.toml").write_text(CONFIG)
    builder = SiteBuilder(read_build_config(tmp_path / "build.toml"), tmp_path)
    site, report = builder.build(builder.plan()[0][0])
    assert report.rejects == []
    assert ["0 files beside it end with _MTL.txt" in reject.reason for reject in builder.unreadable] == [True]
    (pixels,) = site.series["landsat"].pixels
    assert np.isnan(pixels[:, :12]).all()
    np.testing.assert_allclose(pixels[:, 12:, 0], 0.35, rtol=2e-6)
    np.testing.assert_allclose(pixels[:, 12:, 6], 299.39288, rtol=2e-6)
    assert np.isnan(pixels[..., 1:6]).all()
    np.testing.assert_array_equal(site.series["landsat"].valid[0, :, :, 0], ~np.isnan(pixels[..., 0]))
    assert np.datetime64(int(site.series["landsat"].time_ms[0]), "ms") == np.datetime64("2023-05-01")
