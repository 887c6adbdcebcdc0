"""The encoder's input: gaps in radar, dropped frames, and never the target."""

from dataclasses import replace

import numpy as np
import pytest

from aef_jax.data.sampling.examples import TileLocation, draw_example
from aef_jax.data.sampling.inputs import draw_frames, draw_student, line_gap, no_frames, no_student
from aef_jax.data.store.site import Series
from configs.encodings.timecode import DAY_MS, timecode
from configs.sources import LANDSAT, SENTINEL1, SENTINEL2
from tests.support.data.small_site import CONFIG, START_MS, schema_of, small_site

SITE = small_site()
SCHEMA = schema_of()
SCORED = SCHEMA.normalization.apply(SITE, SCHEMA.sources)
PLACE = TileLocation(3, 5, (START_MS + 300 * DAY_MS, START_MS + 665 * DAY_MS))
TILE = slice(3, 19), slice(5, 21)


def _examples(number: int, config=CONFIG):
    schema = replace(SCHEMA, sources=tuple(source for source in config.sources if source.kind != "text"))
    return [draw_example(SITE, schema, config, PLACE, np.random.default_rng([7, seed])) for seed in range(number)]


def _drawn(source, series: Series, seed: int = 0, target: int | None = None, dropout: bool = False):
    return draw_frames(source, series, target, SCHEMA.normalization, np.random.default_rng(seed), dropout, gaps=True)


def _year(name: str) -> Series:
    return SITE.window(*TILE).series[name].between(*PLACE.support)


# --- Line gaps ---


def test_only_radar_inputs_have_a_gap_equal_in_frames_and_bands():
    scored = SCORED.window(*TILE).series
    for example in _examples(20):
        blank = {}
        for name in ("sentinel1", "sentinel2", "landsat"):
            frames = example.frames[name]
            known = {timecode(time).astype(np.float32).tobytes(): i for i, time in enumerate(scored[name].time_ms)}
            shown = [known[code.tobytes()] for code in frames.timecodes[frames.present]]
            blank[name] = frames.pixels[frames.present] != scored[name].pixels[shown]
        assert not blank["sentinel2"].any()
        assert not blank["landsat"].any()
        gap = blank["sentinel1"][0, :, :, 0]
        assert (blank["sentinel1"] == gap[None, :, :, None]).all()
        radar = example.frames["sentinel1"]
        assert not radar.pixels[:, gap].any()
        target = example.targets["sentinel1"].pixels
        assert any(np.array_equal(target, pixels) for pixels in scored["sentinel1"].pixels), "a target is whole"


def test_validation_examples_have_no_gap():
    time_ms = int(_year("sentinel2").time_ms[3])
    for seed in range(10):
        rng = np.random.default_rng([7, seed])
        frames = draw_example(SITE, SCHEMA, CONFIG, PLACE, rng, {"sentinel2": time_ms}).frames["sentinel1"]
        assert not (frames.pixels[frames.present] == 0).all(axis=(0, 3)).any()


def test_each_example_has_a_gap_of_its_own():
    radar = (example.frames["sentinel1"] for example in _examples(30))
    gaps = {(frames.pixels[frames.present] == 0).all(axis=(0, 3)).tobytes() for frames in radar}
    assert len(gaps) > 25, "a line may miss the pixels' centers"


def _fitted(gap: np.ndarray) -> tuple[float, float, float]:
    """Return a line's direction, its length, and the largest distance of a pixel's center from its axis."""
    points = np.argwhere(gap) - np.argwhere(gap).mean(axis=0)
    _, _, (along, across) = np.linalg.svd(points, full_matrices=False)
    return np.arctan2(*along) % np.pi, float(np.ptp(points @ along)), float(np.abs(points @ across).max())


@pytest.mark.slow
def test_gap_is_a_straight_line_half_to_two_pixels_wide():
    rng = np.random.default_rng(0)
    angles, widths = [], []
    for _ in range(3_000):
        gap = line_gap(128, 128, rng)
        if np.count_nonzero(gap) < 40:
            continue
        angle, length, off_axis = _fitted(gap)
        assert off_axis < 1.1, "half of two pixels, and what the fit is off"
        angles.append(angle)
        widths.append(np.count_nonzero(gap) / (length + 1))
    assert len(angles) > 2_500
    shares, _ = np.histogram(angles, bins=8, range=(0, np.pi))
    assert shares.min() > 0.7 * len(angles) / 8
    assert np.mean(widths) == pytest.approx(1.25, abs=0.06)
    assert np.percentile(widths, 2) == pytest.approx(0.53, abs=0.1)
    assert np.percentile(widths, 98) == pytest.approx(1.97, abs=0.1)


def test_gaps_lie_anywhere_in_the_tile():
    rng = np.random.default_rng(0)
    share = np.mean([line_gap(16, 16, rng) for _ in range(8_000)], axis=0)
    assert share.min() > 0.04
    # lines through random points cover the middle twice as often as the rim
    assert share.max() < 3 * share.min()


# --- The teacher's frames ---


@pytest.mark.parametrize("source", [SENTINEL2, LANDSAT, SENTINEL1], ids=lambda source: source.name)
def test_teacher_drops_frames_at_student_rates_before_the_budget(source):
    series, rates = _year(source.name), []
    ample = replace(source, frame_budget=60)
    for seed in range(200):
        drawn = _drawn(ample, series, seed, dropout=True)
        rates.append(1 - drawn.frames.present.sum() / len(series.time_ms))
    assert np.mean(rates) == pytest.approx(source.frame_drop, abs=0.02)
    assert np.std(rates) > 0.02, "each frame by itself"
    few = replace(source, frame_budget=5)
    assert all(_drawn(few, series, seed, dropout=True).frames.present.sum() == 5 for seed in range(20))
    assert _drawn(ample, series, dropout=False).frames.present.sum() == len(series.time_ms)


def test_teacher_drop_is_a_setting_and_off_in_validation():
    dropping = replace(CONFIG, data=replace(CONFIG.data, teacher_frame_dropout=True))
    available = len(_year("landsat").time_ms)
    whole = [example.frames["landsat"].present.sum() for example in _examples(20)]
    dropped = [example.frames["landsat"].present.sum() for example in _examples(20, dropping)]
    assert set(whole) == {available - 1}
    assert max(dropped) < available - 1
    time_ms = int(_year("sentinel2").time_ms[4])
    validation = draw_example(SITE, SCHEMA, dropping, PLACE, np.random.default_rng(0), {"sentinel2": time_ms})
    assert validation.frames["landsat"].present.sum() >= available - 1


def test_no_frame_with_the_target_time_is_an_input():
    """Two scenes of one overpass show the ground along their common border twice."""
    series = _year("landsat")
    times = series.time_ms.copy()
    times[6] = times[7] = times[5]
    same_pass = replace(series, time_ms=times)
    for target in (5, 6, 7):
        drawn = _drawn(LANDSAT, same_pass, target=target)
        assert times[5] not in drawn.time_ms[drawn.frames.present]
        assert drawn.frames.present.sum() == min(LANDSAT.frame_budget, len(times) - 3)
    both = _drawn(replace(LANDSAT, frame_budget=40), same_pass, target=0)
    assert list(both.time_ms).count(times[5]) == 3


@pytest.mark.parametrize("name", ["sentinel2", "landsat"])
def test_frames_without_data_in_the_tile_take_no_budget(name):
    """Sentinel-2's no data is a number here, Landsat's is NaN."""
    series = _year(name)
    source = replace({"sentinel2": SENTINEL2, "landsat": LANDSAT}[name], frame_budget=8)
    nothing = 0 if name == "sentinel2" else np.nan
    pixels = series.pixels.copy()
    pixels[8:] = nothing
    pixels[0, :, :8] = nothing
    empty = replace(series, pixels=pixels)
    for seed in range(20):
        drawn = _drawn(source, empty, seed, target=3)
        assert drawn.time_ms[drawn.frames.present].tolist() == np.delete(series.time_ms[:8], 3).tolist()
        assert not drawn.frames.pixels[~drawn.frames.present].any()
        assert np.isfinite(drawn.frames.pixels).all()
    all_nothing = replace(series, pixels=np.full_like(pixels, nothing))
    assert not _drawn(source, all_nothing).frames.present.any()


def test_bands_are_those_with_any_data_in_the_tile():
    """Scenes with VV and VH alone have neither HH nor HV. A line gap takes no band away, whatever it blanks."""
    series = _year("sentinel1")
    pixels = series.pixels.copy()
    pixels[::2, ..., 2:4] = np.nan
    pixels[2, 7, 9, 3] = -20
    source = replace(SENTINEL1, frame_budget=len(pixels) + 1)
    radar = replace(series, pixels=pixels)
    for seed in range(10):
        expected = np.ones((len(pixels) + 1, 5), bool)
        expected[:-1:2, 2:4], expected[2, 3], expected[-1] = False, True, False
        np.testing.assert_array_equal(_drawn(source, radar, seed).frames.bands, expected, strict=True)


def test_cloudy_frames_are_present():
    series = _year("sentinel2")
    cloudy = replace(series, valid=np.zeros_like(series.valid))
    np.testing.assert_array_equal(
        _drawn(SENTINEL2, cloudy).frames.pixels, _drawn(SENTINEL2, series).frames.pixels, strict=True
    )


def test_absent_slots_come_last_and_hold_nothing():
    drawn = _drawn(SENTINEL2, _year("sentinel2"))
    number = drawn.frames.present.sum()
    assert drawn.frames.present[:number].all()
    assert (np.diff(drawn.time_ms[:number]) > 0).all()
    assert not drawn.frames.pixels[number:].any()
    np.testing.assert_array_equal(drawn.selected, np.flatnonzero(np.isin(_year("sentinel2").time_ms, drawn.time_ms)))


def test_source_missing_in_the_site_is_absent():
    frames, student = no_frames(LANDSAT, 16).frames, no_student(LANDSAT)
    assert frames.pixels.shape == (21, 16, 16, 7)
    assert frames.bands.shape == (21, 7)
    assert not frames.present.any()
    assert not student.present.any()
    assert len(student.present) == LANDSAT.student_budget == 15


# --- The student's frames ---

TIMES = np.arange(60) * DAY_MS


@pytest.mark.parametrize(
    ("drop", "present", "expected"), [(0.5, 60, 30), (0.5, 7, 4), (0.3, 20, 14), (0, 60, 60), (0.9, 5, 1), (0.3, 0, 0)]
)
def test_random_student_sees_the_fraction_that_is_not_dropped(drop, present, expected):
    source = replace(SENTINEL2, frame_budget=60, frame_drop=drop)
    has_data = np.isin(np.arange(60), np.random.default_rng(0).choice(60, present, replace=False))
    for seed in range(10):
        student = draw_student(source, has_data, TIMES, None, np.random.default_rng(seed))
        assert student.present.sum() == expected
        assert has_data[student.index[student.present]].all()


def test_student_of_a_half_sees_all_of_it_within_its_budget():
    source, has_data = replace(SENTINEL2, frame_budget=60), np.ones(60, bool)
    former = draw_student(source, has_data, TIMES, (0, 20 * DAY_MS), np.random.default_rng(0))
    assert former.index[former.present].tolist() == list(range(20))
    seen = set()
    for seed in range(40):
        student = draw_student(source, has_data, TIMES, (0, 50 * DAY_MS), np.random.default_rng(seed))
        assert student.present.sum() == source.student_budget == 30
        assert student.index.max() < 50
        seen |= set(student.index.tolist())
    assert seen == set(range(50))
    border = draw_student(source, has_data, TIMES, (3 * DAY_MS, 6 * DAY_MS), np.random.default_rng(0))
    assert border.index[border.present].tolist() == [3, 4, 5]


def test_dropped_source_has_no_student_frame():
    source = replace(SENTINEL2, frame_budget=60, source_drop=0.3)
    has_data = np.ones(60, bool)
    seen = [
        draw_student(source, has_data, TIMES, None, np.random.default_rng(seed)).present.sum() for seed in range(600)
    ]
    assert set(seen) == {0, 30}
    assert np.mean(np.array(seen) == 0) == pytest.approx(0.3, abs=0.06)


def test_next_scene_of_the_target_pass_is_not_an_input():
    """Scenes of one pass overlap and show the same pixels some seconds apart."""
    series = _year("landsat")
    same_pass = replace(series, time_ms=series.time_ms + 24_000)
    order = np.argsort(np.concatenate([series.time_ms, same_pass.time_ms]), kind="stable")
    both = Series(
        *(np.concatenate([getattr(s, field) for s in (series, same_pass)])[order] for field in ("pixels", "valid")),
        *(np.concatenate([getattr(s, field) for s in (series, same_pass)])[order] for field in ("time_ms", "metadata")),
    )
    source = next(source for source in CONFIG.sources if source.name == "landsat")
    drawn = _drawn(replace(source, frame_budget=len(order)), both, target=7)
    assert not {6, 7} & set(drawn.selected.tolist())
    assert len(drawn.selected) == len(order) - 2
