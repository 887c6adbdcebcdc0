"""Sites and series are cut in time and space, and dates are read as UTC."""

import numpy as np
import pytest
from refusals import told
from small_site import SIDE, START_MS, small_site

from aef_jax.data.site import to_ms
from configs.timecode import DAY_MS

SITE = small_site()


def test_a_window_moves_the_corner_with_the_pixels():
    window = SITE.window(slice(4, 20), slice(7, 23))
    assert window.shape == (16, 16)
    assert window.transform == (10, 0, 500_070, 0, -10, 5_599_960)
    np.testing.assert_array_equal(window.series["sentinel2"].pixels, SITE.series["sentinel2"].pixels[:, 4:20, 7:23])
    assert SITE.shape == (SIDE, SIDE)


def test_a_span_of_time_has_its_start_and_not_its_end():
    times = SITE.series["landsat"].time_ms
    cut = SITE.between(int(times[3]), int(times[6])).series["landsat"]
    np.testing.assert_array_equal(cut.time_ms, times[3:6])
    np.testing.assert_array_equal(cut.pixels, SITE.series["landsat"].pixels[3:6])
    assert len(SITE.between(0, 1).series["landsat"].time_ms) == 0


def test_frames_that_are_taken_out_are_out_of_every_array():
    times = SITE.series["sentinel1"].time_ms
    rest = SITE.without(times[::2]).series["sentinel1"]
    np.testing.assert_array_equal(rest.time_ms, times[1::2])
    np.testing.assert_array_equal(rest.metadata, SITE.series["sentinel1"].metadata[1::2])
    np.testing.assert_array_equal(rest.valid, SITE.series["sentinel1"].valid[1::2])


def test_a_delay_moves_all_sources_alike_and_nothing_else():
    later = SITE.delayed(-3 * DAY_MS)
    for name, series in SITE.series.items():
        np.testing.assert_array_equal(later.series[name].time_ms, series.time_ms - 3 * DAY_MS)
        assert later.series[name].pixels is series.pixels
    assert later.transform == SITE.transform


@pytest.mark.parametrize(
    ("date", "ms"),
    [
        ("2016-01-01", START_MS),
        ("2016-01-02T12:00", START_MS + DAY_MS * 3 // 2),
        ("2016-01-01T00:00:00.250Z", START_MS + 250),
        ("2016-01-01T02:00:00+02:00", START_MS),
        ("1969-12-31T23:59:59.999", -1),
    ],
)
def test_dates_are_utc_unless_they_name_their_offset(date, ms):
    assert to_ms(date) == ms


@pytest.mark.parametrize("date", ["", "now", "today", "NaT", "2018-13-01", "2018-02-30", "01.02.2018", "12345"])
def test_what_is_no_date_is_told(date):
    assert f"date {date!r} is not a date in ISO 8601" in told(to_ms, date)
