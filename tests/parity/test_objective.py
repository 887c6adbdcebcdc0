"""The objective of one step, and its gradient, are the same in both frameworks, in float64 to the last digits."""

from collections.abc import Callable
from dataclasses import replace
from functools import cache

import jax
import numpy as np
import pytest
import torch
from flax import nnx
from sample_batch import SHRUNK, random_batch

import aef_jax.objective
import aef_torch.objective
from aef_torch.model import AlphaEarth
from configs.batch import Batch
from configs.sources import SOURCES
from parity.model import abstract_jax
from parity.tensors import load_torch, to_tensor, torch_arrays
from parity.weights import to_jax, to_torch

CONFIG = replace(SHRUNK, model=replace(SHRUNK.model, blocks=1, compute_dtype="float64"), sources=SOURCES)
BOUND = 1e-13

Result = tuple[dict[str, np.ndarray], dict[str, np.ndarray]]
"""Terms by name, the loss among them; and the loss's gradient by PyTorch's names of the parameters."""


def _doubled(tree):
    return jax.tree.map(lambda leaf: leaf.astype(np.float64) if leaf.dtype == np.float32 else leaf, tree)


BATCH, NOISE = _doubled(random_batch(CONFIG))


@cache
def _weights() -> dict[str, np.ndarray]:
    """No bias stays 0, no scale 1: a test would not see them."""
    torch.manual_seed(0)
    generator = np.random.default_rng(0)
    initial = torch_arrays(AlphaEarth(CONFIG))
    return {name: array + generator.standard_normal(array.shape) / 10 for name, array in initial.items()}


@cache
def _torch_model() -> AlphaEarth:
    model = AlphaEarth(CONFIG).double()
    load_torch(model, _weights())
    return model


def by_torch(batch: Batch) -> Result:
    model = _torch_model()
    given, noise = jax.tree.map(to_tensor, (batch, NOISE))
    loss, terms = aef_torch.objective.objective(model, given, noise, CONFIG)
    gradients = torch.autograd.grad(loss, list(model.parameters()), materialize_grads=True)
    named = zip(dict(model.named_parameters()), gradients, strict=True)
    return {name: term.detach().numpy() for name, term in terms.items()}, {name: g.numpy() for name, g in named}


@cache
def _jax_function():
    """The structure of the model, and the compiled function of its state and a batch."""
    graph, state = nnx.split(abstract_jax(CONFIG))
    structure = nnx.merge(graph, jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape, np.float64), state))

    def loss_and_terms(state, batch, noise):
        return aef_jax.objective.objective(nnx.merge(graph, state), batch, noise, CONFIG)

    # what is tested is the program, not how well it is optimised
    options = {"xla_backend_optimization_level": 0}
    return structure, jax.jit(jax.grad(loss_and_terms, has_aux=True), compiler_options=options)


def by_jax(batch: Batch) -> Result:
    with jax.enable_x64(True), jax.default_matmul_precision("highest"):
        structure, gradients_and_terms = _jax_function()
        gradients, terms = gradients_and_terms(to_jax(structure, _weights()), batch, NOISE)
        return jax.tree.map(np.asarray, terms), to_torch(structure, gradients)


@pytest.fixture(autouse=True, scope="module")
def _one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)  # the model is tiny: threads would mostly wait for one another
    torch.erf(torch.ones(64, dtype=torch.float64))  # a process's first one has been seen to be off by 3e-11
    yield
    torch.set_num_threads(before)


@cache
def _expected(compute: Callable[[Batch], Result]) -> Result:
    return compute(BATCH)


def _distance(found: np.ndarray, truth: np.ndarray) -> float:
    """Relative L2; of what is zero, only zero is not infinitely far."""
    size, error = np.linalg.norm(truth), np.linalg.norm(found - truth)
    return error / size if size else np.inf * error if error else 0.0


def _without_influence(compute: Callable[[Batch], Result], batch: Batch):
    for found, expected in zip(compute(batch), _expected(compute), strict=True):
        for name, array in expected.items():
            np.testing.assert_array_equal(found[name], array, err_msg=name, strict=True)


def test_loss_terms_and_gradients_agree():
    for found, truth in zip(_expected(by_jax), _expected(by_torch), strict=True):
        assert found.keys() == truth.keys()
        assert {array.dtype for array in (*found.values(), *truth.values())} == {np.dtype(np.float64)}
        distances = {name: _distance(found[name], array) for name, array in truth.items()}
        assert {name: distance for name, distance in distances.items() if not distance <= BOUND} == {}


def test_every_parameter_is_learned_from_but_the_text_heads():
    terms, gradients = _expected(by_torch)
    expected = {f"reconstruction/{source.name}" for source in CONFIG.decoded_sources}
    assert terms.keys() == expected | {"reconstruction", "uniformity", "consistency", "loss"}
    assert {name.split(".")[0] for name, gradient in gradients.items() if not gradient.any()} == {"text_head"}


@pytest.mark.parametrize("compute", [by_jax, by_torch])
def test_the_loss_is_the_weighted_sum_of_its_terms(compute):
    terms, _ = _expected(compute)
    errors = [terms[f"reconstruction/{source.name}"] for source in CONFIG.decoded_sources]
    mean = np.average(errors, weights=[source.weight for source in CONFIG.decoded_sources])
    assert terms["reconstruction"] == pytest.approx(mean, rel=1e-14)
    assert terms["loss"] == pytest.approx(mean + 0.05 * terms["uniformity"] + 0.02 * terms["consistency"], rel=1e-14)


@pytest.mark.parametrize("compute", [by_jax, by_torch])
def test_the_students_mask_has_effect_on_consistency_alone(compute):
    seen = {name: frames.present for name, frames in BATCH.frames.items()}
    terms, _ = compute(BATCH._replace(student_present=seen))
    expected, _ = _expected(compute)
    assert expected["consistency"] > 1e-3
    assert abs(terms["consistency"]) < 1e-15  # it sees what the teacher sees
    assert {name for name, term in terms.items() if term != expected[name]} == {"consistency", "loss"}


@pytest.mark.parametrize("compute", [by_jax, by_torch])
def test_what_is_absent_or_invalid_has_no_influence(compute):
    def absent(array, present):
        return np.where(present.reshape(*present.shape, *[1] * (array.ndim - 2)), array, np.nan)

    def invalid(array, valid):
        return np.where(valid, array, array.dtype.type(np.nan if array.dtype == float else -1))

    frames = {
        name: f._replace(pixels=absent(f.pixels, f.present), timecodes=absent(f.timecodes, f.present))
        for name, f in BATCH.frames.items()
    }
    targets = {name: t._replace(pixels=invalid(t.pixels, t.valid)) for name, t in BATCH.targets.items()}
    assert np.isnan(frames["sentinel1"].pixels).any()
    assert np.isnan(targets["sentinel1"].pixels).any()
    _without_influence(compute, BATCH._replace(frames=frames, targets=targets))
