"""Tests of reading Zarr stores, mosaics, the index of the public layers, and fields as xarray objects."""

import json

import numpy as np
import pytest

from aef_jax.data.store.site import to_ms
from aef_jax.inference.encoding import decode
from aef_jax.inference.field import ArrayField
from aef_jax.inference.readers.index import find_files
from aef_jax.inference.readers.labeled import to_xarray
from aef_jax.inference.readers.open_field import open_field, open_fields
from aef_jax.inference.readers.zarr_store import list_periods
from aef_jax.inference.writers.zarr_store import write_zarr
from configs.fields.quantize import quantize
from tests.support.data.fields import INFO, save_cog, unit_field

pytest.importorskip("zarr", reason="zarr is in the optional extra fields")

SMALL = INFO._replace(embed_dim=4)
LATER = SMALL._replace(period=(to_ms("2020-01-01"), to_ms("2021-01-01")))


def write_store(path, infos, dtype="int8"):
    with write_zarr(path, infos, dtype) as writers:
        for seed, writer in enumerate(writers):
            writer.write(slice(0, 40), slice(0, 30), unit_field(bands=4, seed=seed))
    return str(path)


@pytest.mark.parametrize("dtype", ["int8", "float32"])
def test_the_fields_of_a_store_are_read_back_by_period(tmp_path, dtype):
    path = write_store(tmp_path / "fields.zarr", [SMALL, LATER], dtype)
    for seed, (start, info) in enumerate((("2019", SMALL), ("2020-01-01", LATER))):
        opened = open_field(f"{path}#{start}")
        assert opened.info == info
        vectors, drawn = opened.read(slice(0, 9), slice(3, 30)), unit_field(bands=4, seed=seed)
        expected = decode(quantize(drawn)) if dtype == "int8" else drawn
        np.testing.assert_allclose(vectors, expected[:9, 3:], atol=1e-7)


def test_the_only_field_of_a_store_needs_no_period(tmp_path):
    info = SMALL._replace(support=None, model="")
    assert open_field(write_store(tmp_path / "fields.zarr", [info])).info == info


def test_stores_without_the_field_are_refused(tmp_path):
    path = write_store(tmp_path / "fields.zarr", [SMALL, LATER])
    assert list_periods(path) == ["2019-01-01..2020-01-01", "2020-01-01..2021-01-01"]
    assert open_field(f"{path}#2020-01-01..2021").info == LATER
    with pytest.raises(ValueError, match=r"several periods, expected one of 2019-01-01\.\.2020-01-01, 2020-01-01"):
        open_field(path)
    with pytest.raises(ValueError, match=r"fields\.zarr has no single period 2021, expected one of"):
        open_field(f"{path}#2021")
    with pytest.raises(ValueError, match=r"missing\.zarr is no Zarr store of embedding fields: "):
        open_field(str(tmp_path / "missing.zarr"))
    coarse = SMALL._replace(transform=(20.0, 0.0, 0.0, 0.0, -20.0, 0.0))
    with pytest.raises(ValueError, match=r"coarse\.zarr is no Zarr store of embedding fields: its transform is \(20"):
        open_field(write_store(tmp_path / "coarse.zarr", [coarse]))
    metadata = tmp_path / "fields.zarr" / "zarr.json"
    metadata.write_text(json.dumps(json.loads(metadata.read_text()) | {"node_type": "array"}))
    with pytest.raises(ValueError, match=r"fields\.zarr is no Zarr store of embedding fields: "):
        open_field(path)


def test_a_damaged_store_is_told(tmp_path):
    path = write_store(tmp_path / "fields.zarr", [SMALL])
    shard = tmp_path / "fields.zarr" / "embeddings" / "c" / "0" / "0" / "0" / "0"
    shard.write_bytes(shard.read_bytes()[:-40])
    with pytest.raises(ValueError, match=r"fields\.zarr cannot be read: "):
        open_field(path).read(slice(0, 40), slice(0, 30))


@pytest.fixture
def neighbors(tmp_path):
    """Two fields: the second begins 10 pixels farther west and 35 farther south, so that 5 rows overlap."""
    first, second = unit_field(bands=4), unit_field(bands=4, seed=1)
    first[38] = np.nan  # where both lie, only the second has data
    (_, _, west, _, _, north) = INFO.transform
    moved = INFO._replace(transform=(10.0, 0.0, west - 100, 0.0, -10.0, north - 350))
    paths = save_cog(tmp_path / "a.tif", first), save_cog(tmp_path / "b.tif", second, moved)
    return [str(path) for path in paths], decode(quantize(first)), decode(quantize(second))


def test_fields_side_by_side_are_one_field(neighbors):
    paths, first, second = neighbors
    opened = open_fields(paths)
    assert opened.info == SMALL._replace(transform=(10.0, 0.0, 501260.0, 0.0, -10.0, 5629680.0), shape=(75, 40))
    expected = np.full((75, 40, 4), np.nan, np.float32)
    expected[35:, :30] = second
    np.copyto(expected[:40, 10:], first, where=~np.isnan(first))
    np.testing.assert_array_equal(opened.read(slice(0, 75), slice(0, 40)), expected)
    np.testing.assert_array_equal(opened.read(slice(33, 41), slice(5, 12)), expected[33:41, 5:12])
    assert np.isnan(opened.read(slice(0, 5), slice(0, 5))).all()  # meets neither
    assert open_fields(paths[:1]).info == open_field(paths[0]).info


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"crs": "EPSG:32632"}, "the crs of .*c.tif is EPSG:32632, expected EPSG:32631 as of .*a.tif"),
        ({"period": LATER.period}, "the period of .*c.tif is "),
        ({"transform": (10.0, 0.0, 5e5, 0.0, -10.0, 5e6 + 5)}, "the pixels of .*c.tif lie between those of the other"),
    ],
)
def test_fields_that_do_not_fit_together_are_refused(neighbors, tmp_path, changes, problem):
    other = save_cog(tmp_path / "c.tif", unit_field(bands=4), INFO._replace(**changes))
    with pytest.raises(ValueError, match=problem):
        open_fields([*neighbors[0], str(other)])
    with pytest.raises(ValueError, match="no field to open"):
        open_fields([])


def test_the_index_gives_the_files_that_meet_bounds_by_zone(tmp_path):
    """Columns and paths as of the public index, in which a file's bounds are in degrees."""
    import pyarrow
    import pyarrow.parquet

    rows = [
        ("s3://bucket/2021/31N/west.tiff", 2021, "31N", 3.0, 50.0, 4.0, 51.0),
        ("s3://bucket/2021/31N/a.tiff", 2021, "31N", 4.0, 50.0, 5.0, 51.0),
        ("s3://bucket/2021/32N/b.tiff", 2021, "32N", 4.5, 50.0, 6.0, 51.0),
        ("s3://bucket/2021/31N/east.tiff", 2021, "31N", 5.0, 50.0, 6.0, 51.0),
        ("s3://bucket/2021/31N/south.tiff", 2021, "31N", 4.0, 49.0, 5.0, 50.0),
        ("s3://bucket/2021/31N/north.tiff", 2021, "31N", 4.0, 51.0, 5.0, 52.0),
        ("s3://bucket/2020/31N/past.tiff", 2020, "31N", 4.0, 50.0, 5.0, 51.0),
    ]
    names = ("path", "year", "utm_zone", "wgs84_west", "wgs84_south", "wgs84_east", "wgs84_north")
    table = pyarrow.table(dict(zip(names, zip(*rows, strict=True), strict=True)) | {"fid": range(7)})
    index = str(tmp_path / "aef_index.parquet")
    pyarrow.parquet.write_table(table, index)

    zones = find_files(index, (4.2, 50.5, 4.8, 50.6), 2021)
    assert zones == {"31N": ["s3://bucket/2021/31N/a.tiff"], "32N": ["s3://bucket/2021/32N/b.tiff"]}
    with pytest.raises(ValueError, match=r"aef_index\.parquet has no file of 2021 that meets the bounds \(7"):
        find_files(index, (7, 50, 8, 51), 2021)
    pyarrow.parquet.write_table(table.drop(["utm_zone"]), index)
    with pytest.raises(ValueError, match=r"aef_index\.parquet is no index with the columns path, year, utm_zone"):
        find_files(index, (7, 50, 8, 51), 2021)
    with pytest.raises(ValueError, match=r"missing\.parquet is no index"):
        find_files(str(tmp_path / "missing.parquet"), (7, 50, 8, 51), 2021)


class Counted(ArrayField):
    """A field that tells which windows are read."""

    def read(self, rows, columns):
        windows.append((rows.start, rows.stop, columns.start, columns.stop))
        return super().read(rows, columns)


windows: list[tuple[int, ...]] = []


def test_an_xarray_object_reads_what_is_asked_for():
    vectors = unit_field(bands=4)
    data = to_xarray(Counted(SMALL, vectors))
    assert windows == []
    assert data.dims == ("y", "x", "embedding")
    assert list(data.embedding.values) == ["A00", "A01", "A02", "A03"]
    assert data.attrs["period_start"] == "2019-01-01T00:00:00.000"
    np.testing.assert_array_equal(data.sel(x=501385, y=5629675), vectors[0, 2])
    np.testing.assert_array_equal(data[30:10:-3, 4, [0, 3]], vectors[30:10:-3, 4][:, [0, 3]])
    assert windows == [(0, 1, 2, 3), (12, 31, 4, 5)]
    assert data[5:5].values.shape == (0, 30, 4)
    np.testing.assert_array_equal(data, vectors)


@pytest.mark.filterwarnings("ignore:Use `@` matmul:PendingDeprecationWarning")  # of affine, in rioxarray
def test_an_xarray_object_has_the_ground_of_the_field():
    import rioxarray  # noqa: F401

    data = to_xarray(ArrayField(SMALL._replace(period=None, support=None), unit_field(bands=4)))
    assert data.rio.crs.to_epsg() == 32631
    assert data.rio.bounds() == (501360, 5629680 - 400, 501360 + 300, 5629680)
    assert data.attrs == {}
