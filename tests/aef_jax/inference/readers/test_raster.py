"""Tests of reading rasters: the project's COGs, and files like the public layers."""

import re

import numpy as np
import pytest

from aef_jax.inference.encoding import decode
from aef_jax.inference.readers.open_field import open_field
from configs.fields.quantize import dequantize, quantize
from tests.support.data.fields import INFO, SUPPORT, YEAR, save_cog, unit_field
from tests.support.data.serving import serve_folder

pytestmark = pytest.mark.slow

rasterio = pytest.importorskip("rasterio", reason="rasterio is in the optional extra geo")

WINDOW = slice(3, 17), slice(0, 29)


@pytest.fixture(scope="module")
def field():
    return unit_field()


@pytest.fixture(scope="module")
def cog(field, tmp_path_factory):
    return save_cog(tmp_path_factory.mktemp("cog") / "field.tif", field)


def release(path, field, *, bottom_up=True, crs=INFO.crs, names=True, **profile):
    """Write a file as the public layers are: int8, by default bottom-up, without tags."""
    path.parent.mkdir(parents=True, exist_ok=True)
    height, width, bands = field.shape
    west, north = INFO.transform[2], INFO.transform[5]
    top_down = rasterio.Affine(10, 0, west, 0, -10, north)
    transform = rasterio.Affine(10, 0, west, 0, 10, north - 10 * height) if bottom_up else top_down
    shape = {"height": height, "width": width, "count": bands, "dtype": "int8", "nodata": -128}
    codes = quantize(field[::-1] if bottom_up else field)
    with rasterio.open(path, "w", driver="GTiff", crs=crs, **shape | {"transform": transform} | profile) as file:
        file.write(np.moveaxis(codes, -1, 0).astype(file.dtypes[0]))
        if names:
            file.descriptions = [f"A{band:02d}" for band in range(bands)]
    return path


def assert_holds(opened, field):
    """Assert that a field opens north-up, with unit vectors."""
    assert opened.info[:4] == INFO[:4]
    vectors = opened.read(*WINDOW)
    assert vectors.dtype == np.float32
    np.testing.assert_array_equal(vectors, decode(quantize(field))[WINDOW])
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=-1), 1, atol=1e-6)
    assert np.isnan(opened.read(slice(0, 1), slice(0, 1))).all()  # the first pixel is no data


def test_a_cog_of_codes_is_read_back(cog, field):
    opened = open_field(str(cog))
    assert_holds(opened, field)
    assert opened.info == INFO


def test_a_cog_of_float32_is_read_back(tmp_path, field):
    opened = open_field(str(save_cog(tmp_path / "field.tif", field, dtype="float32")))
    np.testing.assert_allclose(opened.read(*WINDOW), field[WINDOW], atol=1e-7)
    assert opened.info == INFO


@pytest.mark.parametrize("bottom_up", [True, False])
def test_a_public_file_reads_north_up(tmp_path, field, bottom_up):
    path = release(tmp_path / "annual" / "2021" / "31N" / "x-0000000000-0000008192.tiff", field, bottom_up=bottom_up)
    opened = open_field(str(path))
    assert_holds(opened, field)
    assert [str(np.datetime64(ms, "ms"))[:10] for ms in opened.info.period] == ["2021-01-01", "2022-01-01"]
    assert opened.info.support is None


def test_a_year_is_read_from_one_folder_only(tmp_path, field):
    assert open_field(str(release(tmp_path / "2021.tif", field))).info.period is None
    assert open_field(str(release(tmp_path / "2020" / "2021" / "a.tif", field))).info.period is None


@pytest.mark.filterwarnings("ignore:Use `@` matmul:PendingDeprecationWarning")
def test_virtual_rasters_of_gdal_are_read(tmp_path, cog, field):
    """A VRT over a COG of ours, and one that turns a bottom-up file around, as Source Cooperative has them."""
    import rasterio.shutil
    from rasterio.vrt import WarpedVRT

    with rasterio.open(cog) as file:
        rasterio.shutil.copy(file, tmp_path / "ours.vrt", driver="VRT")
    assert_holds(opened := open_field(str(tmp_path / "ours.vrt")), field)
    assert (opened.info.period, opened.info.support) == (YEAR, SUPPORT)
    top_down = {"transform": rasterio.Affine(*INFO.transform), "height": 40, "width": 30, "dtype": "int8"}
    with rasterio.open(release(tmp_path / "turned.tiff", field)) as file, WarpedVRT(file, **top_down) as turned:
        rasterio.shutil.copy(turned, tmp_path / "turned.vrt", driver="VRT")
    assert_holds(open_field(str(tmp_path / "turned.vrt")), field)


def test_dequantizing_by_expression_gives_the_same_vectors(cog):
    """What users of QGIS and GDAL do with the public layers: an expression on each raw band."""
    with rasterio.open(cog) as file:
        raw = file.read(masked=True)  # GDAL's mask of no data
    x = np.where(raw.data > 0, 1, -1) * (np.abs(raw.data.astype(float)) / 127.5) ** 2
    x = np.ma.filled(np.ma.array(x, mask=raw.mask), np.nan)
    np.testing.assert_allclose(np.moveaxis(x, 0, -1), dequantize(np.moveaxis(raw.data, 0, -1)), rtol=1e-6)
    vectors = np.moveaxis(x / np.linalg.norm(x, axis=0), 0, -1)
    np.testing.assert_allclose(vectors[WINDOW], open_field(str(cog)).read(*WINDOW), atol=1e-6)


@pytest.mark.parametrize("form", ["without authority", "unknown name"])
def test_a_crs_without_code_is_recognized(tmp_path, field, form):
    words = re.sub(r',AUTHORITY\["EPSG","\d+"\]', "", rasterio.CRS.from_epsg(32631).to_wkt())
    if form == "unknown name":
        words = words.replace("WGS 84 / UTM zone 31N", "unknown").replace('GEOGCS["WGS 84"', 'GEOGCS["unknown"')
    assert_holds(open_field(str(release(tmp_path / "field.tif", field, crs=words))), field)


def test_a_file_is_read_by_url(tmp_path, field):
    release(tmp_path / "2022" / "field.tiff", field)
    with serve_folder(tmp_path) as (url, _):
        opened = open_field(f"{url}/2022/field.tiff")
        assert_holds(opened, field)
        assert opened.info.period is not None
        with pytest.raises(ValueError, match=r"2023/field\.tiff cannot be opened: "):
            open_field(f"{url}/2023/field.tiff")


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"dtype": "uint8", "nodata": 0}, "its bands are uint8, expected int8 or float32"),
        ({"count": 63, "names": False}, "it has 63 bands without names, expected 64, or A00, A01"),
        ({"crs": None}, "it has no coordinate reference system in meters"),
        ({"crs": "EPSG:4326"}, "it has no coordinate reference system in meters"),
        ({"transform": (30, 0, 0, 0, -30, 0)}, r"its transform is \(30.* expected pixels of 10 m"),
        ({"transform": (10, 0, 0, 0, -20, 0)}, r"its transform is \(10.* expected pixels of 10 m"),
    ],
)
def test_rasters_that_are_no_fields_are_refused(tmp_path, field, changes, problem):
    bands = changes.get("count", 64)
    if "transform" in changes:
        changes = changes | {"transform": rasterio.Affine(*changes["transform"])}
    path = release(tmp_path / "other.tif", field[..., :bands], **changes)
    with pytest.raises(ValueError, match=rf"other\.tif is no embedding field: {problem}"):
        open_field(str(path))


def test_other_names_of_bands_are_refused(tmp_path, field):
    path = release(tmp_path / "other.tif", field, names=False)
    assert_holds(open_field(str(path)), field)  # 64 bands without names
    with rasterio.open(path, "r+") as file:
        file.descriptions = ["red", *[None] * 63]
    with pytest.raises(ValueError, match=r"it has 64 bands called red, expected 64, or A00"):
        open_field(str(path))


def test_damaged_and_missing_files_are_told(tmp_path, cog):
    path = tmp_path / "damaged.tif"
    path.write_bytes(cog.read_bytes()[:-2000])
    with pytest.raises(ValueError, match=r"damaged\.tif cannot be read: "):
        open_field(str(path)).read(slice(0, 40), slice(0, 30))
    path.write_text("no raster")
    with pytest.raises(ValueError, match=r"damaged\.tif cannot be opened: .*not recognized"):
        open_field(str(path))
    with pytest.raises(ValueError, match=r"missing\.tif cannot be opened: "):
        open_field(str(tmp_path / "missing.tif"))
