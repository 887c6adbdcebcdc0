"""Validation examples, and the persistence forecast that a model must beat."""

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
from tests.support.data.small_site import CONFIG, SIDE, schema_of, small_site
from tests.support.refusals import error_message

SITE = small_site()
SCHEMA = schema_of()
SERIES = SCHEMA.normalization.apply(SITE, SCHEMA.sources).series["sentinel2"]
TIMES = SERIES.time_ms[::5]
CORNER = SERIES.window(slice(0, 16), slice(0, 16))


@pytest.fixture(scope="module")
def examples():
    return validation_examples(SITE, SCHEMA, TIMES, CONFIG)


def _days(days, values, valid) -> Series:
    """Return a series of one pixel and one band."""
    shape = len(days), 1, 1, 1
    pixels, is_valid = np.reshape(values, shape).astype(np.float32), np.reshape(valid, shape).astype(bool)
    return Series(pixels, is_valid, np.array(days, np.int64) * DAY_MS, np.zeros((len(days), 0), np.float32))


@pytest.mark.parametrize(
    ("valid", "forecast"),
    [
        ([1, 1, 1, 1], 30),  # day 12 is nearer to day 10 than day 7
        ([1, 1, 0, 1], 20),
        ([1, 0, 0, 1], 10),
        ([0, 0, 0, 1], 0),  # only the target itself
    ],
)
def test_persistence_is_the_nearest_valid_frame_not_the_target(valid, forecast):
    days, values = [0, 7, 12, 10], [10, 20, 30, 99]
    order = np.argsort(days)
    series = _days(*(np.array(column)[order] for column in (days, values, valid)))
    assert persistence(series, 10 * DAY_MS).item() == forecast


def test_persistence_of_a_tie_is_the_earlier_frame():
    assert persistence(_days([8, 10, 12], [1, 2, 3], [1, 1, 1]), 10 * DAY_MS).item() == 1


def test_persistence_is_chosen_per_pixel_and_band():
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


def test_target_period_is_the_ten_days_around_it(examples):
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


def test_validation_examples_are_the_same_each_time(examples):
    again = validation_examples(SITE, SCHEMA, TIMES, CONFIG)
    assert all(jax.tree.leaves(jax.tree.map(np.array_equal, examples, again)))


def test_site_without_a_clear_frame_is_refused():
    cloudy = replace(SITE, series={"sentinel2": replace(SITE.series["sentinel2"], valid=np.zeros_like(SERIES.valid))})
    sentence = error_message(validation_examples, cloudy, SCHEMA, TIMES, CONFIG)
    assert (
        "site small, source sentinel2: no validation frame has a fraction of valid pixels of at least 0.1" in sentence
    )


def _sites(number: int):
    return [small_site(seed, f"site{seed}") for seed in range(number)]


def test_examples_of_many_sites_are_not_in_memory_all_at_once():
    """Only the caller keeps an example."""
    examples = validation_example_of_each(_sites(3), SCHEMA, CONFIG)
    pixels = [weakref.ref(example.batch.frames["sentinel2"].pixels) for example in examples]
    assert len(pixels) == len(examples) == 3
    assert not any(reference() is not None for reference in pixels[:-1])


@pytest.mark.slow
def test_host_keeps_only_frames_of_its_own_sequences(monkeypatch):
    """The host computes the second of each two rows. Of the other examples it keeps what scores and pictures need."""
    monkeypatch.setattr("aef_jax.evaluation.validation.host_rows", lambda *_: [1])
    config = replace(CONFIG, training=replace(CONFIG.training, batch=2))
    whole = validation_example_of_each(_sites(3), SCHEMA, config)
    reduced = Evaluator(SCHEMA, config, single_device_mesh(), max_examples=3).without_unused_frames(whole)
    for location, (example, expected) in enumerate(zip(reduced, whole, strict=True)):
        assert _same(example._replace(batch=None), expected._replace(batch=None))
        assert _same(example.batch._replace(frames={}), expected.batch._replace(frames={}))
        frames, expected_frames = example.batch.frames, expected.batch.frames
        assert jax.tree.map(_form, frames) == jax.tree.map(_form, expected_frames)
        if location == 1:
            assert _same(frames, expected_frames)
        else:
            assert not any(each.present.any() for each in frames.values())
            assert sum(leaf.base.nbytes for leaf in jax.tree.leaves(frames)) < 100


@pytest.mark.slow
def test_padding_sequences_change_nothing(quick_compiles):
    """A host that pads a batch may have no frames of its last example."""
    config = replace(BRIEF, data=CONFIG.data, training=replace(BRIEF.training, batch=4))
    schema = schema_of(config)
    evaluator = Evaluator(schema, config, single_device_mesh(), max_examples=4)
    params = init_state(config, single_device_mesh()).params
    examples = list(validation_example_of_each(_sites(3), schema, config))
    nothing = {name: t._replace(valid=np.zeros_like(t.valid)) for name, t in examples[2].batch.targets.items()}
    last = examples[2]._replace(batch=examples[2].batch._replace(targets=nothing))
    evaluations = [evaluator(params, [*examples[:2], each]) for each in (last, last.without_frames())]
    assert evaluations[0].errors == evaluations[1].errors
    assert np.isfinite(list(evaluations[0].errors.values())).all()
    assert np.isfinite(evaluations[1].reconstructions[2].embedding).all()


def _same(tree, other) -> bool:
    return all(jax.tree.leaves(jax.tree.map(np.array_equal, tree, other)))


def _form(x: np.ndarray) -> tuple:
    return x.shape, x.dtype
