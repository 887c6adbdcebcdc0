"""Tests of Zarr stores of embedding fields, read by xarray, rioxarray and zarr."""

import json

import numpy as np
import pytest

from aef_jax.data.store.site import to_ms
from aef_jax.inference.writers.zarr_store import write_zarr
from configs.fields.quantize import dequantize, quantize
from tests.support.data.fields import INFO, unit_field

pytestmark = pytest.mark.slow

xarray = pytest.importorskip("xarray", reason="xarray is in the optional extra geo")
pytest.importorskip("zarr", reason="zarr is in the optional extra fields")

NEXT_YEAR = (to_ms("2020-01-01"), to_ms("2021-01-01"))
INFOS = [INFO._replace(shape=(300, 270), embed_dim=4, period=period) for period in (INFO.period, NEXT_YEAR)]


def write(path, fields, dtype="int8", step=100):
    """Write window by window, not aligned to the files of the store."""
    with write_zarr(path, INFOS, dtype) as writers:
        for writer, field in zip(writers, fields, strict=True):
            for row in range(0, 300, step):
                for column in range(0, 270, step):
                    rows, columns = slice(row, min(row + step, 300)), slice(column, min(column + step, 270))
                    writer.write(rows, columns, field[rows, columns])
    return path


@pytest.fixture(scope="module")
def fields():
    return [unit_field(300, 270, 4, seed) for seed in (0, 1)]


@pytest.fixture(scope="module")
def store(fields, tmp_path_factory):
    return write(tmp_path_factory.mktemp("store") / "fields.zarr", fields)


def test_codes_lie_in_shards_of_whole_vectors(store, fields):
    import zarr

    array = zarr.open_group(store, mode="r")["embeddings"]
    assert (array.dtype, array.fill_value) == (np.int8, -128)
    assert (array.shards, array.chunks) == ((1, 4, 256, 256), (1, 4, 32, 32))
    for time, field in enumerate(fields):
        np.testing.assert_array_equal(np.moveaxis(array[time], 0, -1), quantize(field))


def test_xarray_finds_ground_periods_and_bands(store, fields):
    data = xarray.open_zarr(store, chunks=None)
    assert data.embeddings.dims == ("time", "band", "y", "x")
    assert list(data.band.values) == ["A00", "A01", "A02", "A03"]
    assert (data.x.values[0], data.y.values[0]) == (501365, 5629675)  # the center of the first pixel
    assert (np.diff(data.x) == 10).all()
    assert (np.diff(data.y) == -10).all()
    ends = [["2019-01-01", "2020-01-01"], ["2020-01-01", "2021-01-01"]]
    np.testing.assert_array_equal(data.time_bnds.values, np.array(ends, "datetime64[ns]"))
    np.testing.assert_array_equal(data.time.values, data.time_bnds.values[:, 0])
    assert (data.support_bnds.values == np.array(["2018-07-01", "2020-07-01"], "datetime64[ns]")).all()
    assert data.attrs["AEF_MODEL"] == "tiny, step 800"
    q = data.embeddings.sel(time="2020-01-01").transpose("y", "x", "band").values  # masked by xarray, not scaled
    np.testing.assert_allclose(np.sign(q) * (q / 127.5) ** 2, dequantize(quantize(fields[1])), rtol=1e-6)


@pytest.mark.filterwarnings("ignore:Use `@` matmul:PendingDeprecationWarning")  # of affine, in rioxarray
def test_rioxarray_finds_crs_and_bounds(store):
    import rioxarray  # noqa: F401

    data = xarray.open_zarr(store, chunks=None)
    assert data.embeddings.rio.crs.to_epsg() == 32631
    assert data.embeddings.rio.bounds() == (501360, 5629680 - 3000, 501360 + 2700, 5629680)
    assert tuple(data.embeddings.rio.transform())[:6] == INFO.transform


def test_float32_stores_hold_the_vectors(tmp_path, fields):
    data = xarray.open_zarr(write(tmp_path / "fields.zarr", fields, "float32", step=256), chunks=None)
    np.testing.assert_array_equal(data.embeddings.values[1], np.moveaxis(fields[1], -1, 0))


def test_what_is_not_written_is_no_data_and_has_no_file(tmp_path, fields):
    with write_zarr(tmp_path / "fields.zarr", INFOS) as writers:
        writers[1].write(slice(256, 300), slice(0, 256), fields[1][256:, :256])
    data = xarray.open_zarr(tmp_path / "fields.zarr", chunks=None).embeddings.values
    assert np.isfinite(data).sum() == 4 * 44 * 256
    assert len([path for path in (tmp_path / "fields.zarr" / "embeddings" / "c").rglob("*") if path.is_file()]) == 1


def test_a_store_is_replaced_and_other_folders_are_not(tmp_path, fields):
    write(tmp_path / "fields.zarr", fields)
    with pytest.raises(OSError, match="no space"), write_zarr(tmp_path / "fields.zarr", INFOS):
        raise OSError("no space")
    write(tmp_path / "fields.zarr", fields[::-1])
    first = xarray.open_zarr(tmp_path / "fields.zarr", chunks=None).embeddings[0, :, 5, 5].values
    np.testing.assert_array_equal(first, quantize(fields[1][5, 5]))
    assert [path.name for path in tmp_path.iterdir()] == ["fields.zarr"]

    (tmp_path / "fields.zarr" / "notes.txt").touch()
    with (
        pytest.raises(ValueError, match=r"fields\.zarr holds other files \(notes\.txt\)"),
        write_zarr(tmp_path / "fields.zarr", INFOS),
    ):
        pass


@pytest.mark.parametrize(
    ("infos", "problem"),
    [
        ([INFOS[0], INFOS[1]._replace(shape=(300, 271))], "its fields differ in grid or model"),
        ([INFOS[0], INFOS[1]._replace(model="other")], "its fields differ in grid or model"),
        ([INFOS[0]._replace(period=None)], "a field has no period"),
    ],
)
def test_fields_that_make_no_store_are_refused(tmp_path, infos, problem):
    with pytest.raises(ValueError, match=rf"fields\.zarr: {problem}"), write_zarr(tmp_path / "fields.zarr", infos):
        pass
    assert list(tmp_path.iterdir()) == []


def test_metadata_are_plain_json_of_version_3(store):
    metadata = json.loads((store / "embeddings" / "zarr.json").read_text())
    assert metadata["zarr_format"] == 3
    assert metadata["codecs"][0]["name"] == "sharding_indexed"
    assert metadata["attributes"]["grid_mapping"] == "spatial_ref"
    assert json.loads((store / "spatial_ref" / "zarr.json").read_text())["attributes"]["crs_wkt"].startswith("PROJCRS")
