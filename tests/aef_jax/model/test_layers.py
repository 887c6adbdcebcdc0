"""Layers with gradients of their own compute the same gradients as JAX."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from aef_jax.model.layers import Down


def _gradients(x: np.ndarray, cells: np.ndarray):
    """Compute the gradients to x and to the kernel, of `Down` and of Flax's own convolution."""
    layer = Down(x.shape[-1], cells.shape[-1], rngs=nnx.Rngs(0))
    nnx.update(layer, jax.tree.map(lambda parameter: parameter.astype(x.dtype), nnx.state(layer)))

    def product(call):
        return nnx.grad(lambda layer, x: jnp.vdot(call(layer, x), cells), argnums=(0, 1))(layer, x)

    actual, expected = product(Down.__call__), product(nnx.Conv.__call__)
    return [(to_x, to_layer["kernel"][...]) for to_layer, to_x in (actual, expected)]


@pytest.mark.slow
@pytest.mark.parametrize("side", [2, 4, 6])
def test_downsampling_gradients_equal_the_convolutions(side):
    random = np.random.default_rng(0)
    with jax.enable_x64(True):
        x, cells = random.normal(size=(2, 3, side, 2 * side, 5)), random.normal(size=(2, 3, side // 2, side, 7))
        for actual, expected in zip(*_gradients(x, cells), strict=True):
            assert actual.dtype == np.float64
            np.testing.assert_allclose(actual, expected, rtol=1e-13, atol=1e-13)


@pytest.mark.slow
@pytest.mark.parametrize(("platform", "dilated"), [("cpu", False), ("cuda", True), ("tpu", True)])
def test_only_a_cpu_is_spared_the_zeros_between_the_cells(platform, dilated):
    layer, x = Down(3, 5, rngs=nnx.Rngs(0)), jnp.ones((1, 2, 4, 4, 3))
    gradient = jax.jit(jax.grad(lambda x: layer(x).sum())).trace(x)
    program = gradient.lower(lowering_platforms=(platform,)).as_text()
    assert "stablehlo.convolution" in program
    assert ("lhs_dilate = [2, 2]" in program) == dilated
