"""Timecodes of any two days within 40 years differ, and encode the season."""

import numpy as np
import pytest

from configs.encodings.timecode import (
    DAY_MS,
    PERIOD_CODE_WIDTH,
    RELATIVE_TIMECODE_WIDTH,
    TIMECODE_WIDTH,
    YEAR_DAYS,
    period_code,
    relative_timecode,
    timecode,
)

START = int(np.datetime64("1990-01-01", "ms").astype(np.int64))
FORTY_YEARS = 40 * 365 + 10


def _days(days) -> np.ndarray:
    return START + np.asarray(days, np.int64) * DAY_MS


def test_codes_of_any_two_days_in_forty_years_differ():
    # the distance of two codes depends only on the days between them, so one day against all covers all pairs
    codes = timecode(_days(np.arange(FORTY_YEARS)))
    distance = np.linalg.norm(codes[1:] - codes[0], axis=-1)
    assert distance.min() > 1.0


def test_codes_of_consecutive_days_differ_in_float32():
    codes = timecode(_days(np.arange(FORTY_YEARS))).astype(np.float32)
    assert np.linalg.norm(codes[1:] - codes[:-1], axis=-1).min() > 1.0


def test_a_code_resolves_a_minute():
    """Epoch milliseconds in float32 would have a resolution of 131 s."""
    time = np.int64(1_600_000_000_000)
    turned = timecode(time + 60_000) - timecode(time)
    expected = 2 * np.pi * 60_000 / (4 * DAY_MS)  # the shortest period is 4 days
    assert np.hypot(turned[0], turned[TIMECODE_WIDTH // 2]) == pytest.approx(expected, rel=1e-6)


def test_the_season_is_the_same_in_every_year():
    year = round(YEAR_DAYS * DAY_MS)
    here, later = timecode(np.array([START, START + 17 * year]))
    sine, cosine = (slice(half + 12, half + 16) for half in (0, TIMECODE_WIDTH // 2))
    np.testing.assert_allclose(here[sine], later[sine], atol=1e-6)
    np.testing.assert_allclose(here[cosine], later[cosine], atol=1e-6)
    assert np.abs(here - later).max() > 0.5


@pytest.mark.usefixtures("unchecked_types")
@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int32, "datetime64[ms]"])
def test_times_that_are_not_int64_milliseconds_are_refused(dtype):
    with pytest.raises(TypeError, match="expected int64 epoch milliseconds"):
        timecode(np.zeros(3, dtype))


def test_codes_are_float64_of_the_model_widths():
    time = _days([[0, 1], [2, 3]])
    assert timecode(time).shape == (2, 2, TIMECODE_WIDTH)
    assert timecode(time).dtype == np.float64
    assert np.abs(timecode(time)).max() <= 1


def test_a_periods_code_is_its_two_ends():
    start, end = _days([0, 10]), _days([5, 200])
    code = period_code(start, end)
    assert code.shape == (2, PERIOD_CODE_WIDTH)
    np.testing.assert_array_equal(code, np.concatenate([timecode(start), timecode(end)], axis=-1))


def test_relative_codes_differ_over_a_period_most_at_its_ends():
    code = relative_timecode(np.arange(365) / 365)
    assert code.shape == (365, RELATIVE_TIMECODE_WIDTH)
    apart = np.linalg.norm(code[:, None] - code[None], axis=-1) + 10 * np.eye(365)
    assert apart.min() > 0.05
    # with whole turns instead of half turns, the first and last instant would have the same code
    assert np.linalg.norm(code[0] - code[-1]) > 2
