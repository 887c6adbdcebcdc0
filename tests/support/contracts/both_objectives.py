"""Compute the objective's terms and gradients in float64, in either framework, under the same names."""

from collections.abc import Mapping
from functools import cache

import jax
import numpy as np
import torch
from flax import nnx

import aef_jax.training.objective
import aef_torch.training.objective
from aef_torch.model.alphaearth import AlphaEarth
from configs.batch import Batch, BottleneckNoise
from configs.config import Config
from parity.aef.model import abstract_jax
from parity.aef.random_weights import random_weights
from parity.capture.quick_compile import QUICK
from parity.capture.tensors import load_torch, to_tensor
from parity.mapping.weights import to_jax, to_torch

Number = np.float64 | np.ndarray
Result = tuple[dict[str, np.float64], dict[str, np.ndarray]]
"""Terms by name, the loss among them, and the loss's gradients by PyTorch's parameter names."""


def doubled(tree):
    return jax.tree.map(lambda leaf: leaf.astype(np.float64) if leaf.dtype == np.float32 else leaf, tree)


weights = cache(random_weights)


@cache
def torch_model(config: Config) -> AlphaEarth:
    model = AlphaEarth(config).double()
    load_torch(model, weights(config))
    return model


def by_torch(config: Config, batch: Batch, noise: BottleneckNoise) -> Result:
    model = torch_model(config)
    loss, terms = aef_torch.training.objective.objective(model, *jax.tree.map(to_tensor, (batch, noise)), config)
    gradients = torch.autograd.grad(loss, list(model.parameters()), materialize_grads=True)
    named = zip(dict(model.named_parameters()), gradients, strict=True)
    return {name: term.detach().numpy()[()] for name, term in terms.items()}, {name: g.numpy() for name, g in named}


@cache
def _jax_function(config: Config):
    """Return the model's structure, and the compiled function of its state, a batch and noise."""
    graph, state = nnx.split(abstract_jax(config))
    structure = nnx.merge(graph, jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape, np.float64), state))

    def loss_and_terms(state, batch, noise):
        return aef_jax.training.objective.objective(nnx.merge(graph, state), batch, noise, config)

    # the test is of results, not of speed
    return structure, jax.jit(jax.grad(loss_and_terms, has_aux=True), compiler_options=QUICK)


def by_jax(config: Config, batch: Batch, noise: BottleneckNoise) -> Result:
    with jax.enable_x64(True), jax.default_matmul_precision("highest"):
        structure, gradients_and_terms = _jax_function(config)
        gradients, terms = gradients_and_terms(to_jax(structure, weights(config)), batch, noise)
        return {name: np.asarray(term)[()] for name, term in terms.items()}, to_torch(structure, gradients)


def assert_same(actual: Result, expected: Result) -> None:
    """Assert equality to the last bit."""
    for result, other in zip(actual, expected, strict=True):
        assert result.keys() == other.keys()
        for name, array in other.items():
            np.testing.assert_array_equal(result[name], array, err_msg=name, strict=True)


def distances(actual: Mapping[str, Number], expected: Mapping[str, Number]) -> dict[str, float]:
    """Compute the relative L2 distances by name. Only zero has a finite distance from zero."""
    assert actual.keys() == expected.keys()
    assert {array.dtype for array in (*actual.values(), *expected.values())} == {np.dtype(np.float64)}
    return {name: _distance(actual[name], array) for name, array in expected.items()}


def _distance(actual: Number, expected: Number) -> float:
    size, error = np.linalg.norm(expected), np.linalg.norm(actual - expected)
    return error / size if size else np.inf * error if error else 0.0
