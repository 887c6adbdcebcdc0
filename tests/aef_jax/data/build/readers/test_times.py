"""Times of arrays and of file names, checked by dates; what is no plausible date is refused."""

from datetime import UTC, date, datetime

import numpy as np
import pytest

from aef_jax.data.build.readers.times import epoch_ms, sentinel2_baseline, time_of_name
from aef_jax.data.store.site import to_ms
from tests.support.refusals import error_message

DAY = 1_646_438_400_000
"""2022-03-05."""
INSTANT = DAY + ((10 * 60 + 29) * 60 + 21) * 1000
"""2022-03-05T10:29:21."""
SAFE = "S2A_MSIL2A_20220305T102921_N0400_R108_T32TMT_20220305T135811.SAFE"


def times(values, unit: str = "") -> list[int]:
    converted = epoch_ms(np.asarray(values), "cube.nc", unit)
    assert converted.dtype == np.int64
    return converted.tolist()


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
def test_datetimes_of_any_unit(unit):
    assert times(np.array(["2022-03-05T10:29:21"], f"datetime64[{unit}]")) == [INSTANT]
    assert times(np.array(["2022-03-05"], "datetime64[D]")) == [DAY]
    assert times(np.array([], "datetime64[ns]")) == []


def test_dates_as_text_and_objects():
    text = ["2022-03-05", "20220305", "2022-03-05T10:29:21", "20220305T102921", "2022-03-05T11:29:21+01:00"]
    expected = [DAY, DAY, INSTANT, INSTANT, INSTANT]
    assert times(text) == times(np.array(text, object)) == times(np.array(text, "S")) == expected
    instants = [datetime(2022, 3, 5, 10, 29, 21), datetime(2022, 3, 5, 10, 29, 21, tzinfo=UTC)]
    assert times(np.array(instants, object)) == [INSTANT, INSTANT]
    assert times(np.array([date(2022, 3, 5)], object)) == [DAY]


def test_numbers_need_a_unit():
    assert times([INSTANT], "ms") == times([INSTANT // 1000], "s") == [INSTANT]
    assert times(np.array([INSTANT / 1000]), "s") == [INSTANT]
    assert times([19_056], "days") == [DAY]
    assert times(np.array([19_056.5], np.float32), "days") == [DAY + 43_200_000]
    assert error_message(epoch_ms, np.array([19_056]), "cube.nc") == (
        "cube.nc: its times are numbers of unit '', state their unit: s, ms or days since 1970"
    )
    assert error_message(epoch_ms, np.array([20220305], object), "cube.nc").endswith("days since 1970")
    assert error_message(epoch_ms, np.array([19_056]), "cube.nc", "day").endswith("did you mean days?")


def test_dates_out_of_range_are_refused():
    expected = "expected a date from 1900 to 9999 that is not within a year of 1970"
    for value in ("1970-01-01", "1969-06-01", "1899-12-31", "10000-01-01", "NaT"):
        array = np.array(["2022-03-05", value], "datetime64[s]")
        assert error_message(epoch_ms, array, "cube.nc") == f"cube.nc: time 1 of 2 is {array[1]}, {expected}"
    for numbers, unit in (([INSTANT / 1e6], "s"), ([INSTANT], "s"), ([np.nan], "ms"), ([1e308], "days"), ([0], "days")):
        assert error_message(epoch_ms, np.array(numbers), "cube.nc", unit) == (
            f"cube.nc: time 0 of 1 is {numbers[0]}, {expected}"
        )
    for days in (19_056 + 2**54, 19_056 - 2**54):  # both overflow in milliseconds, to 2022-03-05
        assert error_message(epoch_ms, np.array([days], "datetime64[D]"), "cube.nc").endswith(expected)
    assert times(["1900-01-01", "9999-12-31"]) == [to_ms("1900-01-01"), to_ms("9999-12-31")]


def test_what_is_no_date_is_refused():
    for value in ("2022", "March", "2022-13-01", "", "NaT", "20220305T102921_N0400"):
        assert error_message(epoch_ms, np.array(["2022-03-05", value]), "cube.nc") == (
            f"cube.nc: time is {value!r}, expected ISO 8601 as in 2018-01-31 or 20180131T102921"
        )
    error_message(epoch_ms, np.array([None, "2022-03-05"], object), "cube.nc")
    assert error_message(epoch_ms, np.array([True]), "cube.nc") == (
        "cube.nc: its times are of type bool, expected dates or numbers"
    )


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        (f"swiss/{SAFE}/SRF_S2.tiff", "2022-03-05T10:29:21"),
        (f"{SAFE}/GRANULE/L2A_T32TMT_A034991_20220305T103344/R10m/T32TMT_20220305T102921_B02_10m.jp2", INSTANT),
        ("S2A_MSIL2A_20220620T102041_N9999_R065_T32TMT_20221231T122258.SAFE/SRF_S2.tiff", "2022-06-20T10:20:41"),
        ("S1A_IW_GRDH_1SDV_20230401T055000_20230401T055025_047908_05C1A6_6D4F.SAFE/vv.tif", "2023-04-01T05:50:00"),
        ("S1B_IW_SLC__1SDV_20210401T055000_20210401T055027_026274_0322C7_1234.tif", "2021-04-01T05:50:00"),
        ("LC08_L1TP_013032_20180131_20180207_01_T1/LC08_L1TP_013032_20180131_B2.TIF", "2018-01-31"),
        ("LC08_L1TP_013032_20180131_20180207_01_T1/B2.TIF", "2018-01-31"),
        ("LC09_L2SP_013032_20230131_20230202_02_T1_SR_B2.TIF", "2023-01-31"),
    ],
)
def test_times_of_products(path, expected):
    assert time_of_name(path, "", path) == (expected if isinstance(expected, int) else to_ms(expected))


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("s2/2018-01-31.tif", "2018-01-31"),
        ("s2/B02_20180131.tif", "2018-01-31"),
        ("s2/20180131T102921_20180131T102921.tif", "2018-01-31T10:29:21"),
        ("s2/2018-01-31T102921Z_B2.tif", "2018-01-31T10:29:21"),
        ("20170101_20171231/x20180131/B02.tif", "2018-01-31"),  # the innermost
        ("20170101/20180131/32TMT_123456789_20181331.tif", "2018-01-31"),  # neither of the others is a date
        ("20180230/20180131/20180230.tif", "2018-01-31"),
    ],
)
def test_the_only_date_in_a_name(path, expected):
    assert time_of_name(path, "", path) == to_ms(expected)


def test_names_without_one_date_are_refused():
    path = "data/S2_L2A_10m_00002806639B424A_32631_2017-08-01_2018-11-30.nc"
    assert error_message(time_of_name, path, "", "cube") == (
        "cube: 'S2_L2A_10m_00002806639B424A_32631_2017-08-01_2018-11-30.nc' has 2 dates, 2017-08-01 and 2018-11-30,"
        " expected one: give `time`, a pattern of file names"
    )
    assert error_message(time_of_name, "a/\x1bB02.tif", "", "cube") == (
        r"cube: no date in 'a/\x1bB02.tif', expected one: give `time`, a pattern of file names"
    )
    assert "1970" in error_message(time_of_name, "19700101.tif", "", "cube")


@pytest.mark.parametrize(
    ("path", "pattern", "expected"),
    [
        ("a/2017-08-01_2018-11-30.nc", r"_(\d{4}-\d{2}-\d{2})", "2018-11-30"),
        ("20180131/B2_20200101.tif", r"^(\d{8})/", "2018-01-31"),
        ("x_31.01.2018.tif", r"(?P<day>\d\d)\.(?P<month>\d\d)\.(?P<year>\d{4})", "2018-01-31"),
        ("2018/060/x.tif", r"(?P<year>\d{4})/(?P<doy>\d{3})/", "2018-03-01"),
        ("2020/366.tif", r"(?P<year>\d{4})/(?P<doy>\d{3})", "2020-12-31"),
        (
            "s2_20180131_1029.tif",
            r"(?P<tile>\w+)_(?P<year>\d{4})(?P<month>\d\d)(?P<day>\d\d)_(?P<hour>\d\d)(?P<minute>\d\d)(?P<second>\d\d)?",
            "2018-01-31T10:29",
        ),
    ],
)
def test_times_by_a_pattern(path, pattern, expected):
    assert time_of_name(path, pattern, path) == to_ms(expected)


@pytest.mark.parametrize(
    ("pattern", "said"),
    [
        (r"(\d{8}", "which is no regular expression: missing ), unterminated subpattern at position 0"),
        (r"a{99999999999}", "which is no regular expression: the repetition number is too large"),
        (r"\d{8}", "expected a group around the date, or groups called year, month and day or year and doy"),
        (r"(?P<year>\d{4})(?P<month>\d\d)", "expected a group around the date"),
        (r"(\d{9})", "which 'a/20180131_366_2018.tif' does not match"),
        (r"(\d{7})", "group 1 of `time` is '2018013', expected ISO 8601"),
        (r"(x)?2018", "group 1 of `time` is '', expected ISO 8601"),
        (r"_(?P<doy>\d{3})_(?P<year>\d{4})", "'year': '2018'}, expected a date that exists"),
        (r"(?P<year>\w{4})(?P<month>\d\d)(?P<day>/?)", "expected a date that exists"),
        (r"(?P<day>20)(?P<year>18)(?P<month>01)", "time 0 of 1 is 0018-01-20T00:00:00.000, expected a date from 1900"),
        ("(" + "x" * 200, "of 201 characters, expected at most 200"),
    ],
)
def test_wrong_patterns_are_refused(pattern, said):
    assert said in error_message(time_of_name, "a/20180131_366_2018.tif", pattern, "a.tif")


def test_baselines_of_sentinel2():
    assert sentinel2_baseline(f"a/{SAFE}/SRF_S2.tiff") == 4.0
    assert sentinel2_baseline("S2A_MSIL2A_20220620T102041_N9999_R065_T32TMT_20221231T122258.SAFE/x.tiff") == 99.99
    assert sentinel2_baseline("S2B_MSIL1C_20170620T102041_N0214_R065_T32TMT_20170620T122258.SAFE") == 2.14
    assert sentinel2_baseline("S2_N0400_20220305.tif") is None
