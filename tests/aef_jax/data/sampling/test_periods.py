"""Valid periods stay within bounds, and their lengths are half uniform, half log-uniform."""

from dataclasses import replace

import numpy as np
import pytest

from aef_jax.data.sampling.targets import draw_period
from configs.encodings.timecode import DAY_MS
from tests.support.data.small_site import CONFIG, START_MS


@pytest.mark.parametrize("days", [10, 365, 1000])
def test_periods_keep_bounds_and_include_days_and_whole_years(days):
    """Half of the lengths are uniform, half are log-uniform, so any interval has the mean of both probabilities."""
    config = replace(CONFIG, data=replace(CONFIG.data, support_days=days))
    bounds, rng = (START_MS, START_MS + days * DAY_MS), np.random.default_rng(0)
    contained = rng.integers(*bounds, size=4000)
    contained[:2] = bounds[0], bounds[1] - 1
    lengths = []
    for time in contained.tolist():
        start, end = draw_period(bounds, config, rng, containing=time)
        assert bounds[0] <= start <= time < end <= bounds[1]
        lengths.append((end - start) / DAY_MS)
    assert min(lengths) > 4
    for share in (0.05, 0.3, 0.7):
        length = 5 + share * (days - 5)
        expected = (share + np.log(length / 5) / np.log(days / 5)) / 2
        assert np.mean(np.array(lengths) < length) == pytest.approx(expected, abs=0.03)
