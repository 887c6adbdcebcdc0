"""Both frameworks turn the same normal numbers into the same noise."""

import jax
import numpy as np
import pytest
import torch

import aef_jax.model.bottleneck
import aef_torch.model.bottleneck
from tests.support.contracts.von_mises_fisher import CASES


# NumPy's numbers, not JAX's: XLA's division rounds 4 of the 10,001 so that they end up to 5.8e-6 apart
@pytest.mark.usefixtures("unchecked_types")
@pytest.mark.parametrize(("dimension", "kappa"), CASES)
def test_both_radial_quantiles_agree(dimension, kappa):
    z = np.linspace(-7, 7, 10_001, dtype=np.float32)
    by_jax = np.asarray(aef_jax.model.bottleneck.radial_quantile(z, dimension, kappa))
    by_torch = aef_torch.model.bottleneck.radial_quantile(torch.from_numpy(z), dimension, kappa).numpy()
    assert by_jax.dtype == by_torch.dtype == np.float32
    np.testing.assert_allclose(by_jax, by_torch, rtol=5e-6)
    assert by_jax.min() > 0
    assert by_jax.max() <= 2
    assert (np.diff(by_torch) >= -1e-6 * by_torch[1:]).all()
    assert by_torch[0] == by_torch[700] < by_torch[-1]  # constant below -6 sigma


def test_drawing_noise_has_no_loop():
    """A loop that runs until all numbers are accepted would make all devices wait for one another in each round."""
    drawn = jax.make_jaxpr(aef_jax.model.bottleneck.sample_noise, static_argnums=(1, 2, 3))(
        jax.random.key(0), (2, 3), 64, 8e3
    )
    assert "random_bits" in str(drawn)
    assert "while" not in str(drawn)
