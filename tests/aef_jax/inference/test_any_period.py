"""Any valid period has a field: months to come, gaps, a single day, five years; and time has no jumps."""

from functools import partial

import numpy as np
import pytest

from aef_jax.inference.embed import CompiledEmbed
from configs.encodings.timecode import DAY_MS
from configs.fields.frames import read_period
from configs.fields.stacks import FrameStack
from configs.fields.tiling import Area, embed_area
from tests.aef_jax.inference.test_packing import CONFIG, make_stacks, params

__all__ = ["params"]
pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("quick_compiles")]
PERIODS = {
    "year": 2019,
    "month to come": ("2020-02-01", "2020-03-01"),
    "month in a gap": ("2019-06-10", "2019-07-10"),
    "day": ("2019-06-15", "2019-06-16"),
    "five years": ("2015-01-01", "2020-01-01"),
}
ONE_WINDOW, MINUTE_MS = 30 * DAY_MS, 60_000


@pytest.fixture(scope="module")
def stacks() -> dict[str, FrameStack]:
    """Frames of 2019 without May to August."""
    stacks = {}
    for name, (pixels, time_ms) in make_stacks({"sentinel2": 40, "sentinel1": 20}).items():
        start, end = read_period(("2019-05-01", "2019-09-01"))
        outside = (time_ms < start) | (time_ms >= end)
        stacks[name] = FrameStack(pixels[outside], time_ms[outside])
    return stacks


def test_all_periods_have_unit_vectors_of_their_own(params, stacks):
    embed = CompiledEmbed(CONFIG)
    periods = [read_period(period) for period in PERIODS.values()]
    support = read_period(("2015-01-01", "2020-01-01"))
    fields = embed_area(partial(embed, embed.place(params)), Area(stacks, periods, support), CONFIG)
    np.testing.assert_allclose(np.linalg.norm(fields, axis=-1), 1, atol=1e-6)
    for index, first in enumerate(fields):
        for second in fields[:index]:
            assert np.linalg.norm(first - second, axis=-1).mean() > 1e-2


def test_fields_do_not_jump_at_the_end_of_a_year(params, stacks):
    """Windows of 30 days that begin or end a minute before and after an instant: New Year is as others."""
    embed = CompiledEmbed(CONFIG)
    instants = [read_period((f"{day}", "2021-01-01"))[0] for day in ("2020-01-01", "2019-11-13", "2020-01-20")]
    moved = [instant + sign * MINUTE_MS for instant in instants for sign in (-1, 1)]
    ending = [(instant - ONE_WINDOW, instant) for instant in moved]
    beginning = [(instant, instant + ONE_WINDOW) for instant in moved]
    area = Area(stacks, [*ending, *beginning], read_period(2019))
    fields = embed_area(partial(embed, embed.place(params)), area, CONFIG)
    steps = np.linalg.norm(fields[1::2] - fields[::2], axis=-1).mean(axis=(1, 2))
    assert steps.min() > 0
    assert steps.max() < 1e-3
