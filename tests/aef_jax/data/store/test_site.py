"""Sites and series are selected in time and space, and dates are read as UTC."""

from dataclasses import replace

import numpy as np
import pytest

from aef_jax.data.store.site import TextPoints, to_ms
from configs.encodings.timecode import DAY_MS
from tests.support.data.small_site import SIDE, START_MS, TEXT_POINTS, small_site
from tests.support.refusals import error_message

SITE = small_site()


def test_window_moves_the_corner_with_the_pixels():
    window = SITE.window(slice(4, 20), slice(7, 23))
    assert window.shape == (16, 16)
    assert window.transform == (10, 0, 500_070, 0, -10, 5_599_960)
    np.testing.assert_array_equal(window.series["sentinel2"].pixels, SITE.series["sentinel2"].pixels[:, 4:20, 7:23])
    assert SITE.shape == (SIDE, SIDE)


def test_between_includes_the_start_but_not_the_end():
    times = SITE.series["landsat"].time_ms
    cut = SITE.between(int(times[3]), int(times[6])).series["landsat"]
    np.testing.assert_array_equal(cut.time_ms, times[3:6])
    np.testing.assert_array_equal(cut.pixels, SITE.series["landsat"].pixels[3:6])
    assert len(SITE.between(0, 1).series["landsat"].time_ms) == 0


def test_removed_frames_are_removed_from_every_array():
    times = SITE.series["sentinel1"].time_ms
    rest = SITE.without(times[::2]).series["sentinel1"]
    np.testing.assert_array_equal(rest.time_ms, times[1::2])
    np.testing.assert_array_equal(rest.metadata, SITE.series["sentinel1"].metadata[1::2])
    np.testing.assert_array_equal(rest.valid, SITE.series["sentinel1"].valid[1::2])


def test_time_shift_moves_all_sources_alike_and_nothing_else():
    later = SITE.shift_time(-3 * DAY_MS)
    for name, series in SITE.series.items():
        np.testing.assert_array_equal(later.series[name].time_ms, series.time_ms - 3 * DAY_MS)
        assert later.series[name].pixels is series.pixels
    assert later.transform == SITE.transform
    assert later.support is None
    np.testing.assert_array_equal(later.text.period_ms, SITE.text.period_ms - 3 * DAY_MS)
    assert later.text.sentence is SITE.text.sentence
    year = replace(SITE, support=(START_MS, START_MS + 365 * DAY_MS)).shift_time(DAY_MS)
    assert year.support == (START_MS + DAY_MS, START_MS + 366 * DAY_MS)


def test_labels_without_a_name_are_refused():
    refusal = error_message(replace, SITE, labels=np.zeros(SITE.shape, np.uint8))
    assert refusal.endswith("its labels are one array, expected a dict of arrays by name")


def test_window_has_its_texts_and_labels_relative_to_its_corner():
    words = tuple(f"about {number}" for number in range(TEXT_POINTS))
    labels = np.arange(SIDE * SIDE).reshape(SIDE, SIDE).astype(np.uint8)
    site = replace(SITE, text=replace(SITE.text, words=words), labels={"crops": labels})
    window = site.window(slice(4, 20), slice(7, 23))
    text, whole = window.text, site.text
    inside = (whole.row >= 4) & (whole.row < 20) & (whole.column >= 7) & (whole.column < 23)
    assert 0 < inside.sum() == len(text) < TEXT_POINTS
    np.testing.assert_array_equal(text.row, whole.row[inside] - 4)
    np.testing.assert_array_equal(text.column, whole.column[inside] - 7)
    np.testing.assert_array_equal(text.sentence, whole.sentence[inside])
    np.testing.assert_array_equal(text.period_ms, whole.period_ms[inside])
    assert text.words == tuple(word for word, is_inside in zip(words, inside, strict=True) if is_inside)
    np.testing.assert_array_equal(window.labels["crops"], labels[4:20, 7:23])


def test_no_text_has_no_points():
    none = TextPoints.none(5)
    assert len(none) == 0
    assert none.sentence.shape == (0, 5)
    assert len(none.window(slice(0, 5), slice(0, 5))) == 0


def test_cropped_series_keeps_its_no_data_and_dtype():
    optical = SITE.series["sentinel2"]
    cut = optical.between(START_MS, START_MS + 99 * DAY_MS).window(slice(0, 4), slice(2, 8)).select_frames(slice(0, 3))
    assert (cut.no_data, cut.pixels.dtype) == (0, np.uint16)
    assert cut.pixels.shape == (3, 4, 6, 5)
    assert cut.valid.shape == (3, 4, 6, 1)
    assert np.shares_memory(cut.pixels, optical.pixels)


def test_frames_of_one_time_are_selected_together():
    series = SITE.series["landsat"]
    times = series.time_ms.copy()
    times[4:7] = times[5]
    same_time = replace(series, time_ms=times)
    assert len(same_time.between(int(times[5]), int(times[5]) + 1).time_ms) == 3
    assert len(same_time.without(times[5:6]).time_ms) == len(times) - 3


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
def test_dates_without_offset_are_utc(date, ms):
    assert to_ms(date) == ms


@pytest.mark.parametrize("date", ["", "now", "today", "NaT", "2018-13-01", "2018-02-30", "01.02.2018", "12345"])
def test_invalid_date_is_refused(date):
    assert f"date {date!r} is not a date in ISO 8601" in error_message(to_ms, date)
