"""Series take what users have: frames in any order, datetime64, masked arrays (row 14 of the users' cases)."""

from dataclasses import replace

import numpy as np

from aef_jax.data.store.record import decode, encode
from aef_jax.data.store.site import Series, to_ms
from tests.support.data.small_site import small_site
from tests.support.refusals import error_message

SITE = small_site()
OPTICAL = SITE.series["sentinel2"]


def test_unsorted_frames_are_sorted_with_their_metadata():
    radar = SITE.series["sentinel1"]
    order = np.random.default_rng(0).permutation(len(radar.time_ms))
    shuffled = Series(radar.pixels[order], radar.valid[order], radar.time_ms[order], radar.metadata[order])
    for name in ("pixels", "valid", "time_ms", "metadata"):
        np.testing.assert_array_equal(getattr(shuffled, name), getattr(radar, name))


def test_datetimes_of_any_unit_become_milliseconds():
    for unit in ("s", "ms", "ns"):
        times = OPTICAL.time_ms.astype("datetime64[ms]").astype(f"datetime64[{unit}]")
        np.testing.assert_array_equal(replace(OPTICAL, time_ms=times).time_ms, OPTICAL.time_ms)


def test_masked_pixels_stay_masked_in_a_record():
    mask = np.zeros(OPTICAL.pixels.shape, bool)
    mask[2, 3, 4] = mask[5, 6, 7, 1] = True
    for dtype, no_data in ((np.uint16, 0), (np.float32, None)):
        pixels = np.ma.MaskedArray(np.maximum(OPTICAL.pixels, 1).astype(dtype), mask)
        series = Series(pixels, np.ones((*mask.shape[:3], 1), bool), OPTICAL.time_ms, OPTICAL.metadata, no_data)
        read = decode(encode(replace(SITE, series={"sentinel2": series})), "blob").series["sentinel2"]
        np.testing.assert_array_equal(read.has_data, ~mask)
        assert read.pixels.dtype == dtype
        assert np.argwhere(~read.valid).tolist() == [[2, 3, 4, 0]]  # one mask for all bands needs data in any


def test_masked_pixels_of_a_mask_per_band_are_not_valid():
    valid = np.ma.MaskedArray(np.ones(OPTICAL.pixels.shape, bool), np.zeros(OPTICAL.pixels.shape, bool))
    valid[1] = np.ma.masked
    mask = np.random.default_rng(0).random(OPTICAL.pixels.shape) < 0.1
    series = replace(OPTICAL, pixels=np.ma.MaskedArray(OPTICAL.pixels, mask), valid=valid)
    np.testing.assert_array_equal(series.valid[1:2], np.zeros_like(mask[1:2]))
    np.testing.assert_array_equal(series.valid[2:], ~mask[2:])


def test_masked_integers_without_a_number_are_refused():
    masked = np.ma.MaskedArray(OPTICAL.pixels, OPTICAL.pixels > 900)
    for no_data in (None, -1, 70_000):
        said = error_message(replace, OPTICAL, pixels=masked, no_data=no_data)
        assert said == (
            f"pixels are masked uint16 and no_data is {no_data}, expected a number of this type that masked pixels are"
            " stored as"
        )


def test_support_period_may_be_dates():
    year = to_ms("2016-01-01"), to_ms("2017-01-01")
    for given in (("2016-01-01", "2017-01-01"), np.array(year)):
        site = replace(SITE, support=tuple(given))
        assert site.support == year
        assert decode(encode(site), "blob").support == year
