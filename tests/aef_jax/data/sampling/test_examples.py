"""One training example: what can be drawn, how often, and that the generator determines it."""

from dataclasses import replace
from functools import cache

import jax
import numpy as np
import pytest

from aef_jax.data.sampling.examples import TileLocation, draw_example, draw_location
from aef_jax.data.store.site import Site, TextPoints
from configs.encodings.timecode import DAY_MS, period_code, relative_timecode, timecode
from tests.support.data.small_site import CONFIG, DAYS, START_MS, TEXT_WIDTH, schema_of, small_site
from tests.support.refusals import error_message

SITE = small_site()
SCHEMA = schema_of()
SCORED = SCHEMA.normalization.apply(SITE, SCHEMA.sources)
SUPPORT = START_MS + 300 * DAY_MS, START_MS + 665 * DAY_MS
PLACE = TileLocation(3, 5, SUPPORT)
MIDDLE = (SUPPORT[0] + SUPPORT[1]) // 2
BY_NAME = {source.name: source for source in CONFIG.decoded_sources}
INPUTS = tuple(source.name for source in CONFIG.input_sources)


def _examples(number: int, config=CONFIG, site: Site = SITE, location: TileLocation = PLACE):
    schema = replace(SCHEMA, sources=tuple(source for source in config.sources if source.name in BY_NAME))
    return [draw_example(site, schema, config, location, np.random.default_rng([7, seed])) for seed in range(number)]


DRAWN = _examples(400)


def _tile(name: str):
    """Return scaled and z-scored frames, as in examples."""
    return SCORED.window(slice(3, 19), slice(5, 21)).series[name]


@cache
def _time_by_code() -> dict[bytes, int]:
    """Return the acquisition times of the tile's inputs by their codes' bytes."""
    return {timecode(time).astype(np.float32).tobytes(): int(time) for name in INPUTS for time in _tile(name).time_ms}


def _times(frames) -> list[int]:
    """Return the acquisition times of the present frames, looked up by their codes."""
    return [_time_by_code()[code.tobytes()] for code in frames.timecodes[frames.present]]


def _target_time(name: str, target) -> int | None:
    """Return the acquisition time of the target, looked up by its pixels; None if there is no target."""
    series = _tile(name)
    same = [np.array_equal(pixels.reshape(target.pixels.shape), target.pixels) for pixels in series.pixels]
    return int(series.time_ms[same.index(True)]) if any(same) else None


def _ends(code: np.ndarray) -> np.ndarray:
    """Return a period's ends in days since the site's start, from the slowest wave of its code (80 years)."""
    sine, cosine = code.reshape(2, 2, -1)[:, :, 11].T.astype(np.float64)
    period = 80 * 365.2425
    days = np.arctan2(sine, cosine) / (2 * np.pi) * period
    return (days - START_MS / DAY_MS) % period


def test_location_lies_within_the_site_and_the_input_years():
    places = [draw_location(SITE, CONFIG, np.random.default_rng(seed)) for seed in range(300)]
    assert {location.row for location in places} == {location.column for location in places} == set(range(9))
    starts = np.array([location.support[0] for location in places])
    # the elevation's date, long before all images, must be ignored
    assert starts.min() >= START_MS
    assert starts.max() <= START_MS + (DAYS - 365) * DAY_MS
    assert np.ptp(starts) > 600 * DAY_MS
    assert {location.support[1] - location.support[0] for location in places} == {365 * DAY_MS}


def test_small_site_or_site_without_dates_is_refused():
    rng = np.random.default_rng(0)
    too_large = replace(CONFIG, data=replace(CONFIG.data, tile_side=32))
    assert "24 x 24 pixels, expected at least one tile of 32 x 32" in error_message(draw_location, SITE, too_large, rng)
    only_relief = replace(SITE, series={"glo30": SITE.series["glo30"]})
    said = error_message(draw_location, only_relief, CONFIG, rng)
    assert said == "site small: it has no support period and no frame of a source, expected one of both"


def test_site_without_input_has_the_year_of_its_targets():
    """It is counted among the examples without input; it does not end the run at the step that draws it."""
    only_map = replace(SITE, series={"nlcd": SITE.series["nlcd"]})
    start, end = draw_location(only_map, CONFIG, np.random.default_rng(0)).support
    assert start <= only_map.series["nlcd"].time_ms[0] < end


def test_example_is_a_deterministic_function_of_the_generator():
    first, again, other = (draw_example(SITE, SCHEMA, CONFIG, PLACE, np.random.default_rng(seed)) for seed in (1, 1, 2))
    same = jax.tree.map(np.array_equal, first, again)
    assert all(jax.tree.leaves(same))
    assert not all(jax.tree.leaves(jax.tree.map(np.array_equal, first, other)))


@pytest.mark.parametrize("name", INPUTS)
def test_the_target_is_never_among_the_inputs(name):
    for example in DRAWN:
        time = _target_time(name, example.targets[name])
        assert time is not None
        assert time not in _times(example.frames[name])


@pytest.mark.parametrize("name", INPUTS)
def test_inputs_are_sorted_support_frames_that_fill_the_budget(name):
    available = int(np.sum((_tile(name).time_ms >= SUPPORT[0]) & (_tile(name).time_ms < SUPPORT[1])))
    budget = BY_NAME[name].frame_budget
    for example in DRAWN[:50]:
        frames, times = example.frames[name], _times(example.frames[name])
        assert frames.pixels.shape == (budget, 16, 16, BY_NAME[name].channels)
        assert times == sorted(set(times))
        assert SUPPORT[0] <= times[0]
        assert times[-1] < SUPPORT[1]
        assert frames.present.sum() == min(budget, available - 1)


def test_each_frame_carries_its_own_pixels():
    frames, series = DRAWN[0].frames["landsat"], _tile("landsat")
    for pixels, time in zip(frames.pixels[frames.present], _times(frames), strict=True):
        np.testing.assert_array_equal(pixels, series.pixels[series.time_ms == time][0])
    assert not frames.pixels[~frames.present].any()


def test_small_budget_still_draws_every_frame_but_the_target():
    seen = {time for example in DRAWN for time in _times(example.frames["sentinel2"])}
    assert len(seen) == np.sum((_tile("sentinel2").time_ms >= SUPPORT[0]) & (_tile("sentinel2").time_ms < SUPPORT[1]))


def test_targets_are_drawn_from_all_frames_with_valid_pixels():
    series = _tile("sentinel2")
    shown = series.valid.mean(axis=(1, 2, 3)) >= 0.1
    inside = (series.time_ms >= SUPPORT[0]) & (series.time_ms < SUPPORT[1])
    drawn = {_target_time("sentinel2", example.targets["sentinel2"]) for example in DRAWN}
    assert drawn == set(series.time_ms[shown & inside].tolist())


@pytest.mark.parametrize("name", BY_NAME)
def test_each_target_has_a_period_around_it_above_four_days(name):
    for example in DRAWN[:100]:
        target = example.targets[name]
        start, end = _ends(target.period)
        assert end - start > 4
        assert start >= 300 - 0.01
        assert end <= 665 + 0.01
        if BY_NAME[name].timed:
            day = (_target_time(name, target) - START_MS) / DAY_MS
            assert start - 0.01 <= day < end + 0.01
            expected = relative_timecode(np.asarray((day - start) / (end - start)))
            np.testing.assert_allclose(target.time_code, expected, atol=0.05)
        else:
            assert target.time_code.shape == (0,)
    assert len({example.targets[name].period.tobytes() for example in DRAWN}) == len(DRAWN)
    assert len({target.period.tobytes() for target in DRAWN[0].targets.values()}) == len(BY_NAME)


def test_dated_targets_lie_in_the_support_period_static_ones_any():
    early = TileLocation(3, 5, (START_MS, START_MS + 365 * DAY_MS))
    example = _examples(1, location=early)[0]
    assert example.targets["glo30"].valid.any()
    assert not example.targets["nlcd"].valid.any()
    assert DRAWN[0].targets["nlcd"].valid.any()


def test_class_targets_are_indices_without_a_band_axis():
    target = DRAWN[0].targets["nlcd"]
    assert target.pixels.shape == target.valid.shape == (16, 16)
    assert target.pixels.dtype == np.int32


def test_metadata_and_grid_offsets_are_the_targets_own():
    series = _tile("sentinel1")
    for example in DRAWN[:20]:
        time = _target_time("sentinel1", example.targets["sentinel1"])
        heading, inclination = np.deg2rad(series.metadata[series.time_ms == time][0])
        code = [np.sin(heading), np.cos(heading), np.sin(inclination), np.cos(inclination)]
        np.testing.assert_allclose(example.targets["sentinel1"].metadata, code, atol=1e-6)
    offsets = np.array([example.targets["landsat"].grid_offset for example in DRAWN])
    assert {tuple(offset) for offset in offsets} == {(row, column) for row in range(3) for column in range(3)}
    assert not np.any([example.targets["sentinel2"].grid_offset for example in DRAWN])


def _is_visible(example, name: str) -> np.ndarray:
    """Return which of the teacher's frames the student sees."""
    index, present = example.student[name]
    visible = np.zeros(len(example.frames[name].present), bool)
    visible[index[present]] = True
    return visible


def test_student_frames_are_an_ordered_subset_of_the_teachers():
    for example in DRAWN:
        for name in INPUTS:
            index, present = example.student[name]
            assert len(index) == len(present) == BY_NAME[name].student_budget
            assert not np.any(_is_visible(example, name) & ~example.frames[name].present)
            assert (np.diff(index[present]) > 0).all()
            assert not present[np.argmin(present) :].any() or present.all(), "the absent slots come last"


def _before_middle(frames) -> np.ndarray:
    before = np.zeros(len(frames.present), bool)
    before[: frames.present.sum()] = np.array(_times(frames)) < MIDDLE
    return before


def _halves(examples):
    """Return the kind of each shared period, by the support period's middle: 0 random, 1 forecast, -1 backcast."""
    middle = (MIDDLE - START_MS) / DAY_MS
    ends = np.array([_ends(example.shared_period) for example in examples])
    return np.where(ends[:, 0] >= middle - 0.01, 1, np.where(ends[:, 1] <= middle + 0.01, -1, 0))


WHOLE = replace(
    CONFIG,
    sources=tuple(replace(s, frame_drop=0, source_drop=0) if s.is_input else s for s in CONFIG.sources),
)


def _saw(example) -> set[str]:
    """Return the part of the year that the student saw, which is the same for all sources."""
    saw = {"all", "former", "latter"}
    for name in INPUTS:
        frames = example.frames[name]
        former = _before_middle(frames)
        parts = {"all": former | True, "former": former, "latter": ~former}
        saw &= {
            part
            for part, visible in parts.items()
            if np.array_equal(_is_visible(example, name), frames.present & visible)
        }
    return saw


@pytest.mark.slow
def test_halves_split_at_mid_period_and_each_kind_is_a_third():
    """A forecast's student sees the former half, which the shared period does not overlap; a backcast's the latter."""
    examples = _examples(400, WHOLE)
    kinds = []
    for example, half in zip(examples, _halves(examples), strict=True):
        (part,) = _saw(example)
        kinds.append((part, half))
    assert set(kinds) <= {("former", 1), ("latter", -1), ("all", 0), ("all", 1), ("all", -1)}
    for part in ("all", "former", "latter"):
        assert np.mean([kind == part for kind, _ in kinds]) == pytest.approx(1 / 3, abs=0.08)


@pytest.mark.parametrize("name", INPUTS)
def test_sources_are_dropped_wholly_at_the_papers_rates(name):
    visible = [example.student[name].present.any() for example in DRAWN]
    assert 1 - np.mean(visible) == pytest.approx(BY_NAME[name].source_drop, abs=0.07)


@pytest.mark.parametrize("name", INPUTS)
def test_whole_sources_and_years_drop_frames_at_paper_rates(name):
    rates = []
    for example in DRAWN:
        frames, student = example.frames[name], _is_visible(example, name)
        former = _before_middle(frames)
        both = [student[frames.present & half].any() for half in (former, ~former)]
        if all(both):
            rates.append(1 - student.sum() / frames.present.sum())
    assert np.mean(rates) == pytest.approx(BY_NAME[name].frame_drop, abs=0.06)


def test_year_of_cloud_has_inputs_but_no_valid_target():
    cloudy = replace(SITE.series["sentinel2"], valid=np.zeros_like(SITE.series["sentinel2"].valid))
    site = replace(SITE, series={**SITE.series, "sentinel2": cloudy})
    for example in _examples(20, site=site):
        assert not example.targets["sentinel2"].valid.any()
        assert np.isfinite(example.targets["sentinel2"].pixels).all()
        assert example.frames["sentinel2"].present.all()
        start, end = _ends(example.targets["sentinel2"].period)
        assert end - start > 4


def test_year_without_frames_of_a_source_has_only_absent_slots():
    site = replace(SITE, series={**SITE.series, "landsat": SITE.series["landsat"].between(0, START_MS)})
    example = _examples(1, site=site)[0]
    assert not example.frames["landsat"].present.any()
    assert not example.student["landsat"].present.any()
    assert not example.targets["landsat"].valid.any()
    assert example.frames["sentinel2"].present.any()


def test_sparse_target_only_source_is_always_drawn():
    valid = np.zeros_like(SITE.series["glo30"].valid)
    valid[:, 10, 10] = True
    site = replace(SITE, series={**SITE.series, "glo30": replace(SITE.series["glo30"], valid=valid)})
    assert _examples(1, site=site)[0].targets["glo30"].valid.sum() == 4


def test_site_lacking_a_source_has_examples_of_the_same_shape():
    site = replace(SITE, series={"sentinel2": SITE.series["sentinel2"]})
    example = _examples(1, site=site)[0]
    assert jax.tree.map(np.shape, example) == jax.tree.map(np.shape, DRAWN[0])
    assert jax.tree.map(lambda leaf: leaf.dtype, example) == jax.tree.map(lambda leaf: leaf.dtype, DRAWN[0])
    for name in set(INPUTS) - {"sentinel2"}:
        assert not example.frames[name].present.any()
        assert not example.student[name].present.any()
    for name in set(BY_NAME) - {"sentinel2"}:
        assert not example.targets[name].valid.any()


def test_fixed_target_is_the_target():
    time = int(_tile("sentinel2").time_ms[50])
    example = draw_example(SITE, SCHEMA, CONFIG, PLACE, np.random.default_rng(0), target_ms={"sentinel2": time})
    assert _target_time("sentinel2", example.targets["sentinel2"]) == time


def test_shared_period_is_a_full_code():
    assert DRAWN[0].shared_period.shape == period_code(np.int64(0), np.int64(1)).shape
    assert DRAWN[0].shared_period.dtype == np.float32


def test_text_is_drawn_from_the_whole_tile_and_support_period():
    inside = SITE.text.window(slice(3, 19), slice(5, 21))
    true_then = (inside.period_ms[:, 0] < SUPPORT[1]) & (inside.period_ms[:, 1] > SUPPORT[0])
    assert 0 < true_then.sum() < len(inside) < len(SITE.text)
    known = {sentence.tobytes(): point for point, sentence in enumerate(inside.sentence)}
    drawn = set()
    for example in DRAWN:
        text = example.text
        point = known[text.sentence.tobytes()]
        drawn.add(point)
        assert text.pixel.tolist() == [inside.row[point], inside.column[point]]
        np.testing.assert_array_equal(text.period, period_code(*inside.period_ms[point]).astype(np.float32))
    assert drawn == set(np.flatnonzero(true_then).tolist())


def test_tile_without_text_has_an_absent_one():
    silent = _examples(1, site=replace(SITE, text=TextPoints.none()))[0].text
    assert silent.sentence.shape == (TEXT_WIDTH,)
    assert not silent.present
    no_text = draw_example(SITE, replace(SCHEMA, text_width=0), CONFIG, PLACE, np.random.default_rng(0))
    assert no_text.text is None
