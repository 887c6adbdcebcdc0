"""Tests of COGs of embedding fields, read by rasterio, rioxarray and rio-cogeo."""

import builtins
import os
import signal
import subprocess
import sys
from datetime import datetime

import numpy as np
import pytest

from aef_jax.inference.encoding import DEQUANTIZE
from aef_jax.inference.writers.cog import write_cog
from configs.fields.quantize import dequantize, quantize
from tests.support.data.fields import INFO, SUPPORT, YEAR, save_cog, unit_field
from tests.support.hostile_names import HOSTILE_NAMES, assert_harmless
from tests.support.paths import REPOSITORY

ENVIRONMENT = os.environ | {"PYTHONPATH": str(REPOSITORY)}
"""Of programs that import what tests share."""
pytestmark = pytest.mark.slow

rasterio = pytest.importorskip("rasterio", reason="rasterio is in the optional extra geo")


def test_int8_files_are_laid_out_as_the_release(tmp_path):
    field = unit_field()
    with rasterio.open(save_cog(tmp_path / "field.tif", field)) as file:
        assert file.dtypes == ("int8",) * 64
        assert file.nodata == -128
        assert file.descriptions == tuple(f"A{band:02d}" for band in range(64))
        assert file.crs.to_epsg() == 32631
        assert tuple(file.transform)[:6] == INFO.transform
        np.testing.assert_array_equal(np.moveaxis(file.read(), 0, -1), quantize(field))


def test_float32_files_hold_the_vectors(tmp_path):
    field = unit_field()
    with rasterio.open(save_cog(tmp_path / "field.tif", field, dtype="float32")) as file:
        assert np.isnan(file.nodata)
        np.testing.assert_array_equal(np.moveaxis(file.read(), 0, -1), field)


def test_tags_hold_periods_model_and_dequantization(tmp_path):
    with rasterio.open(save_cog(tmp_path / "field.tif", unit_field(16, 16))) as file:
        tags = file.tags()

    assert tags["AEF_MODEL"] == "tiny, step 800"
    assert tags["AEF_DEQUANTISE"] == DEQUANTIZE
    assert tags["TIFFTAG_SOFTWARE"].startswith("aef")
    names = ("AEF_VALID_START", "AEF_VALID_END", "AEF_SUPPORT_START", "AEF_SUPPORT_END")
    instants = [datetime.fromisoformat(tags[name]).timestamp() * 1000 for name in names]
    assert instants == [*YEAR, *SUPPORT]


@pytest.mark.parametrize("what", HOSTILE_NAMES)
def test_a_hostile_name_of_a_run_is_escaped_in_tags(what, tmp_path):
    """Issue 19, hostile input."""
    info = INFO._replace(model=f"runs/{HOSTILE_NAMES[what]}<script>")
    with rasterio.open(save_cog(tmp_path / "field.tif", unit_field(4, 4, 2), info)) as file:
        assert file.tags()["AEF_MODEL"].startswith("runs/")
        assert_harmless(file.tags()["AEF_MODEL"])


@pytest.mark.filterwarnings("ignore:Use `@` matmul:PendingDeprecationWarning")  # of affine, in rio-cogeo and rioxarray
@pytest.mark.parametrize("dtype", ["int8", "float32"])
def test_files_pass_cog_validation_and_open_in_rioxarray(tmp_path, dtype):
    import rioxarray
    from rio_cogeo import cog_validate

    path = save_cog(tmp_path / "field.tif", unit_field(300, 520, bands=4), dtype=dtype)
    assert cog_validate(path, strict=True) == (True, [], [])
    with rasterio.open(path) as file:
        assert file.block_shapes == [(256, 256)] * 4
        assert file.overviews(1)[:3] == [2, 4, 8]
        assert [overview_shape(path, level) for level in range(10)][-2:] == [(1, 2), (1, 1)]
    with rioxarray.open_rasterio(path) as raster:
        assert raster.rio.crs.to_epsg() == 32631
        assert raster.rio.bounds() == (501360, 5629680 - 3000, 501360 + 5200, 5629680)
        assert raster.attrs["long_name"] == ("A00", "A01", "A02", "A03")


def overview_shape(path, level):
    with rasterio.open(path, overview_level=level) as file:
        return file.shape


def test_overviews_are_mean_directions_by_hand(tmp_path):
    """An overview of 4 x 4 pixels; the upper left quarter has one pixel with data, the lower right one four."""
    east, north = (1, 0), (0, 1)
    field = np.full((4, 4, 2), np.nan, np.float32)
    field[0, 0], field[2:, 2:] = east, north
    field[2, 0], field[2, 1], field[3, 0] = east, east, north  # the lower left quarter
    path = save_cog(tmp_path / "field.tif", field)
    with rasterio.open(path, overview_level=0) as file:
        half = file.read()
    with rasterio.open(path, overview_level=1) as file:
        quarter = file.read()

    # (2, 1) / sqrt(5): 127.5 * sqrt(0.8944) = 120.6, 127.5 * sqrt(0.4472) = 85.3
    np.testing.assert_array_equal(half[0], [[127, -128], [121, 0]])
    np.testing.assert_array_equal(half[1], [[0, -128], [85, 127]])
    # of all 8 pixels, 3 point east and 5 north: (3, 5) / sqrt(34), which the mean of the means above is not.
    # 127.5 * sqrt(0.5145) = 91.45, 127.5 * sqrt(0.8575) = 118.07
    np.testing.assert_array_equal(quarter.ravel(), [91, 118])


def test_overviews_across_blocks_equal_those_at_once(tmp_path):
    """A field of 3 x 2 blocks of 256 x 256, with odd sides."""
    field = unit_field(515, 301, bands=3)
    field[200:300, 100:200] = np.nan
    sums = np.nan_to_num(dequantize(quantize(field)))
    path = save_cog(tmp_path / "field.tif", field)
    for level in range(10):
        sums = np.pad(sums, [(0, length % 2) for length in sums.shape[:2]] + [(0, 0)])
        sums = sums.reshape(sums.shape[0] // 2, 2, -1, 2, 3).sum(axis=(1, 3))
        with np.errstate(invalid="ignore"):
            expected = quantize(sums / np.linalg.norm(sums, axis=-1, keepdims=True)).astype(int)
        with rasterio.open(path, overview_level=level) as file:
            stored = np.moveaxis(file.read(), 0, -1).astype(int)
        # sums in another order may round to the neighboring code
        assert stored.shape == expected.shape
        assert np.abs(stored - expected).max() <= 1
        assert (stored != expected).mean() < 1e-3


def test_what_is_not_written_is_no_data(tmp_path):
    field = unit_field(40, 30, 4)
    field[3, 4, 1] = np.nan  # one band of a pixel
    with write_cog(tmp_path / "field.tif", INFO._replace(embed_dim=4)) as writer:
        writer.write(slice(0, 7), slice(2, 30), field[0:7, 2:30])
        writer.write(slice(7, 19), slice(0, 11), field[7:19, 0:11])
    field[3, 4] = np.nan
    field[19:], field[7:, 11:], field[:7, :2] = np.nan, np.nan, np.nan
    with rasterio.open(tmp_path / "field.tif") as file:
        np.testing.assert_array_equal(np.moveaxis(file.read(), 0, -1), quantize(field))


def test_fields_larger_than_a_released_file_are_refused(tmp_path):
    with (
        pytest.raises(ValueError, match=r"field\.tif: the field has 10 x 8193 pixels, expected at most 8192 x 8192"),
        write_cog(tmp_path / "field.tif", INFO._replace(shape=(10, 8193))),
    ):
        pass
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("fails_in", ["writing", "finishing"])
def test_a_failed_write_leaves_the_previous_file(tmp_path, monkeypatch, fails_in):
    path = save_cog(tmp_path / "field.tif", unit_field(16, 16, 4))
    before = path.read_bytes()

    def fail(source, target, **options):
        target.write_bytes(b"half a file")
        raise OSError("no space left")

    monkeypatch.setattr("rasterio.shutil.copy", fail)
    field = unit_field(bands=64 if fails_in == "finishing" else 63)  # GDAL refuses bands that the file has not
    with pytest.raises((OSError, ValueError), match=r"no space left|inconsistent"):
        save_bands(path, field)
    assert path.read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == ["field.tif"]


def save_bands(path, field):
    with write_cog(path, INFO) as writer:
        writer.write(slice(0, 40), slice(0, 30), field)


KILLED = """
import os, signal
from pathlib import Path
from aef_jax.inference.writers.cog import write_cog
from aef_jax.inference.writers.zarr_store import write_zarr
from tests.support.data.fields import INFO, unit_field
with write_cog(Path("field.tif"), INFO) as writer, write_zarr(Path("field.zarr"), [INFO]) as (other,):
    for each in (writer, other):
        each.write(slice(0, 20), slice(0, 30), unit_field(20))
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_killed_write_leaves_nothing_that_looks_whole(tmp_path):
    killed = subprocess.run([sys.executable, "-c", KILLED], cwd=tmp_path, check=False, env=ENVIRONMENT)
    assert killed.returncode == -signal.SIGKILL
    assert {path.suffix for path in tmp_path.iterdir()} == {".tmp"}
    save_cog(tmp_path / "field.tif", unit_field(8, 8, 2))
    assert sorted(path.name[:11] for path in tmp_path.iterdir()) == [".field.zarr", "field.tif"]  # the store stays


LARGE = """
from pathlib import Path
from aef_jax.benchmark.process_memory import peak_bytes
from aef_jax.inference.writers.cog import write_cog
from tests.support.data.fields import INFO, unit_field
window = unit_field(256, 256)
before = peak_bytes()
with write_cog(Path("field.tif"), INFO._replace(shape=(2048, 1024))) as writer:
    for row in range(0, 2048, 256):
        for column in range(0, 1024, 256):
            writer.write(slice(row, row + 256), slice(column, column + 256), window)
print(peak_bytes() - before)
"""


def test_memory_does_not_grow_with_the_field(tmp_path):
    """Its codes are 134 MB, which GDAL would keep in its cache: then it takes 297 MB, else 232."""
    options = {"cwd": tmp_path, "env": ENVIRONMENT, "check": True, "capture_output": True, "text": True}
    done = subprocess.run([sys.executable, "-c", LARGE], **options)
    assert int(done.stdout) < 262e6


def test_missing_folders_are_created(tmp_path):
    assert save_cog(tmp_path / "fields" / "2019" / "field.tif", unit_field(16, 16, 4)).exists()


def test_missing_rasterio_names_the_extra_to_install(tmp_path, monkeypatch):
    real = builtins.__import__

    def without_rasterio(name, *arguments, **options):
        if name.startswith("rasterio"):
            raise ModuleNotFoundError(name=name)
        return real(name, *arguments, **options)

    monkeypatch.setattr(builtins, "__import__", without_rasterio)
    with pytest.raises(ModuleNotFoundError, match=r"need rasterio: pip install 'aef\[geo\]'"):
        save_cog(tmp_path / "field.tif", unit_field(16, 16))
    assert not list(tmp_path.iterdir())
