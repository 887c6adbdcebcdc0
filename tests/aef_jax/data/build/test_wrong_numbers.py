"""What is wrong with a file is told with its name, its band and its values, and the rest of the build is intact."""

import csv
import warnings
from pathlib import Path

import numpy as np
import pytest
import rasterio

from aef_jax.data.build.build import build_dataset
from aef_jax.data.build.config import read_build_config
from aef_jax.data.build.rejects import REJECTS_NAME
from aef_jax.data.build.site_builder import SiteBuilder
from tests.support.refusals import error_message

SIDE, WEST, NORTH = 16, 500_000, 5_600_000
CONFIG = """
support = ["2023-01-01", "2024-01-01"]
[sites]
side = 16
extent_of = "{source}"
validation = {validation}
min_distance_m = 0
[[source]]
name = "{source}"
files = ["*.tif"]
unit = "{unit}"
{more}
"""
SENTINEL2 = ("sentinel2", "reflectance * 10000", ("B02", "B03", "B04", "B08", "B11"), (200, 3000))
LANDSAT = ("landsat", "reflectance", ("SR_B2", "SR_B3"), (0.02, 0.3))
THERMAL = ("landsat", "kelvin", ("ST_B10",), (270, 310))
RADAR = ("sentinel1", "decibel", ("VV", "VH"), (-20, -5))
POWER = ("sentinel1", "power", ("VV", "VH"), (0.01, 0.3))
SAFE = "S2A_MSIL2A_20230701T102921_N{}_R108_T31UDS_20230701T135811_B02.tif"


def write(path: Path, names, low, high, width=SIDE, dtype="float32", nodata=None, **profile):
    values = np.random.default_rng(0).uniform(low, high, (len(names), SIDE, width)).astype(dtype)
    options = {"driver": "GTiff", "height": SIDE, "width": width, "count": len(names), "crs": "EPSG:32631"}
    options |= {"transform": rasterio.Affine(10, 0, WEST, 0, -10, NORTH)} | profile
    with (
        warnings.catch_warnings(action="ignore", category=rasterio.errors.NotGeoreferencedWarning),
        rasterio.open(path, "w", dtype=dtype, nodata=nodata, **options) as file,
    ):
        file.write(values)
        file.descriptions = names


def write_good(folder: Path, kind, width=SIDE) -> None:
    for month in range(1, 4):
        write(folder / f"2023-0{month}-01.tif", kind[2], *kind[3], width)


def built(folder: Path, kind, more=""):
    """Build the only site; return its frames, what was dropped, and all rejects."""
    source, unit, *_ = kind
    (folder / "build.toml").write_text(CONFIG.format(source=source, unit=unit, validation=0, more=more))
    builder = SiteBuilder(read_build_config(folder / "build.toml"), folder)
    site, report = builder.build(builder.plan()[0][0])
    frames = len(site.series[source].time_ms) if site else 0
    return frames, report.dropped, [*builder.unreadable, *report.rejects]


BAD = "2023-08-01.tif"


@pytest.mark.parametrize(
    ("kind", "values", "message"),
    [
        (SENTINEL2, (0.01, 0.9), "which looks like reflectance from 0 to 1"),
        (LANDSAT, (200, 3000), "which looks like reflectance * 10000 or unscaled digital numbers"),
        (THERMAL, (2700, 3100), "which looks like kelvin * 10"),
        (THERMAL, (-5, 30), "which looks like degrees Celsius"),
        (RADAR, (0.01, 0.3), "which looks like linear power or amplitude"),
        (RADAR, (1000, 9000), "which looks like digital numbers"),
        (POWER, (-20, -5), "most values are no decibel; they go up to -5"),
    ],
)
def test_values_of_another_unit_are_rejected(tmp_path, kind, values, message):
    write_good(tmp_path, kind)
    write(tmp_path / BAD, kind[2], *values)
    frames, _, ((where, reason),) = built(tmp_path, kind)
    assert frames == 3
    assert where == f"{tmp_path / BAD}, band {kind[2][0]}"
    assert message in reason
    assert reason.startswith(f"as {kind[1]}, ")


@pytest.mark.parametrize(
    ("baseline", "unit", "more", "message"),
    [
        (
            "0510",
            "reflectance * 10000",
            "",
            "1000 is reflectance 0.1, but it is 0 in digital numbers of baseline 05.10",
        ),
        ("0400", "reflectance", "scale = [1e-4, 0]", "say 'sentinel2 dn', or 'sentinel2 dn, no offset'"),
        ("0214", "sentinel2 dn, baseline 04.00", "", "1000 is reflectance 0, but it is 0.1 in digital numbers of"),
        ("0214", "reflectance * 10000", "scale = [1, -1000]", "say 'sentinel2 dn'"),
        ("0214", "reflectance * 10000", "", ""),
        ("0400", "sentinel2 dn", "", ""),
        ("0400", "sentinel2 dn, no offset", "", ""),
        ("0400", "reflectance", "scale = [1e-4, -0.1]", ""),
    ],
)
def test_an_offset_that_the_baseline_contradicts_is_refused(tmp_path, baseline, unit, more, message):
    path = tmp_path / SAFE.format(baseline)
    write(path, ("",), 1500, 4000, dtype="uint16")
    frames, _, rejects = built(tmp_path, ("sentinel2", unit), more)
    assert frames == (not message)
    assert [message in reject.reason and str(path) in reject.where for reject in rejects[:1]] == [True] * bool(message)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"dtype": "complex64"}, "holds complex numbers (complex64)"),
        ({"transform": rasterio.Affine(10, 0, WEST, 0, 10, NORTH)}, "not north-up"),
        ({"transform": rasterio.Affine.identity()}, "has no place on the ground"),
        ({"crs": None}, "names no coordinate reference system"),
    ],
)
def test_a_file_without_a_grid_or_real_numbers_is_rejected(tmp_path, options, message):
    write_good(tmp_path, SENTINEL2)
    write(tmp_path / BAD, SENTINEL2[2], 200, 3000, **options)
    frames, _, ((where, reason),) = built(tmp_path, SENTINEL2)
    assert (frames, where) == (3, str(tmp_path / BAD))
    assert message in reason


def test_a_file_that_is_cut_or_gone_is_rejected(tmp_path):
    write_good(tmp_path, SENTINEL2)
    (tmp_path / BAD).write_bytes((tmp_path / "2023-01-01.tif").read_bytes()[:300])
    (tmp_path / "build.toml").write_text(CONFIG.format(source="sentinel2", unit=SENTINEL2[1], validation=0, more=""))
    builder = SiteBuilder(read_build_config(tmp_path / "build.toml"), tmp_path)
    assert [reject.where for reject in builder.unreadable] == [str(tmp_path / BAD)]
    (tmp_path / "2023-02-01.tif").unlink()
    site, report = builder.build(builder.plan()[0][0])
    assert len(site.series["sentinel2"].time_ms) == 2
    ((where, reason),) = report.rejects
    assert where == f"{tmp_path / '2023-02-01.tif'}, band B02"
    assert "it cannot be read" in reason


@pytest.mark.parametrize(
    ("low", "high", "nodata"), [(np.nan, np.nan, None), (0, 0, None), (-9999, -9999, -9999), (np.inf, np.inf, None)]
)
def test_a_file_without_data_at_the_site_is_counted(tmp_path, low, high, nodata):
    write_good(tmp_path, SENTINEL2)
    with warnings.catch_warnings(action="ignore"):
        names, shape = SENTINEL2[2], (5, SIDE, SIDE)
        write(tmp_path / BAD, names, 0, 1, nodata=nodata)
        with rasterio.open(tmp_path / BAD, "r+") as file:
            file.write(np.full(shape, low, np.float32))
    frames, dropped, rejects = built(tmp_path, SENTINEL2)
    assert (frames, rejects) == (3, [])
    assert dropped == {"sentinel2: has no data at the site": 1}


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ('crs = "EPSG:banana"', "its crs EPSG:banana is not known to PROJ"),
        ('files = ["none/*.tif"]', "none/*.tif matches no file"),
        ('time = "(\\\\d)"', "expected ISO 8601"),
        ('mask = "SCL"', "no file holds its mask 'SCL', only ['B02'"),
        ('bands = { B2 = "red" }', "`bands` says that B2 is 'red', which the file does not have"),
    ],
)
def test_a_config_that_no_file_fits_is_refused(tmp_path, more, message):
    write_good(tmp_path, SENTINEL2)
    if more.startswith("files"):
        text = CONFIG.replace('files = ["*.tif"]', more)
        (tmp_path / "build.toml").write_text(text.format(source="sentinel2", unit=SENTINEL2[1], validation=0, more=""))
        refused = error_message(SiteBuilder, read_build_config(tmp_path / "build.toml"), tmp_path)
    else:
        refused = error_message(built, tmp_path, SENTINEL2, more)
    assert message in refused


@pytest.mark.slow
def test_rejects_are_listed_and_the_rest_is_built(tmp_path):
    write_good(tmp_path, SENTINEL2, width=2 * SIDE)
    write(tmp_path / BAD, SENTINEL2[2], 0.01, 0.9, width=2 * SIDE)
    write(tmp_path / "2023-09-01.tif", SENTINEL2[2], 1, 2, dtype="complex64")
    (tmp_path / "2023-10-01.tif").write_bytes(b"II*\0")
    config = tmp_path / "build.toml"
    config.write_text(CONFIG.format(source="sentinel2", unit=SENTINEL2[1], validation=0.5, more=""))
    summary = build_dataset(config, tmp_path / "out", 1)
    assert (summary.sites, summary.frames["sentinel2"]) == (2, 6)
    with (tmp_path / "out" / REJECTS_NAME).open(newline="") as file:
        rows = [(row["where"], row["reason"]) for row in csv.DictReader(file)]
    assert [where.removeprefix(f"{tmp_path}/") for where, _ in rows] == [
        "2023-09-01.tif",
        "2023-10-01.tif",
        *[f"{BAD}, band B02"] * 2,
    ]
