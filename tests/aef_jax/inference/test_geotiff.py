"""Tests of GeoTIFFs of embedding fields, read by rasterio and by the project's own reader."""

import builtins
from datetime import datetime

import numpy as np
import pytest

from aef_jax.data.store.site import to_ms
from aef_jax.inference.writers.geotiff import DEQUANTIZE, read_field, write_field
from configs.fields.quantize import dequantize, quantize
from tests.support.hostile_names import HOSTILE_NAMES, assert_harmless

rasterio = pytest.importorskip("rasterio", reason="rasterio is in the optional extra geo")

CRS, TRANSFORM = "EPSG:32631", (10.0, 0.0, 501360.0, 0.0, -10.0, 5629680.0)
YEAR, SUPPORT = (to_ms("2019-01-01"), to_ms("2020-01-01")), (to_ms("2018-07-01"), to_ms("2020-07-01"))


def unit_field(height: int, width: int, bands: int = 64) -> np.ndarray:
    field = np.random.default_rng(0).normal(size=(height, width, bands)).astype(np.float32)
    field /= np.linalg.norm(field, axis=-1, keepdims=True)
    field[0, 0] = np.nan
    return field


def write(path, field, dtype="int8"):
    write_field(
        path, field, crs=CRS, transform=TRANSFORM, period=YEAR, support=SUPPORT, model="tiny, step 800", dtype=dtype
    )
    return path


def test_int8_files_are_laid_out_as_the_release(tmp_path):
    field = unit_field(40, 30)
    with rasterio.open(write(tmp_path / "field.tif", field)) as file:
        assert file.dtypes == ("int8",) * 64
        assert file.nodata == -128
        assert file.descriptions == tuple(f"A{band:02d}" for band in range(64))
        assert file.crs.to_epsg() == 32631
        assert tuple(file.transform)[:6] == TRANSFORM
        np.testing.assert_array_equal(np.moveaxis(file.read(), 0, -1), quantize(field))


def test_tags_hold_periods_model_and_dequantization(tmp_path):
    with rasterio.open(write(tmp_path / "field.tif", unit_field(16, 16))) as file:
        tags = file.tags()

    assert tags["AEF_MODEL"] == "tiny, step 800"
    assert tags["AEF_DEQUANTISE"] == DEQUANTIZE
    assert tags["TIFFTAG_SOFTWARE"].startswith("aef")
    names = ("AEF_VALID_START", "AEF_VALID_END", "AEF_SUPPORT_START", "AEF_SUPPORT_END")
    instants = [datetime.fromisoformat(tags[name]).timestamp() * 1000 for name in names]
    assert instants == [*YEAR, *SUPPORT]


@pytest.mark.parametrize("dtype", ["int8", "float32"])
def test_a_written_field_is_read_back(tmp_path, dtype):
    field = unit_field(40, 30)
    back, crs, transform = read_field(write(tmp_path / "field.tif", field, dtype))

    np.testing.assert_array_equal(back, dequantize(quantize(field)) if dtype == "int8" else field)
    assert back.dtype == np.float32
    with rasterio.open(tmp_path / "field.tif") as file:
        assert file.nodata == -128 if dtype == "int8" else np.isnan(file.nodata)
    assert (crs, transform) == (CRS, TRANSFORM)


def test_a_crs_without_epsg_code_is_kept(tmp_path):
    words = rasterio.CRS.from_epsg(3035).to_wkt()
    path = tmp_path / "field.tif"
    write_field(
        path, unit_field(16, 16), crs=words, transform=TRANSFORM, period=YEAR, support=SUPPORT, model="m", dtype="int8"
    )
    assert rasterio.CRS.from_string(read_field(path)[1]) == rasterio.CRS.from_epsg(3035)


@pytest.mark.parametrize("dtype", ["int8", "float32"])
def test_files_are_cloud_optimized(tmp_path, dtype):
    """Tiled, with overviews down to one tile, and directories before data (else GDAL does not report the layout)."""
    with rasterio.open(write(tmp_path / "field.tif", unit_field(300, 520, bands=4), dtype)) as file:
        assert file.tags(ns="IMAGE_STRUCTURE")["LAYOUT"] == "COG"
        assert file.block_shapes == [(256, 256)] * 4
        assert file.overviews(1) == [2, 4]
        codes = np.unique(file.read(1))
        overview = file.read(1, out_shape=(150, 260))
    assert np.isin(
        overview[np.isfinite(overview)], codes
    ).all()  # overviews are vectors of the field, not means of codes


def test_a_failed_write_leaves_the_previous_file(tmp_path, monkeypatch):
    path = write(tmp_path / "field.tif", unit_field(16, 16))
    before = path.read_bytes()

    def fail(source, target, **options):
        target.write_bytes(b"half a file")
        raise OSError("no space left")

    monkeypatch.setattr("rasterio.shutil.copy", fail)
    with pytest.raises(OSError, match="no space left"):
        write(path, unit_field(16, 16)[::-1])

    assert path.read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == ["field.tif"]


def test_missing_folders_are_created(tmp_path):
    assert write(tmp_path / "fields" / "2019" / "field.tif", unit_field(16, 16)).exists()


def test_other_rasters_are_refused(tmp_path):
    path = tmp_path / "other.tif"
    grid = {"height": 16, "width": 16, "count": 1, "crs": CRS, "transform": rasterio.Affine(*TRANSFORM)}
    with rasterio.open(path, "w", driver="GTiff", dtype="uint16", **grid) as file:
        file.write(np.zeros((1, 16, 16), np.uint16))
    with pytest.raises(ValueError, match=r"other\.tif: bands are uint16, expected int8 or float32"):
        read_field(path)


def test_missing_rasterio_names_the_extra_to_install(tmp_path, monkeypatch):
    real = builtins.__import__

    def without_rasterio(name, *arguments, **options):
        if name.startswith("rasterio"):
            raise ModuleNotFoundError(name)
        return real(name, *arguments, **options)

    monkeypatch.setattr(builtins, "__import__", without_rasterio)
    with pytest.raises(ModuleNotFoundError, match=r"pip install 'aef\[geo\]'"):
        write(tmp_path / "field.tif", unit_field(16, 16))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("what", HOSTILE_NAMES)
def test_a_hostile_name_of_a_run_is_escaped_in_tags(what, tmp_path):
    """Issue 19, hostile input."""
    period = {"crs": CRS, "transform": TRANSFORM, "period": YEAR, "support": SUPPORT}
    write_field(tmp_path / "field.tif", unit_field(4, 4), model=f"runs/{HOSTILE_NAMES[what]}<script>", **period)
    with rasterio.open(tmp_path / "field.tif") as file:
        assert file.tags()["AEF_MODEL"].startswith("runs/")
        assert_harmless(file.tags()["AEF_MODEL"])
