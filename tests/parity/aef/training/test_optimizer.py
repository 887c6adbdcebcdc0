"""Adam, the learning-rate schedule and clipping equal PyTorch's up to rounding, unlike optax's own Adam."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import torch
from torch import nn

import aef_jax.training.optimizer
import aef_torch.training.optimizer
from aef_jax.training.optimizer import bias_correction, scale_by_adam
from configs.training import TrainingConfig

STEPS, RATE = 100, 1e-3
START = np.random.default_rng(0).standard_normal(2_000)
GRADIENTS = np.random.default_rng(1).standard_normal((STEPS, 2_000)) * np.exp(np.linspace(-12, 4, 2_000))
TRAINING = TrainingConfig(steps=100_000, warmup_steps=1_000)


def _by_optax(adam: optax.GradientTransformation, decay: float, dtype: str, steps: int = STEPS) -> np.ndarray:
    optimizer = optax.chain(adam, optax.add_decayed_weights(decay), optax.scale_by_learning_rate(RATE))
    with jax.enable_x64(dtype == "float64"):
        params = jnp.asarray(START, dtype)
        state = optimizer.init(params)

        @jax.jit
        def step(params, state, gradient):
            updates, state = optimizer.update(gradient, state, params)
            return optax.apply_updates(params, updates), state

        for gradient in GRADIENTS[:steps].astype(dtype):
            params, state = step(params, state, gradient)
        return np.asarray(params, np.float64)


def _by_torch(kind: type[torch.optim.AdamW], decay: float, dtype: str, steps: int = STEPS) -> np.ndarray:
    parameter = nn.Parameter(torch.tensor(START.astype(dtype)))
    optimizer = kind([parameter], lr=RATE, weight_decay=decay)
    for gradient in GRADIENTS[:steps].astype(dtype):
        parameter.grad = torch.from_numpy(gradient)
        optimizer.step()
    return parameter.detach().double().numpy()


def _far(actual: np.ndarray, truth: np.ndarray) -> float:
    return float(np.linalg.norm(actual - truth) / np.linalg.norm(truth))


@pytest.mark.slow
@pytest.mark.parametrize("decay", [0.0, 0.01])
def test_float64_adam_with_decay_equals_pytorchs(decay):
    expected = _by_torch(torch.optim.AdamW, decay, "float64")
    assert _far(_by_optax(scale_by_adam(), decay, "float64"), expected) < 1e-14
    assert _far(_by_torch(aef_torch.training.optimizer.AdamW, decay, "float64"), expected) < 1e-14


@pytest.mark.slow
def test_float32_100_steps_of_adam_equal_pytorchs():
    assert _far(_by_optax(scale_by_adam(), 0, "float32"), _by_torch(torch.optim.AdamW, 0, "float32")) < 1e-7


@pytest.mark.slow
def test_float32_100_adamw_steps_match_reference_not_pytorch():
    exact = _by_torch(torch.optim.AdamW, 0.01, "float64")
    by_jax, by_torch = (
        _by_optax(scale_by_adam(), 0.01, "float32"),
        _by_torch(aef_torch.training.optimizer.AdamW, 0.01, "float32"),
    )
    assert _far(by_jax, by_torch) < 1e-7
    assert max(_far(by_jax, exact), _far(by_torch, exact)) < 5e-7
    assert _far(_by_torch(torch.optim.AdamW, 0.01, "float32"), exact) > 1e-6


def _first_update(adam: optax.GradientTransformation) -> float:
    """Return Adam's update for a gradient of 1 at its first step: 1 / (1 + 1e-8) in exact arithmetic."""
    update, _ = adam.update(jnp.ones(()), adam.init(jnp.ones(())))
    return float(update)


def test_first_step_is_exact_but_optax_is_many_ulps_off():
    assert abs(_first_update(scale_by_adam()) - 1) < 1.2e-7
    assert abs(_first_update(optax.scale_by_adam()) - 1) > 5e-6


@pytest.mark.parametrize("count", [1, 2, 3, 10, 1_000, 36_999, 37_000, 10**6])
def test_the_bias_correction_is_rounded_once(count):
    exact = -np.expm1(count * np.log1p(-0.001))
    assert float(bias_correction(0.999, jnp.asarray(count))) == pytest.approx(exact, rel=6e-8)
    with jax.enable_x64(True):
        assert float(bias_correction(0.999, jnp.asarray(count))) == pytest.approx(1 - 0.999**count, rel=2e-13)


@pytest.mark.parametrize("training", [TRAINING, replace(TRAINING, warmup_steps=0)])
def test_both_learning_rate_schedules_are_equal(training):
    steps = [0, 1, 500, 999, 1_000, 1_001, 50_000, 99_998, 99_999, 100_000, 100_001]
    rates = [float(aef_jax.training.optimizer.learning_rate(training)(step)) for step in steps]
    assert rates == pytest.approx(
        [aef_torch.training.optimizer.learning_rate(training)(step) for step in steps], rel=3e-7
    )


@pytest.mark.parametrize("bound", [1e-3, 1.0, 5.0, 1e3])
def test_clipping_scales_to_exactly_the_bound(bound):
    """The gradient's norm is 5: below, above and equal to the bound."""
    gradients = [np.array([3.0, 0.0], np.float32), np.array([[4.0]], np.float32)]
    clipped = optax.clip_by_global_norm(bound).update(list(map(jnp.asarray, gradients)), optax.EmptyState())[0]
    tensors = list(map(torch.from_numpy, gradients))
    expected = aef_torch.training.optimizer.clip_by_global_norm(tensors, torch.nn.utils.get_total_norm(tensors), bound)
    for jax_array, tensor in zip(clipped, expected, strict=True):
        np.testing.assert_array_equal(np.asarray(jax_array), tensor.numpy())
    assert float(torch.nn.utils.get_total_norm(expected)) == pytest.approx(min(bound, 5), rel=1e-7)
