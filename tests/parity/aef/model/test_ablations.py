"""A term of weight 0 has no value, no gradient and no forward pass, and both frameworks agree."""

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from functools import cache

import jax
import numpy as np
import pytest
from flax import nnx

import aef_jax.training.objective
import aef_torch.training.objective
from configs.batch import Batch, BottleneckNoise
from configs.config import Config
from configs.fake_batch import random_batch
from configs.objective import ObjectiveConfig
from configs.sources import GLO30, LANDSAT, SENTINEL2, TEXT
from parity.aef.model import abstract_jax
from parity.capture.tensors import to_tensor
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
from tests.support.refusals import error_message

BOUND = 1e-13
WHOLE: Config = replace(
    SHRUNK,
    model=replace(SHRUNK.model, num_blocks=1, compute_dtype="float64"),
    # without the 13 shifts, which would all be compiled
    sources=(replace(SENTINEL2, shift_invariant_m=0), LANDSAT, GLO30, TEXT),
)
BATCH, NOISE = doubled(random_batch(WHOLE, side=16, sequences=3))
PASSES = {"encoder": 2, "decoders": 3, "text_head": 1}
"""The number of calls of each part of the model in one step with all terms."""

pytestmark = pytest.mark.usefixtures("one_thread")
both = pytest.mark.parametrize("compute", [by_jax, by_torch])


def _with(**fields: float | bool) -> Config:
    return replace(WHOLE, objective=replace(WHOLE.objective, **fields))


def _nan(tree):
    """Replace arrays by useless ones of the same shapes: NaN, or an index out of range."""
    return jax.tree.map(lambda x: np.full_like(x, np.nan if x.dtype == np.float64 else x.dtype.type(-1)), tree)


def _unreadable_targets(batch: Batch) -> Batch:
    """Make everything useless except the periods, which uniformity needs."""
    return batch._replace(targets={name: _nan(t)._replace(period=t.period) for name, t in batch.targets.items()})


ABLATIONS: dict[str, tuple[dict, set[str], dict[str, int], Callable[[Batch], Batch], BottleneckNoise]] = {
    "consistency": (
        {"consistency": 0},
        {"consistency"},
        {"encoder": 1},
        lambda batch: batch._replace(student=_nan(batch.student)),
        NOISE,
    ),
    "text": ({"text": 0}, {"text"}, {"text_head": 0}, lambda batch: batch._replace(text=_nan(batch.text)), NOISE),
    "reconstruction": (
        {"reconstruction": 0},
        {"reconstruction", *(f"reconstruction/{source.name}" for source in WHOLE.decoded_sources)},
        {"decoders": 0},
        _unreadable_targets,
        _nan(NOISE),
    ),
    # both in one case, since each case compiles another program
    "uniformity and noise": ({"uniformity": 0, "noise": False}, {"uniformity"}, {}, lambda batch: batch, _nan(NOISE)),
}
"""The settings, the removed terms, the changed passes, and the unused values of the batch and the noise."""


@cache
def _computed(compute, config: Config) -> Result:
    return compute(config, BATCH, NOISE)


@pytest.mark.slow
@both
@pytest.mark.parametrize("name", ABLATIONS)
def test_an_ablated_term_is_absent_and_has_no_influence(compute, name):
    fields, gone, _, spoilt, noise = ABLATIONS[name]
    terms, gradients = _computed(compute, _with(**fields))
    whole, _ = _computed(by_torch, WHOLE)
    assert whole.keys() - terms.keys() == gone
    assert all(np.isfinite(gradient).all() for gradient in gradients.values())
    assert_same(compute(_with(**fields), spoilt(BATCH), noise), (terms, gradients))


@pytest.mark.slow
@pytest.mark.parametrize("name", ABLATIONS)
def test_frameworks_agree_on_the_remaining_terms(name):
    config = _with(**ABLATIONS[name][0])
    for result, truth in zip(_computed(by_jax, config), _computed(by_torch, config), strict=True):
        far = distances(result, truth)
        assert {name: distance for name, distance in far.items() if not distance <= BOUND} == {}


@pytest.mark.parametrize("name", ["consistency", "text", "reconstruction", "uniformity"])
def test_terms_and_gradients_add_up(name):
    """An ablation reduces the loss and its gradient by exactly the term's own."""
    others = {"reconstruction": 0, "uniformity": 0, "consistency": 0, "text": 0}
    alone = _with(**{**others, name: getattr(WHOLE.objective, name)})
    configs = WHOLE, _with(**{name: 0}), alone
    (whole, gradients), (left, rest), (taken, share) = (_computed(by_torch, config) for config in configs)
    assert left.keys() | taken.keys() == whole.keys()
    assert left.keys() & taken.keys() == {"loss"}
    assert whole["loss"] == pytest.approx(left["loss"] + taken["loss"], rel=1e-14)
    for parameter, gradient in gradients.items():
        np.testing.assert_allclose(rest[parameter] + share[parameter], gradient, atol=1e-12, err_msg=parameter)
    assert any(gradient.any() for gradient in share.values())


@pytest.mark.parametrize("name", [None, *ABLATIONS])
def test_an_ablated_term_is_not_computed(name):
    """Count PyTorch's calls; tests/configs/test_flops.py has XLA's own count."""
    fields, changed = ({}, {}) if name is None else (ABLATIONS[name][0], ABLATIONS[name][2])
    config, model, calls = _with(**fields), torch_model(WHOLE), Counter()
    parts = [("encoder", model.encoder), ("text_head", model.text_head)]
    parts += [("decoders", decoder) for decoder in model.decoders.values()]
    hooks = [part.register_forward_hook(lambda *_, of=of: calls.update([of])) for of, part in parts]
    try:
        aef_torch.training.objective.objective(model, *jax.tree.map(to_tensor, (BATCH, NOISE)), config)
    finally:
        for hook in hooks:
            hook.remove()
    assert calls == Counter({**PASSES, **changed})


@pytest.mark.slow
@both
def test_without_noise_decoders_see_the_mean_direction_itself(compute):
    still = NOISE._replace(radial=np.zeros_like(NOISE.radial))
    expected, _ = compute(WHOLE, BATCH, still)
    terms, _ = _computed(compute, _with(uniformity=0, noise=False))
    noisy, _ = _computed(compute, WHOLE)
    for source in WHOLE.decoded_sources:
        name = f"reconstruction/{source.name}"
        assert terms[name] == pytest.approx(expected[name], rel=1e-12)
        assert terms[name] != pytest.approx(noisy[name], rel=1e-4)


def test_a_batch_without_text_has_no_term_for_it():
    assert_same(by_torch(WHOLE, BATCH._replace(text=None), NOISE), _computed(by_torch, _with(text=0)))


@pytest.mark.slow
@both
@pytest.mark.parametrize("present", [(False, False, False), (False, True, False)])
def test_no_text_or_one_alone_teaches_nothing(compute, present):
    terms, gradients = compute(WHOLE, BATCH._replace(text=BATCH.text._replace(present=np.array(present))), NOISE)
    _, expected = _computed(compute, _with(text=0))
    assert terms["text"] == 0
    far = distances(gradients, expected)
    assert {name: distance for name, distance in far.items() if not distance <= BOUND} == {}


@pytest.mark.slow
@both
def test_only_present_sources_have_gradients(compute):
    """A batch with only Sentinel-2 and no text trains no other parameters, like a model without them."""
    batch = Batch(*({"sentinel2": part["sentinel2"]} for part in BATCH[:3]), shared_period=BATCH.shared_period)
    noise = BottleneckNoise(NOISE.radial[:, :1], NOISE.direction[:, :1])
    terms, gradients = compute(WHOLE, batch, noise)
    assert terms.keys() == {"reconstruction/sentinel2", "reconstruction", "uniformity", "consistency", "loss"}
    alone_terms, alone = compute(replace(WHOLE, sources=WHOLE.sources[:1]), batch, noise)
    assert terms == pytest.approx(alone_terms, rel=1e-14)
    others = gradients.keys() - alone.keys()
    assert {".".join(name.split(".")[:2]) for name in others} >= {"source_encoders.landsat", "decoders.glo30"}
    assert not any(gradients[name].any() for name in others)
    far = distances({name: gradients[name] for name in alone}, alone)
    assert {name: distance for name, distance in far.items() if not distance <= BOUND} == {}


def _refused(framework: str, config: Config, batch: Batch) -> str:
    noise = jax.tree.map(lambda x: x[:, : len(batch.targets)], NOISE)
    if framework == "torch":
        return error_message(
            aef_torch.training.objective.objective, torch_model(WHOLE), *jax.tree.map(to_tensor, (batch, noise)), config
        )
    graph, state = nnx.split(abstract_jax(WHOLE))

    def loss(state, batch, noise):
        return aef_jax.training.objective.objective(nnx.merge(graph, state), batch, noise, config)

    with jax.enable_x64(True):
        return error_message(jax.eval_shape, loss, state, batch, noise)


@pytest.mark.slow
@pytest.mark.parametrize("framework", ["jax", "torch"])
def test_a_batch_with_nothing_to_learn_from_is_refused(framework):
    text_alone = replace(WHOLE, objective=ObjectiveConfig(0, 0, 0, text=1))
    assert "only the text term has a weight" in _refused(framework, text_alone, BATCH._replace(text=None))
    weightless = replace(WHOLE, sources=(SENTINEL2, replace(LANDSAT, weight=0), GLO30, TEXT))
    landsat_alone = BATCH._replace(targets={"landsat": BATCH.targets["landsat"]})
    assert "targets of ['landsat'] only, whose weights are 0" in _refused(framework, weightless, landsat_alone)
