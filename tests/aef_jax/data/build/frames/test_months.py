"""Monthly bands are made of daily or hourly values, of whole months only."""

from pathlib import Path

import numpy as np
import pytest
import xarray

from aef_jax.data.build.catalogs.file_catalog import FileCatalog
from aef_jax.data.build.config import FilesConfig
from aef_jax.data.build.entry import Entry
from aef_jax.data.build.frames.frames import BuildReport, read_series
from aef_jax.data.build.readers.bands import match_daily_bands
from aef_jax.data.build.readers.cube import list_acquisitions
from aef_jax.data.build.readers.grid import Grid
from configs.sources import ERA5_LAND
from tests.support.refusals import error_message

pytestmark = pytest.mark.slow

GRID = Grid("EPSG:32631", (10, 0, 501_360, 0, -10, 5_629_680), 16)
DAYS = np.arange("2018-02-01", "2018-04-01", dtype="datetime64[D]")
DAY_OF_MONTH = (DAYS - DAYS.astype("datetime64[M]")).astype(int) + 1
NAMES = [band.name for band in ERA5_LAND.bands]
UNITS = {f"total_precipitation_{statistic}": "millimetres" for statistic in ("sum", "min", "max")}


def entry(folder: Path, days=DAYS, **variables: np.ndarray) -> Entry:
    """Write a cube of one pixel of 1 km around the site."""
    path = folder / f"{min(variables)}.nc"
    dims, place = ("time", "y", "x"), {"y": [5_629_180.0], "x": [501_860.0]}
    data = {name: (dims, values[:, None, None].astype(np.float32)) for name, values in variables.items()}
    xarray.Dataset(data, {"time": days.astype("datetime64[ns]"), **place}).to_netcdf(path)
    units = {name: unit for name, unit in UNITS.items() if {"tp", "precipitation_flux"} & variables.keys()}
    files = FilesConfig("era5_land", "kelvin", ("*.nc",), monthly=True, crs="EPSG:32631", pixel=1000, units=units)
    return Entry(files, FileCatalog(list_acquisitions(str(path), files)))


def months(*entries: Entry, start="2018-02-01", end="2018-04-01"):
    """Return the months that were made, and the only value of each of their bands."""
    period = tuple(int(np.datetime64(date, "ms").astype(np.int64)) for date in (start, end))
    series = read_series(ERA5_LAND, entries, GRID, period, BuildReport())
    if series is None:
        return [], []
    np.testing.assert_array_equal(series.pixels, np.broadcast_to(series.pixels[:, :1, :1], series.pixels.shape))
    dates = series.time_ms.astype("datetime64[ms]").astype("datetime64[D]").astype(str).tolist()
    return dates, [dict(zip(NAMES, of_month.tolist(), strict=True)) for of_month in series.pixels[:, 0, 0]]


def known(values):
    return {name: value for name, value in values.items() if not np.isnan(value)}


def test_one_variable_gives_all_statistics(tmp_path):
    dates, values = months(entry(tmp_path, tp=1.0 * DAY_OF_MONTH), entry(tmp_path, t2m=250.0 + DAY_OF_MONTH))
    assert dates == ["2018-02-01", "2018-03-01"]
    # of 1 to 31 mm a day: 31 * 32 / 2 = 496 mm; of 251 to 281 K: 266 K; of February with 28 days: 406 mm, 264.5 K
    for month, expected in enumerate(((0.406, 0.001, 0.028, 264.5, 251, 278), (0.496, 0.001, 0.031, 266, 251, 281))):
        assert list(known(values[month])) == NAMES[:6]
        assert list(known(values[month]).values()) == pytest.approx(expected, rel=1e-6)


def test_separate_variables_give_their_statistics(tmp_path):
    """As in AgERA5, whose daily minimum and maximum are variables of their own."""
    day = DAY_OF_MONTH
    daily = {"temperature_mean": 280.0 + day, "temperature_min": 270.0 + day, "temperature_max": 290.0 + day}
    _, (_, march) = months(entry(tmp_path, **daily, precipitation_flux=np.full(59, 2.0)))
    assert list(known(march).values()) == pytest.approx((0.062, 0.002, 0.002, 296, 271, 321), rel=1e-6)


def test_a_month_without_a_day_has_no_value(tmp_path):
    """Of the variable that lacks it; a NaN is a lack of the pixel."""
    rain = entry(tmp_path, tp=1.0 * DAY_OF_MONTH)
    without = np.delete(np.arange(59), [40])
    warmth = entry(tmp_path, DAYS[without], t2m=250.0 + DAY_OF_MONTH[without])
    dates, values = months(rain, warmth)
    assert len(dates) == 2
    assert [len(known(of_month)) for of_month in values] == [6, 3]
    missing = np.where(np.arange(59) == 40, np.nan, 250.0 + DAY_OF_MONTH)
    assert months(entry(tmp_path, d2m=missing))[0] == ["2018-02-01"]


def test_a_month_across_the_edge_of_the_period_is_left_out(tmp_path):
    warmth = entry(tmp_path, t2m=250.0 + DAY_OF_MONTH)
    assert months(warmth, start="2018-01-15", end="2018-03-31")[0] == ["2018-02-01"]
    assert months(warmth, start="2018-02-02", end="2018-03-02")[0] == []


def test_steps_of_a_day_count_if_all_are_there(tmp_path):
    steps = np.arange("2018-02-01", "2018-03-01", np.timedelta64(12, "h"), "datetime64[h]")
    rain = np.full(56, 0.5)
    ((month,), (values,)) = months(entry(tmp_path, steps, tp=rain))
    assert month == "2018-02-01"
    assert values["total_precipitation_sum"] == pytest.approx(0.028, rel=1e-6)  # 56 * 0.5 mm
    assert months(entry(tmp_path, steps[:-1], tp=rain[:-1]))[0] == [], "the last evening is missing"


def test_names_of_daily_variables_match():
    agera5 = ("Temperature_Air_2m_Mean_24h", "Temperature_Air_2m_Min_24h", "Temperature_Air_2m_Max_24h")
    matched = match_daily_bands(ERA5_LAND, (*agera5, "Precipitation_Flux", "Dew_Point_Temperature_2m_Mean"), {}, "file")
    assert [matched[f"temperature_2m_{what}"] for what in ("mean", "min", "max")] == list(agera5)
    assert matched["total_precipitation_sum"] == "Precipitation_Flux"
    assert matched["dewpoint_temperature_2m_min"] == "Dew_Point_Temperature_2m_Mean"
    assert not [band for band in matched if band.startswith("surface_pressure")]
    assert match_daily_bands(ERA5_LAND, ("sp", "x"), {"surface_pressure_min": "x"}, "")["surface_pressure_min"] == "x"
    refused = error_message(match_daily_bands, ERA5_LAND, ("wind_speed",), {}, "a.nc")
    assert refused.startswith("a.nc: none of 'wind_speed' is a daily variable of era5_land")


def test_values_in_another_unit_are_rejected(tmp_path):
    """Celsius claimed as kelvin."""
    message = error_message(months, entry(tmp_path, t2m=10.0 + DAY_OF_MONTH))
    assert "t2m.nc, t2m: as kelvin, " in message
    assert "which looks like degrees Celsius" in message
