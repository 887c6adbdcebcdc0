"""Chips have the pixels, the times and the place that their arrays and their table say."""

import tarfile

import numpy as np
import pytest

from aef_jax.data.build.config import FilesConfig
from aef_jax.data.build.readers.chips import list_acquisitions
from tests.support.data.archives import npy, npy_header, write_npz, write_tar
from tests.support.refusals import error_message

BANDS = ("B2", "B3", "B4", "B8", "B11")
PIXELS = np.arange(2 * 3 * 4 * 5, dtype=np.uint16).reshape(2, 3, 4, 5)
DATES = np.array(["2023-05-01T10:30", "2023-06-01"], "datetime64[ms]")
TIMES = DATES.astype(np.int64)
ROW = "a.npy,EPSG:32631,500000,5600000,20,2023-05-01T10:30:00Z 2023-06-01\n"


def entry(folder, rows=ROW, name="sentinel2", columns="file,crs,west,north,pixel,time\n") -> FilesConfig:
    (folder / "table.csv").write_text(columns + rows)
    return FilesConfig(name, "reflectance * 10000", ("*",), order=BANDS, table=str(folder / "table.csv"))


def read(acquisition, band="B4"):
    return acquisition.rasters[band].read(slice(1, 3), slice(0, 2))


@pytest.mark.parametrize("order", ["C", "F"])
def test_an_npz_is_one_acquisition_per_time(tmp_path, order):
    pixels = np.asarray(PIXELS.astype(">i2"), order=order)
    path = write_npz(tmp_path / "a" / "CHIP.NPZ", sentinel2=npy(pixels), ts_sentinel2=npy(TIMES))
    acquisitions = list_acquisitions(path, entry(tmp_path, ROW.replace("a.npy", "a/CHIP.NPZ")))
    assert [each.time_ms for each in acquisitions] == TIMES.tolist()
    # value = 60 frame + 20 row + 5 column + band
    np.testing.assert_array_equal(read(acquisitions[1]), [[82, 87], [102, 107]])
    raster = acquisitions[1].rasters["B4"]
    assert tuple(raster.transform)[:6] == (20, 0, 500_000, 0, -20, 5_600_000)
    assert raster.shape == (3, 4)


@pytest.mark.parametrize("frames", [2, None])
def test_an_npy_in_a_tar_has_the_times_of_its_row(tmp_path, frames):
    path = write_tar(tmp_path / "chips.tar", "a.npy", npy(PIXELS if frames else PIXELS[0]))
    rows = ROW if frames else ROW.replace(" 2023-06-01", "")
    acquisitions = list_acquisitions(path, entry(tmp_path, f"b.npy,,,,,\n{rows}"))
    assert [each.time_ms for each in acquisitions] == TIMES[:frames].tolist()[: frames or 1]
    np.testing.assert_array_equal(read(acquisitions[0]), [[22, 27], [42, 47]])


def test_a_center_puts_a_chip_on_its_utm_grid(tmp_path):
    path = write_tar(tmp_path / "chips.tar", "a.npy", npy(PIXELS))
    # the zone's middle is at 500 km, and 4 columns of 10 m are around it
    rows = "chips.tar/a.npy,3,50.5,2023-05-01 2023-06-01\nother.tar/a.npy,9,50.5,\n"
    raster = list_acquisitions(path, entry(tmp_path, rows, columns="file,lon,lat,time\n"))[0].rasters["B2"]
    assert raster.crs.to_epsg() == 32631
    assert raster.transform.c == 499_980
    assert 5_594_000 < raster.transform.f < 5_595_000


def test_a_source_without_time_needs_none(tmp_path):
    path = write_npz(tmp_path / "a.npz", glo30=npy(PIXELS[0]))
    (acquisition,) = list_acquisitions(path, entry(tmp_path, ROW.replace("a.npy", "a.npz"), "glo30"))
    assert acquisition.time_ms == 0
    np.testing.assert_array_equal(read(acquisition), [[22, 27], [42, 47]])


OBJECTS = "{{'descr': '|O', 'fortran_order': False, 'shape': {}}}"
PICKLED = b"\x80\x04]\x94K\x01a."
"""The list [1]."""
SHAPE = "{{'descr': '<u2', 'fortran_order': False, 'shape': {}}}"


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (npy_header(OBJECTS.format("(1,)")) + PICKLED, "it holds objects, expected numbers"),
        (PICKLED, "it is no array of NumPy: the magic string is not correct"),
        (npy(PIXELS.astype(complex)), "it is complex128 of shape (2, 3, 4, 5), expected numbers of shape (T, H, W, 5)"),
        (npy(PIXELS.astype("U3")), "it is <U3 of shape"),
        (npy(PIXELS[..., :4]), "it is uint16 of shape (2, 3, 4, 4)"),
        (npy(PIXELS[:, :0]), "it is uint16 of shape (2, 0, 4, 5)"),
        (npy_header(SHAPE.format("(2, 90000, 90000, 5)")), "expected at most 2 GiB"),
        (npy_header(SHAPE.format(f"(2, 1{'0' * 400}, 4, 5)")), "expected at most 2 GiB"),
        (npy_header(SHAPE.format("(2, -3, -4, 5)")), "it is uint16 of shape (2, -3, -4, 5)"),
        (npy_header("{'descr': (((\n"), "it is no array of NumPy"),
        (npy_header("{}", length=2**32 - 1), "it is no array of NumPy: EOF: reading array header"),
        (npy(np.concatenate([PIXELS, PIXELS[:1]])), "it has 3 frames, and times of shape (2,)"),
        (b"", "it is no array of NumPy"),
    ],
)
def test_a_wrong_array_is_refused_before_it_is_read(tmp_path, data, message):
    path = write_tar(tmp_path / "chips.tar", "a.npy", data)
    refused = error_message(list_acquisitions, path, entry(tmp_path))
    assert refused.startswith(f"{path}, a.npy: {message}") or message in refused
    assert f"{path}, a.npy: " in refused


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"sentinel2": npy(PIXELS)}, "has no array 'ts_sentinel2'"),
        ({"s2": npy(PIXELS)}, "has no array 'sentinel2'"),
        ({"sentinel2": npy(PIXELS), "ts_sentinel2": npy(TIMES[:1])}, "it has 2 frames, and times of shape (1,)"),
        ({"sentinel2": npy(PIXELS), "ts_sentinel2": npy(TIMES[0])}, "it has 2 frames, and times of shape ()"),
        ({"sentinel2": npy(PIXELS), "ts_sentinel2": npy(TIMES // 1000)}, "time 0 of 2 is 1682937000, expected a date"),
        ({"sentinel2": npy(PIXELS), "ts_sentinel2": npy_header(OBJECTS.format("(2,)"))}, "it holds objects"),
    ],
)
def test_a_wrong_npz_is_refused(tmp_path, arrays, message):
    path = write_npz(tmp_path / "a.npz", **arrays)
    refused = error_message(list_acquisitions, path, entry(tmp_path, ROW.replace("a.npy", "a.npz")))
    assert refused.startswith(path)
    assert message in refused


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("../a.npy", {}, "the path of its member '../a.npy' leads out of it"),
        ("/a.npy", {}, "the path of its member '/a.npy' leads out of it"),
        ("a.npy", {"kind": tarfile.SYMTYPE}, "its member 'a.npy' is no plain file"),
        ("a.npy", {"kind": tarfile.LNKTYPE}, "its member 'a.npy' is no plain file"),
        ("a.npy", {"kind": tarfile.FIFOTYPE}, "its member 'a.npy' is no plain file"),
        ("a.npy", {"mode": "w:gz"}, "cannot be read as a tar that is not compressed"),
        ("a.txt", {}, "has no .npy file"),
        ("b.npy", {}, "has no row whose `file` is 'b.npy'"),
    ],
)
def test_a_wrong_member_is_refused(tmp_path, name, options, message):
    path = write_tar(tmp_path / "chips.tar", name, **options)
    assert message in error_message(list_acquisitions, path, entry(tmp_path))


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("a.npy,EPSG:4326,3,50,0.1,2023-05-01", "not projected (its unit is degrees)"),
        ("a.npy,EPSG:banana,3,50,,2023-05-01", "not known to PROJ"),
        ("a.npy,EPSG:32631,x,50,,2023-05-01", "expected lon and lat, or crs, west and north"),
        ("a.npy,EPSG:32631,inf,50,,2023-05-01", "its corner is inf, 50.0: expected lon and lat"),
        ("a.npy,EPSG:32631,3,50,0,2023-05-01", "its pixel is 0.0"),
        ("a.npy,,,,,2023-05-01", "expected lon and lat, or crs, west and north"),
        (ROW + ROW, "2 rows are of 'a.npy', expected one"),
        (ROW.replace("2023-06-01", "June"), "expected ISO 8601"),
    ],
)
def test_a_row_that_is_no_place_is_refused(tmp_path, row, message):
    path = write_tar(tmp_path / "chips.tar", "a.npy", npy(PIXELS))
    refused = error_message(list_acquisitions, path, entry(tmp_path, row.strip() + "\n"))
    assert refused.startswith(str(tmp_path / "table.csv"))
    assert message in refused


def test_damage_is_told_when_pixels_are_read(tmp_path):
    rows = ROW.replace("a.npy", "a.npz")
    path = write_npz(tmp_path / "a.npz", sentinel2=npy(PIXELS)[:-9], ts_sentinel2=npy(TIMES))
    acquisitions = list_acquisitions(path, entry(tmp_path, rows))
    assert error_message(read, acquisitions[0]).startswith(f"{path}, sentinel2.npy: it ends after 231 bytes of 240")


def test_arrays_need_an_order_and_a_table(tmp_path):
    files = FilesConfig("sentinel2", "reflectance", ("*",))
    assert "give order and table" in error_message(list_acquisitions, str(tmp_path / "a.npz"), files)
