"""Held-out examples, and the forecast by persistence that a model must beat."""

import weakref
from dataclasses import replace

import jax
import numpy as np
import pytest

from aef_jax.data.sampling.validation import PERIOD_DAYS, persistence, validation_example_of_each, validation_examples
from aef_jax.data.store.site import Series
from aef_jax.evaluation.validation import Evaluator
from aef_jax.sharding.mesh import single_device_mesh
from aef_jax.training.step import init_state
from configs.encodings.timecode import DAY_MS, period_code, relative_timecode, timecode
from tests.aef_jax.conftest import BRIEF
from tests.support.data.small_site import CONFIG, SIDE, held_by, small_site
from tests.support.refusals import error_message

SITE = small_site()
HELD = held_by()
SERIES = HELD.normalization.apply(SITE, HELD.sources).series["sentinel2"]
TIMES = SERIES.time_ms[::5]
CORNER = SERIES.window(slice(0, 16), slice(0, 16))


@pytest.fixture(scope="module")
def examples():
    return validation_examples(SITE, HELD, TIMES, CONFIG)


def _days(days, values, valid) -> Series:
    """A series of one pixel and one band."""
    shape = len(days), 1, 1, 1
    pixels, there = np.reshape(values, shape).astype(np.float32), np.reshape(valid, shape).astype(bool)
    return Series(pixels, there, np.array(days, np.int64) * DAY_MS, np.zeros((len(days), 0), np.float32))


@pytest.mark.parametrize(
    ("valid", "forecast"),
    [
        ([1, 1, 1, 1], 30),  # day 12 is nearer to day 10 than day 7
        ([1, 1, 0, 1], 20),
        ([1, 0, 0, 1], 10),
        ([0, 0, 0, 1], 0),  # nothing but the target itself
    ],
)
def test_persistence_is_the_nearest_valid_frame_not_the_target(valid, forecast):
    days, values = [0, 7, 12, 10], [10, 20, 30, 99]
    order = np.argsort(days)
    series = _days(*(np.array(column)[order] for column in (days, values, valid)))
    assert persistence(series, 10 * DAY_MS).item() == forecast


def test_persistence_of_two_frames_as_near_is_the_earlier_one():
    assert persistence(_days([8, 10, 12], [1, 2, 3], [1, 1, 1]), 10 * DAY_MS).item() == 1


def test_persistence_is_each_pixels_and_each_bands_own():
    pixels = np.arange(3 * 2 * 2 * 2, dtype=np.float32).reshape(3, 2, 2, 2)
    valid = np.ones_like(pixels, bool)
    valid[1, 0, 0, 1] = False
    series = Series(pixels, valid, np.array([0, 5, 6], np.int64) * DAY_MS, np.zeros((3, 0), np.float32))
    forecast = persistence(series, 6 * DAY_MS)
    expected = pixels[1].copy()
    expected[0, 0, 1] = pixels[0, 0, 0, 1]
    np.testing.assert_array_equal(forecast, expected)


def test_each_clear_validation_frame_appears_once_per_tile(examples):
    clear = CORNER.time_ms[(CORNER.valid.mean(axis=(1, 2, 3)) >= 0.1) & np.isin(CORNER.time_ms, TIMES)]
    assert SIDE // 16 == 1, "one tile"
    assert [example.time_ms for example in examples] == clear.tolist()
    for example in examples:
        target = CORNER.pixels[example.time_ms == CORNER.time_ms][0]
        np.testing.assert_array_equal(example.batch.targets["sentinel2"].pixels, target)


def test_validation_inputs_are_all_frames_but_the_target(examples):
    for example in examples:
        frames = example.batch.frames["sentinel2"]
        assert frames.present.sum() >= 365 // 9 - 1
        codes = {code.tobytes() for code in frames.timecodes[frames.present]}
        assert timecode(np.int64(example.time_ms)).astype(np.float32).tobytes() not in codes


def test_the_target_is_asked_for_from_the_ten_days_around_it(examples):
    for example in examples:
        ends = [np.int64(example.time_ms + side * PERIOD_DAYS * DAY_MS // 2) for side in (-1, 1)]
        target = example.batch.targets["sentinel2"]
        np.testing.assert_array_equal(target.period, period_code(*ends).astype(np.float32))
        np.testing.assert_array_equal(target.time_code, relative_timecode(np.asarray(0.5)).astype(np.float32))


def test_all_examples_have_one_shape(examples):
    assert len({str(jax.tree.map(np.shape, example.batch)) for example in examples}) == 1


def test_persistence_comes_from_the_inputs_alone(examples):
    for example in examples:
        distance = np.abs(example.batch.targets["sentinel2"].pixels - example.persistence)
        assert distance.mean() > 0.5, "of noise, nothing is known"


def test_the_same_examples_are_made_each_time(examples):
    again = validation_examples(SITE, HELD, TIMES, CONFIG)
    assert all(jax.tree.leaves(jax.tree.map(np.array_equal, examples, again)))


def test_no_clear_frame_is_told():
    cloudy = replace(SITE, series={"sentinel2": replace(SITE.series["sentinel2"], valid=np.zeros_like(SERIES.valid))})
    sentence = error_message(validation_examples, cloudy, HELD, TIMES, CONFIG)
    assert "site small, source sentinel2: no held-out frame has a share of valid pixels of at least 0.1" in sentence


def _sites(number: int):
    return [small_site(seed, f"site{seed}") for seed in range(number)]


def test_examples_of_many_sites_are_not_in_memory_all_at_once():
    """Nobody keeps one but who asked for it."""
    examples = validation_example_of_each(_sites(3), HELD, CONFIG)
    pixels = [weakref.ref(example.batch.frames["sentinel2"].pixels) for example in examples]
    assert len(pixels) == len(examples) == 3
    assert not any(kept() is not None for kept in pixels[:-1])


def test_host_keeps_only_frames_of_its_own_sequences(monkeypatch):
    """Of a batch of two, the second: and of all examples what scores and pictures need."""
    monkeypatch.setattr("aef_jax.evaluation.validation.host_rows", lambda *_: [1])
    config = replace(CONFIG, training=replace(CONFIG.training, batch=2))
    whole = validation_example_of_each(_sites(3), HELD, config)
    kept = Evaluator(HELD, config, single_device_mesh(), max_examples=3).without_unused_frames(whole)
    for location, (example, expected) in enumerate(zip(kept, whole, strict=True)):
        assert _same(example._replace(batch=None), expected._replace(batch=None))
        assert _same(example.batch._replace(frames={}), expected.batch._replace(frames={}))
        frames, theirs = example.batch.frames, expected.batch.frames
        assert jax.tree.map(_form, frames) == jax.tree.map(_form, theirs)
        if location == 1:
            assert _same(frames, theirs)
        else:
            assert not any(each.present.any() for each in frames.values())
            assert sum(leaf.base.nbytes for leaf in jax.tree.leaves(frames)) < 100


def test_padding_sequences_change_nothing(quick_compiles):
    """A host that fills up a batch may have no frames of its last example."""
    config = replace(BRIEF, data=CONFIG.data, training=replace(BRIEF.training, batch=4))
    schema = held_by(config)
    evaluator = Evaluator(schema, config, single_device_mesh(), max_examples=4)
    params = init_state(config, single_device_mesh()).params
    examples = list(validation_example_of_each(_sites(3), schema, config))
    nothing = {name: t._replace(valid=np.zeros_like(t.valid)) for name, t in examples[2].batch.targets.items()}
    last = examples[2]._replace(batch=examples[2].batch._replace(targets=nothing))
    found = [evaluator(params, [*examples[:2], each]) for each in (last, last.without_frames())]
    assert found[0].errors == found[1].errors
    assert np.isfinite(list(found[0].errors.values())).all()
    assert np.isfinite(found[1].reconstructions[2].embedding).all()


def _same(one, other) -> bool:
    return all(jax.tree.leaves(jax.tree.map(np.array_equal, one, other)))


def _form(x: np.ndarray) -> tuple:
    return x.shape, x.dtype
