"""The bottleneck's samples have a von Mises-Fisher distribution."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.test_util import check_grads

from aef_jax.model.bottleneck import sample_noise, von_mises_fisher
from aef_jax.model.layers import unit
from configs.batch import BottleneckNoise
from tests.support.contracts.von_mises_fisher import CASES, NUMBER, assert_radial, assert_sample, random_mean


def _noise(dimension: int, kappa: float, shape: tuple[int, ...] = (NUMBER,), seed: int = 0) -> BottleneckNoise:
    return jax.jit(sample_noise, static_argnums=(1, 2, 3))(jax.random.key(seed), shape, dimension, kappa)


@pytest.mark.slow
@pytest.mark.parametrize(("dimension", "kappa"), CASES)
def test_distribution(dimension, kappa):
    noise, mean = _noise(dimension, kappa), random_mean(dimension)
    assert_radial(np.asarray(noise.radial), dimension, kappa)
    sample = von_mises_fisher(jnp.broadcast_to(mean, (NUMBER, dimension)), noise)
    assert_sample(np.asarray(sample), np.asarray(noise.radial), mean)


@pytest.mark.slow
def test_noise_is_its_keys():
    first, again, other = (_noise(8, 3.0, (2, 5), seed) for seed in (0, 0, 1))
    assert first.radial.shape == (2, 5)
    assert first.direction.shape == (2, 5, 8)
    for actual, same, different in zip(first, again, other, strict=True):
        np.testing.assert_array_equal(actual, same)
        assert not np.isin(actual, different).any()


@pytest.mark.slow
def test_gradient_reaches_the_mean():
    with jax.enable_x64(True):
        noise = jax.tree.map(lambda draw: jnp.asarray(draw, jnp.float64), _noise(8, 3.0, (5,)))
        x = jax.random.normal(jax.random.key(0), (5, 8), jnp.float64)
        check_grads(lambda x: von_mises_fisher(unit(jnp.asarray(x)), noise), (x,), order=1)
        gradient = jax.grad(lambda x: von_mises_fisher(unit(x), noise)[:, 0].sum())(x)
        assert (jnp.linalg.norm(gradient, axis=-1) > 1e-3).all()
