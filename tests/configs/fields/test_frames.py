"""A user's frames: every form that is accepted gives the same numbers, and each mistake is one sentence."""

from datetime import UTC, datetime

import numpy as np
import pytest
import xarray

from configs.fields.frames import read_frames, read_period
from configs.sources import SENTINEL2
from tests.support.refusals import error_message

DATES = ["2018-03-01", "2018-01-01", "2018-02-01"]
SORTED_MS = [1514764800000, 1517443200000, 1519862400000]
PIXELS = np.arange(3 * 4 * 6 * 5, dtype=np.uint16).reshape(3, 4, 6, 5)
SORTED = PIXELS[[1, 2, 0]]


def labeled(bands: list[str]) -> xarray.DataArray:
    """Build the same frames with their bands and dimensions in another order."""
    times = np.array(DATES, "datetime64[ns]")
    array = xarray.DataArray(
        PIXELS, {"time": times, "band": ["B2", "B3", "B4", "B8", "B11"]}, ("time", "y", "x", "band")
    )
    return (
        array.sel(band=[band.replace("B0", "B") for band in bands])
        .assign_coords(band=bands)
        .transpose("band", "x", ...)
    )


@pytest.mark.parametrize(
    "times",
    [
        np.array(DATES, "datetime64[D]"),
        np.array(DATES, "datetime64[ns]"),
        DATES,
        [datetime.fromisoformat(date) for date in DATES],
        [datetime.fromisoformat(date).replace(tzinfo=UTC) for date in DATES],
        [f"{date}T02:00:00+02:00" for date in DATES],
    ],
)
def test_times_of_any_form_sort_the_frames(times):
    pixels, time_ms = read_frames(SENTINEL2, (PIXELS, times))
    assert time_ms.tolist() == SORTED_MS
    np.testing.assert_array_equal(pixels, SORTED)
    assert pixels.dtype == np.uint16


def test_xarray_bands_and_dimensions_come_in_any_order():
    array = labeled(["B11", "B08", "B02", "B03", "B04"])
    pixels, time_ms = read_frames(SENTINEL2, array)
    np.testing.assert_array_equal(pixels, SORTED)
    assert time_ms.tolist() == SORTED_MS
    by_variable = read_frames(SENTINEL2, array.to_dataset("band"))
    np.testing.assert_array_equal(by_variable.pixels, SORTED)


def test_masks_become_nan():
    mask = np.ones(PIXELS.shape[:3], bool)
    mask[0, 1, 2] = False
    expected = PIXELS.astype(float)
    expected[0, 1, 2] = np.nan
    for frames in ((PIXELS, DATES, mask), (np.ma.array(PIXELS, mask=np.repeat(~mask[..., None], 5, -1)), DATES)):
        np.testing.assert_array_equal(read_frames(SENTINEL2, frames).pixels, expected[[1, 2, 0]])


@pytest.mark.parametrize(
    ("frames", "sentence"),
    [
        (
            (PIXELS[..., :4], DATES),
            "source sentinel2: pixels are uint16 of shape (3, 4, 6, 4), expected numbers",
        ),
        ((PIXELS, DATES[:2]), "source sentinel2: there are 2 times for 3 frames, expected one for each"),
        ((PIXELS, [1, 2, 3]), "source sentinel2: times are [1, 2, 3], expected datetime64, or dates"),
        ((PIXELS, ["2018-13-01"] * 3), "source sentinel2: times are ['2018-13-01'"),
        ((PIXELS, np.array(["NaT"] * 3, "datetime64[D]")), "source sentinel2: 3 of 3 times are NaT, expected dates"),
        (
            (PIXELS, DATES, np.ones((3, 4, 5), bool)),
            "the mask has shape (3, 4, 5, 1), expected (3, 4, 6)",
        ),
        (PIXELS, "source sentinel2: frames are a ndarray, expected (pixels, times), (pixels, times, mask) or xarray"),
        (labeled(["B2", "B3"]), "source sentinel2: there is no band B4 among ['B2', 'B3'], expected"),
        (
            labeled(["B2"]).rename(time="date"),
            "dimensions are ['band', 'x', 'date', 'y'], expected one",
        ),
    ],
)
def test_wrong_frames_are_refused_in_one_sentence(frames, sentence):
    assert sentence in error_message(read_frames, SENTINEL2, frames)


def test_periods_are_years_or_two_ends():
    year = (1514764800000, 1546300800000)
    assert read_period(2018) == read_period(("2018-01-01", "2019-01-01")) == year
    assert read_period((np.datetime64("2018"), datetime(2019, 1, 1))) == year
    assert "period: times are" in error_message(read_period, ("2018", "never"))


def test_coordinates_of_another_grid_are_refused():
    """Row 12 of the users' cases, in xarray: degrees, or pixels of 30 m."""
    array = labeled(["B2", "B3", "B4", "B8", "B11"])
    y, x = 5_600_000 - 10 * np.arange(4, dtype=np.float32), 500_000 + 10.05 * np.arange(6)
    assert read_frames(SENTINEL2, array.assign_coords(y=y, x=x)).pixels.shape == SORTED.shape
    for step in (30, 9e-5):
        said = error_message(read_frames, SENTINEL2, array.assign_coords(y=y, x=x[0] + step * np.arange(6)))
        assert said == f"source sentinel2: its coordinates x are {step:g} apart, expected 10, in meters"
    said = error_message(read_frames, SENTINEL2, array.rename(y="lat").assign_coords(lat=46 - 9e-5 * np.arange(4)))
    assert said.startswith("source sentinel2: its coordinates lat are 9e-05 apart")
