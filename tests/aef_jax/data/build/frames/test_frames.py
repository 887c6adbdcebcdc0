"""Frames have the units, times, metadata and labels that the config says."""

import numpy as np
import pytest
import xarray

from aef_jax.data.build.config import BY_NAME, read_build_config
from aef_jax.data.build.frames.frames import _integers
from aef_jax.data.build.site_builder import SiteBuilder
from tests.support.data.scenes import SIDE, cube

CONFIG = """
support = ["2023-04-01", "2024-01-01"]
[sites]
side = 64
extent_of = "sentinel1"
validation = 0
[[source]]
name = "sentinel1"
files = ["radar.nc"]
unit = "{unit}"
no_data = [0.5, 0.125]
metadata = {{ platform_heading = -12.5 }}
[[source]]
name = "glo30"
files = ["elevation.nc"]
unit = "meters"
[[labels]]
files = ["labels.nc"]
ignore = [0, 9]
[[labels]]
name = "codes"
files = ["codes.nc"]
ignore = [65535]
"""
ELEVATION = 10.0 * np.mgrid[:SIDE, :SIDE][0]
"""It rises to the south by 45 degrees."""
POWER = np.random.default_rng(0).uniform(0.01, 0.2, (4, SIDE, SIDE))
POWER[:, 5, 7] = 0.5
LABELS = np.random.default_rng(1).integers(0, 12, (SIDE, SIDE))


def built(folder, values=POWER, unit="power"):
    grid = cube()
    layers = xarray.DataArray(values[:, ::-1], dims=("time", "y", "x"))
    radar = grid.drop_vars([name for name in grid.data_vars if name != "spatial_ref"])
    radar.assign(vv=layers, vh=layers / 4).to_netcdf(folder / "radar.nc")
    labels = xarray.DataArray(LABELS[::-1], dims=("y", "x"))
    radar.drop_vars("time").assign(landcover=labels).to_netcdf(folder / "labels.nc")
    codes = labels.where(labels > 3, 5).astype(np.uint16) + 65_524  # of 16 bits: 65528 to 65535
    radar.drop_vars("time").assign(code=codes).to_netcdf(folder / "codes.nc")
    dem = xarray.DataArray(ELEVATION[::-1], dims=("y", "x"))
    radar.drop_vars("time").assign(elevation=dem).to_netcdf(folder / "elevation.nc")
    (folder / "build.toml").write_text(CONFIG.format(unit=unit))
    builder = SiteBuilder(read_build_config(folder / "build.toml"), folder)
    ((plan,), too_near) = builder.plan()
    assert too_near == 0
    return builder.build(plan)


def test_a_frame_has_the_units_and_facts_of_the_config(tmp_path):
    site, report = built(tmp_path)
    series = site.series["sentinel1"]
    assert series.pixels.shape == (3, SIDE, SIDE, 5)
    assert report.dropped == {"sentinel1: outside of the support period": 1}
    expected = 10 * np.log10(np.where(POWER == 0.5, np.nan, POWER)[1:])
    np.testing.assert_allclose(series.pixels[..., 0], expected, rtol=1e-6)
    np.testing.assert_allclose(series.pixels[..., 1], expected - 10 * np.log10(4), rtol=1e-5)
    assert np.isnan(series.pixels[:, 5, 7]).all()
    assert not series.valid[:, 5, 7].any()
    assert np.isnan(series.pixels[..., 2:]).all(), "HH, HV and angle are in no file"
    assert (series.metadata[:, 0] == -12.5).all()
    assert np.isnan(series.metadata[:, 1]).all(), "the config does not say the orbit's inclination"
    assert site.support == tuple(np.array(["2023-04-01", "2024-01-01"], "datetime64[ms]").astype(int))


def test_each_entry_has_its_own_metadata(tmp_path):
    built(tmp_path)
    radar = xarray.open_dataset(tmp_path / "radar.nc").load()
    radar.isel(time=slice(0, 2)).to_netcdf(tmp_path / "ascending.nc")
    radar.isel(time=slice(2, 4)).to_netcdf(tmp_path / "descending.nc")
    text = (tmp_path / "build.toml").read_text().replace("radar.nc", "ascending.nc")
    i, j = text.index("[[source]]"), text.index('[[source]]\nname = "glo30"')
    (tmp_path / "build.toml").write_text(
        text[:j] + text[i:j].replace("ascending", "descending").replace("-12.5", "192.5") + text[j:]
    )
    builder = SiteBuilder(read_build_config(tmp_path / "build.toml"), tmp_path)
    site, _ = builder.build(builder.plan()[0][0])
    assert site.series["sentinel1"].metadata[:, 0].tolist() == [-12.5, 192.5, 192.5]


def test_only_sources_of_one_integer_unit_are_integers():
    numbers = {source.name: _integers(source) for source in BY_NAME.values()}
    assert numbers["sentinel2"] == (np.uint16, 0)
    assert numbers["nlcd"] == (np.int16, -1)
    assert numbers["palsar2"] is None, "its angle is in degrees"


def test_a_map_has_the_slope_and_the_time_of_the_period(tmp_path):
    site, _ = built(tmp_path)
    series = site.series["glo30"]
    assert series.time_ms.tolist() == [site.support[0]]
    np.testing.assert_array_equal(series.pixels[0, ..., 0], ELEVATION)
    np.testing.assert_allclose(series.pixels[0, ..., 1:], np.tile([np.pi / 4, 0, 1], (SIDE, SIDE, 1)), atol=1e-6)


def test_ignored_classes_are_no_labels(tmp_path):
    site, _ = built(tmp_path)
    np.testing.assert_array_equal(site.labels["labels"], np.where(np.isin(LABELS, (0, 9)), -1, LABELS))
    codes = np.where(LABELS > 3, LABELS, 5) + 65_524
    np.testing.assert_array_equal(site.labels["codes"], np.where(codes == 65_535, -1, codes))


@pytest.mark.parametrize(
    ("values", "unit", "message"),
    [
        (POWER, "decibel", "looks like linear power"),
        (10 * np.log10(np.abs(POWER)), "power", "most values are no decibel"),
    ],
)
def test_a_site_with_another_unit_is_rejected(tmp_path, values, unit, message):
    site, report = built(tmp_path, values, unit)
    assert site is None
    assert message in report.rejects[-1].reason
    assert "radar.nc, vv" in report.rejects[-1].reason
