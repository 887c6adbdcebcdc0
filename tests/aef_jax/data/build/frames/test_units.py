"""Units convert to numbers worked out by hand, and values in another unit than claimed are told."""

import numpy as np
import pytest

from aef_jax.data.build.frames.units import (
    accepted_units,
    contradiction,
    convert,
    keeps_offset,
    zero_is_no_data,
)
from aef_jax.data.build.readers.baseline import BASELINE_UNIT, unit_of_baseline
from aef_jax.data.build.readers.mtl import MTL_UNIT
from configs.source import Band
from configs.sources import CDL, ERA5_LAND, GEDI, GLO30, GRACE, LANDSAT, PALSAR2, SENTINEL1, SENTINEL2, SOURCES
from tests.support.refusals import error_message

OPTICAL, LANDSAT_B2, THERMAL = SENTINEL2.bands[0], LANDSAT.bands[0], LANDSAT.bands[-1]
VV, VH, ANGLE = SENTINEL1.bands[0], SENTINEL1.bands[1], SENTINEL1.bands[-1]
HH, LIN = PALSAR2.bands[0], PALSAR2.bands[-1]
ELEVATION, SLOPE = GLO30.bands[:2]
RAIN, PRESSURE = ERA5_LAND.bands[0], ERA5_LAND.bands[-1]
RANDOM = np.random.default_rng(0)


def clause(values, band: Band) -> str:
    return contradiction(np.asarray(values, np.float32), band)


@pytest.mark.parametrize(
    ("band", "unit", "stored", "expected"),
    [
        (OPTICAL, "reflectance", [0, 0.1234, 1.5], [0, 1234, 15_000]),
        (OPTICAL, "sentinel2 dn, baseline 04.00", [1000, 1001, 980, 11_000], [0, 1, -20, 10_000]),
        (LANDSAT_B2, "reflectance * 10000", [0, 662, 10_000], [0, 0.0662, 1]),
        (LANDSAT_B2, "landsat c2 sr", [7273, 10_000, 43_636], [0.0000075, 0.075, 0.99999]),
        (THERMAL, "landsat c2 st", [10_000, 44_000], [183.1802, 299.39288]),
        (THERMAL, "kelvin * 10", [2877, 3057], [287.7, 305.7]),
        (THERMAL, "celsius", [-20, 0, 26.85], [253.15, 273.15, 300]),
        (VV, "power", [1, 0.1, 0.001, 0, -1], [0, -10, -30, np.nan, np.nan]),
        (VV, "amplitude", [1, 0.1, 0], [0, -20, np.nan]),
        (VV, "openeo dn", [10_000, 1000, 0], [-3, -23, np.nan]),
        (HH, "decibel", [-23, -3], [1000, 10_000]),  # 20 log10(number) - 83
        (HH, "power", [10**-2.3, 0], [1000, np.nan]),
        (LIN, "radians", [np.pi / 6], [30]),
        (GEDI.bands[98], "centimetres", [2550, -30], [25.5, -0.3]),
        (ANGLE, "radians", [np.pi / 6, np.pi / 4], [30, 45]),
        (SLOPE, "degrees", [0, 45, 90], [0, np.pi / 4, np.pi / 2]),
        (RAIN, "millimetres", [50], [0.05]),
        (RAIN, "Millimeters", [50], [0.05]),
        (ELEVATION, "centimetres", [155], [1.55]),
        (ELEVATION, "meters", [155], [155]),
        (GRACE.bands[0], "metres", [-0.1], [-10]),
        (PRESSURE, "hectopascal", [1013.25], [101_325]),
    ],
)
def test_units_convert(band, unit, stored, expected):
    converted = convert(np.array([*stored, np.nan], np.float32), unit, band, "file")
    assert converted.dtype == np.float32
    np.testing.assert_allclose(converted, [*expected, np.nan], rtol=2e-6, atol=2e-8)


@pytest.mark.parametrize("source", [source for source in SOURCES if source.bands], ids=lambda source: source.name)
def test_the_unit_of_a_band_is_accepted_as_it_is(source):
    values = np.array([[1, 2], [np.nan, -1]], np.float32)
    for band in source.bands:
        assert accepted_units(band)[0] == band.unit
        np.testing.assert_array_equal(convert(values, band.unit, band, "file"), values)


def test_accepted_units_are_those_that_convert():
    assert accepted_units(VV) == ("decibel", "power", "amplitude", "openeo dn")
    assert accepted_units(HH) == ("digital number", "decibel", "power")
    assert accepted_units(CDL.bands[0]) == ("class",)
    for source in SOURCES:
        for band in source.bands[:8]:
            for unit in set(accepted_units(band)) - {BASELINE_UNIT, MTL_UNIT}:
                assert convert(np.ones((2, 3), np.float32), unit.upper(), band, "file").shape == (2, 3)


def test_a_baseline_tells_the_offset():
    stored = np.array([0, 500, 1500], np.float32)
    for baseline, expected in ((2.14, [np.nan, 500, 1500]), (3.01, [np.nan, 500, 1500]), (4.0, [np.nan, -500, 500])):
        unit = unit_of_baseline(baseline, "file")
        np.testing.assert_array_equal(convert(stored, unit, OPTICAL, "file"), expected)
    assert "tells the baseline, which 'sentinel2 dn' needs" in error_message(unit_of_baseline, None, "s2/B02.tif")


@pytest.mark.parametrize(
    ("band", "unit"),
    [(OPTICAL, "sentinel2 dn, baseline 04.00"), (LANDSAT_B2, "landsat c2 sr"), (THERMAL, "landsat c2 st")],
)
def test_a_digital_number_of_0_is_no_data(band, unit):
    assert np.isnan(convert(np.zeros(3, np.float32), unit, band, "file")).all()
    assert zero_is_no_data(unit, band)


def test_0_is_no_data_where_it_can_be_no_value():
    pairs = ((OPTICAL, OPTICAL.unit), (OPTICAL, BASELINE_UNIT), (LANDSAT_B2, MTL_UNIT), (VV, "power"), (VV, "decibel"))
    assert [zero_is_no_data(unit, band) for band, unit in pairs] == [True, True, True, True, False]
    others = ((LANDSAT_B2, "reflectance"), (ELEVATION, "metres"), (RAIN, "millimetres"), (CDL.bands[0], "class"))
    assert not any(zero_is_no_data(unit, band) for band, unit in others)


def test_integers_of_float32_stay_exact():
    counts = np.arange(0, 20_001, dtype=np.float32)
    reflectance = convert(counts, "reflectance * 10000", LANDSAT_B2, "file")
    np.testing.assert_array_equal(np.rint(convert(reflectance, "reflectance", OPTICAL, "file")), counts)


def test_unknown_units_are_refused_with_the_accepted():
    values = np.ones(3, np.float32)
    assert error_message(convert, values, "powr", VV, "a.tif, band VV") == (
        "a.tif, band VV: the unit 'powr' does not convert to the 'decibel' of band VV, expected one of 'decibel',"
        " 'power', 'amplitude', 'openeo dn': did you mean power?"
    )
    assert error_message(convert, values, "kelvin\x1b", OPTICAL, "a.tif").endswith(
        "expected one of 'reflectance * 10000', 'sentinel2 dn', 'reflectance', 'sentinel2 dn, baseline 04.00',"
        " 'sentinel2 dn, no offset'"
    )
    error_message(convert, values, "landsat c2 st", LANDSAT_B2, "a.tif")


@pytest.mark.parametrize(
    ("band", "values", "unit"),
    [
        (OPTICAL, RANDOM.uniform(0.01, 1.2, 100), "reflectance from 0 to 1"),
        (OPTICAL, [*RANDOM.uniform(0.01, 0.3, 999), 6.5535], "reflectance from 0 to 1"),  # a fill value
        (
            OPTICAL,
            [*RANDOM.uniform(200, 900, 90), *np.full(10, 65_535)],
            "fill: 10% of them are 65535, which `no_data` does not name",
        ),
        (
            ELEVATION,
            [*RANDOM.uniform(0, 90, 80), *np.full(20, -9999)],
            "fill: 20% of them are -9999, which `no_data` does not name",
        ),
        (OPTICAL, RANDOM.uniform(1e6, 1e7, 100), "numbers scaled by 10000 twice"),
        (OPTICAL, RANDOM.uniform(-900, -500, 100), "fill, or numbers that an offset was taken off twice"),
        (LANDSAT_B2, RANDOM.uniform(200, 5000, 100), "reflectance * 10000 or unscaled digital numbers"),
        (LANDSAT_B2, RANDOM.uniform(1e-6, 5e-5, 100), "reflectance divided by 10000 twice"),
        (LANDSAT_B2, np.full(16, -0.2), "fill, or numbers that an offset was taken off twice"),
        (THERMAL, RANDOM.uniform(2600, 3100, 100), "kelvin * 10"),
        (THERMAL, RANDOM.uniform(-20, 40, 100), "degrees Celsius, or kelvin divided by 10"),
        (THERMAL, RANDOM.uniform(149.9, 150.1, 100), "kelvin converted as 'landsat c2 st'"),
        (THERMAL, RANDOM.uniform(40_000, 46_000, 100), "digital numbers"),
        (VV, 10 ** RANDOM.normal(-1, 0.4, 1000), "linear power or amplitude"),
        (VV, RANDOM.uniform(1500, 9000, 100), "digital numbers"),
        (ANGLE, RANDOM.uniform(0.5, 0.8, 100), "radians"),
        (LIN, RANDOM.uniform(0.5, 0.8, 100), "radians"),
        (SLOPE, RANDOM.uniform(0, 9, 100), "degrees or percent"),
        (HH, RANDOM.normal(-8, 3, 100), "decibel"),
        (HH, RANDOM.uniform(0.01, 0.9, 100), "linear power or amplitude"),
        (PRESSURE, RANDOM.uniform(950, 1030, 100), "hectopascal"),
        (RAIN, RANDOM.uniform(20, 90, 100), "centimetres or millimetres"),
    ],
)
def test_another_unit_than_claimed_is_told(band, values, unit):
    seen = clause(values, band)
    assert seen.endswith(f", which looks like {unit}")
    assert f"{len(values)} values go from " in seen


def test_a_clause_has_what_was_seen():
    values = np.linspace(0.1, 0.5, 101)
    assert clause(values, OPTICAL) == (
        "101 values go from 0.1 to 0.5 with a median of 0.3, which looks like reflectance from 0 to 1"
    )
    elevation = [20_000.0, 30_000, 30_000]
    assert clause([*elevation, 155, 155], Band("dem", "feet", valid_range=(-500, 9000))) == (
        "5 values go from 155 to 30000 with a median of 20000, and 60% of them are out of -500 to 9000, the range of"
        " band dem"
    )


@pytest.mark.parametrize(
    ("band", "values"),
    [
        (OPTICAL, RANDOM.normal(20, 30, 1000)),  # deep water in the short-wave infrared, after the offset
        (OPTICAL, RANDOM.normal(-30, 30, 1000)),  # and overcorrected
        (OPTICAL, RANDOM.integers(0, 2, 1000)),  # the lowest numbers of a product
        (OPTICAL, np.ones(1000)),
        (OPTICAL, RANDOM.uniform(9000, 18_000, 1000)),  # snow, bright clouds
        (OPTICAL, RANDOM.uniform(3000, 6000, 1000)),  # desert
        (OPTICAL, [*RANDOM.uniform(200, 3000, 950), *np.full(50, 65_535)]),  # saturated
        (LANDSAT_B2, RANDOM.normal(0, 0.003, 1000)),  # water
        (LANDSAT_B2, RANDOM.uniform(0.8, 1.6, 1000)),  # snow
        (LANDSAT_B2, [*RANDOM.uniform(0.02, 0.3, 990), *np.full(10, 6.4537)]),  # saturated
        (THERMAL, RANDOM.uniform(205, 230, 1000)),  # the coldest ice
        (THERMAL, RANDOM.uniform(310, 345, 1000)),  # desert at noon
        (VV, RANDOM.normal(-8.6, 3, 1000)),
        (VV, RANDOM.normal(2, 4, 1000)),  # the core of a city
        (VH, RANDOM.normal(-33, 3, 1000)),  # calm water, below the noise
        (ANGLE, RANDOM.uniform(29, 46, 1000)),
        (SLOPE, np.zeros(1000)),
        (SLOPE, RANDOM.uniform(0.5, 1.5, 1000)),  # cliffs
        (HH, RANDOM.uniform(500, 9000, 1000)),
        (RAIN, np.zeros(1000)),
        (ELEVATION, RANDOM.uniform(-420, -380, 1000)),  # the shore of the Dead Sea
        (GEDI.bands[98], RANDOM.uniform(0, 40, 1000)),
        (CDL.bands[0], RANDOM.integers(0, 256, 1000)),
    ],
)
def test_real_extremes_are_plausible(band, values):
    assert clause(values, band) == ""


def test_few_values_tell_only_of_their_range():
    assert clause([], OPTICAL) == ""
    for band, value in ((OPTICAL, 0.1), (VV, 3), (SLOPE, 1.7)):
        few = np.linspace(value, value * 1.01, 15)
        assert (clause(few, band) != "") == (band is SLOPE)  # 1.7 is out of range
        assert clause([*few, value], band)
    assert clause([2877], THERMAL).endswith("looks like kelvin * 10")


def test_an_unknown_band_has_its_own_unit():
    band = Band("chlorophyll", "milligrams", valid_range=(0, 100))
    assert accepted_units(band) == ("milligrams",)
    assert clause(RANDOM.uniform(0, 1, 100), band) == ""
    assert "80% of them are out of 0 to 100" in clause([1, 1, *np.full(8, 200)], band)


def test_a_left_offset_is_suspected_if_no_band_is_dark():
    assert keeps_offset({"B2": 1120.0, "B8": 1000.0})
    assert not keeps_offset({"B2": 1120.0, "B8": 999.0})
    assert not keeps_offset({})
