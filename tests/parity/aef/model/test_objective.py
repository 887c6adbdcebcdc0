"""The objective of one step and its gradient agree in both frameworks, in float64 to the last digits."""

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
import torch

from configs.batch import Batch
from configs.fake_batch import random_batch
from configs.sources import SOURCES
from parity.capture.tensors import to_tensor
from tests.support.contracts import plain_losses
from tests.support.contracts.both_objectives import (
    Result,
    assert_same,
    by_jax,
    by_torch,
    distances,
    doubled,
    torch_model,
)
from tests.support.data.sample_batch import SHRUNK

CONFIG = replace(SHRUNK, model=replace(SHRUNK.model, num_blocks=1, compute_dtype="float64"), sources=SOURCES)
BOUND = 1e-13
BATCH, NOISE = doubled(random_batch(CONFIG, sequences=3))
TERMS = {"reconstruction": 1, "uniformity": 0.05, "consistency": 0.02, "text": 0.001}

pytestmark = pytest.mark.usefixtures("one_thread")
both = pytest.mark.parametrize("compute", [by_jax, by_torch])


@cache
def _expected(compute) -> Result:
    return compute(CONFIG, BATCH, NOISE)


def _changed(compute, batch: Batch) -> set[str]:
    """Return the terms that differ from those of `BATCH`."""
    expected, _ = _expected(compute)
    terms, _ = compute(CONFIG, batch, NOISE)
    return {name for name, term in terms.items() if term != expected[name]}


@pytest.mark.slow
def test_loss_terms_and_gradients_agree():
    for result, truth in zip(_expected(by_jax), _expected(by_torch), strict=True):
        far = distances(result, truth)
        assert {name: distance for name, distance in far.items() if not distance <= BOUND} == {}


def test_every_parameter_has_a_gradient():
    terms, gradients = _expected(by_torch)
    assert terms.keys() == {f"reconstruction/{source.name}" for source in CONFIG.decoded_sources} | {*TERMS, "loss"}
    assert {name for name, gradient in gradients.items() if not gradient.any()} == set()


@pytest.mark.slow
@both
def test_the_loss_is_the_weighted_sum_of_its_terms(compute):
    terms, _ = _expected(compute)
    errors = [terms[f"reconstruction/{source.name}"] for source in CONFIG.decoded_sources]
    mean = np.average(errors, weights=[source.weight for source in CONFIG.decoded_sources])
    assert terms["reconstruction"] == pytest.approx(mean, rel=1e-14)
    assert min(terms.values()) > 1e-3
    assert terms["loss"] == pytest.approx(sum(weight * terms[name] for name, weight in TERMS.items()), rel=1e-14)


@pytest.mark.slow
@both
def test_with_all_bands_it_computes_what_architecture_1_does(compute):
    """Architecture 1 does not see which bands are missing. Without missing bands their vectors have no gradient."""
    frames = {name: f._replace(bands=f.bands | f.present[..., None]) for name, f in BATCH.frames.items()}
    assert _changed(compute, BATCH._replace(frames=frames)) >= {"uniformity", "consistency", "text", "loss"}
    terms, gradients = compute(CONFIG, BATCH._replace(frames=frames), NOISE)
    added = {name for name in gradients if "missing_bands" in name}
    assert len(added) == len(CONFIG.input_sources)
    assert not any(gradients[name].any() for name in added)
    before = replace(CONFIG, model=replace(CONFIG.model, architecture=1))
    shared = {name: gradient for name, gradient in gradients.items() if name not in added}
    assert_same((terms, shared), compute(before, BATCH, NOISE))


@pytest.mark.slow
@both
def test_student_frames_affect_only_consistency(compute):
    name = "sentinel2"
    index, present = BATCH.student[name]
    others = {**BATCH.student, name: BATCH.student[name]._replace(index=(index + 1) % 3)}
    fewer = {**BATCH.student, name: BATCH.student[name]._replace(present=np.zeros_like(present))}
    for student in (others, fewer):
        assert _changed(compute, BATCH._replace(student=student)) == {"consistency", "loss"}


@pytest.mark.slow
@both
def test_student_with_all_frames_equals_the_teacher_in_any_order(compute):
    present = np.array([True, True, False])
    frames = {name: f._replace(present=f.present & present) for name, f in BATCH.frames.items()}
    backwards = np.tile(np.array([1, 0], np.int32), (len(NOISE.radial), 1))
    student = {
        name: BATCH.student[name]._replace(index=backwards, present=f.present[:, [1, 0]]) for name, f in frames.items()
    }
    terms, _ = compute(CONFIG, BATCH._replace(frames=frames, student=student), NOISE)
    assert abs(terms["consistency"]) < 1e-15
    assert _expected(compute)[0]["consistency"] > 1e-3


@pytest.mark.slow
@both
def test_absent_or_invalid_values_have_no_influence(compute):
    def absent(array, present, anything=np.nan):
        return np.where(present.reshape(*present.shape, *[1] * (array.ndim - present.ndim)), array, anything)

    def invalid(array, valid):
        return np.where(valid, array, array.dtype.type(np.nan if array.dtype == float else -1))

    frames = {
        name: f._replace(pixels=absent(f.pixels, f.present), timecodes=absent(f.timecodes, f.present))
        for name, f in BATCH.frames.items()
    }
    student = {
        name: s._replace(index=absent(s.index, s.present, np.int32(anything)))
        for (name, s), anything in zip(BATCH.student.items(), (-1, 99, -(2**31)), strict=True)
    }
    targets = {name: t._replace(pixels=invalid(t.pixels, t.valid)) for name, t in BATCH.targets.items()}
    here = BATCH.text.present
    text = BATCH.text._replace(
        sentence=absent(BATCH.text.sentence, here),
        pixel=absent(BATCH.text.pixel, here, np.int32(10**6)),
        period=absent(BATCH.text.period, here),
    )
    assert all(np.isnan(x).any() for x in (frames["sentinel1"].pixels, targets["sentinel1"].pixels, text.period))
    assert all((s.index < 0).any() or (s.index > 3).any() for s in student.values())
    result = compute(CONFIG, Batch(frames, student, targets, BATCH.shared_period, text), NOISE)
    assert_same(result, _expected(compute))


@pytest.mark.slow
@both
def test_text_affects_only_its_own_term(compute):
    for field in ("sentence", "pixel", "period"):
        rolled = BATCH.text._replace(**{field: np.roll(getattr(BATCH.text, field), 1, axis=0)})
        assert _changed(compute, BATCH._replace(text=rolled)) == {"text", "loss"}, field


@pytest.mark.slow
@both
def test_text_term_is_clip_on_the_field_at_its_pixel_and_period(compute):
    model, text = torch_model(CONFIG), BATCH.text
    with torch.no_grad():
        frames = {name: type(f)(*map(to_tensor, f)) for name, f in BATCH.frames.items()}
        fields = model(frames, to_tensor(text.period[:, None])).numpy()[:, 0]
        directions = model.embed_text(to_tensor(text.sentence), to_tensor(text.period)).numpy()
    mu = np.stack([field[row, column] for field, (row, column) in zip(fields, text.pixel, strict=True)])
    expected = plain_losses.clip(mu, directions, text.present, CONFIG.objective.temperature)
    assert _expected(compute)[0]["text"] == pytest.approx(expected, rel=1e-13)
