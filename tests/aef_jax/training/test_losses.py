"""The objective's terms in JAX meet the contract."""

from functools import cache, partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from aef_jax.training import losses
from tests.support.contracts.loss_contract import LossContract


@cache
def _compiled(name, source, by, **options):
    function = partial(getattr(losses, name), *() if source is None else (source,), **options)
    # the test is of results, not of speed
    return jax.jit(jax.value_and_grad(function, by), compiler_options={"xla_backend_optimization_level": 0})


class TestLosses(LossContract):
    def value_and_gradient(self, name, *arrays, source=None, by=0, **options):
        with jax.enable_x64(True):
            return tuple(map(np.asarray, _compiled(name, source, by, **options)(*arrays)))

    def regrid(self, x, valid, side, offset):
        with jax.enable_x64(True):
            return tuple(map(np.asarray, losses.regrid(jnp.asarray(x), jnp.asarray(valid), side, jnp.asarray(offset))))


@pytest.mark.parametrize("transformed", [losses.regrid, jax.grad(lambda *given: losses.regrid(*given)[0].sum())])
def test_regrid_rounds_no_pixel_on_accelerators(transformed):
    """By default accelerators round the factors of a product to as few as 8 bits."""
    x, offset = np.ones((2, 6, 6, 1), np.float32), np.zeros((2, 2), np.int32)
    jaxpr = jax.make_jaxpr(transformed, static_argnums=2)(x, x > 0, 3, offset)
    products = [equation for equation in jaxpr.eqns if equation.primitive.name == "dot_general"]
    assert products
    assert all(set(product.params["precision"]) == {jax.lax.Precision.HIGHEST} for product in products)
