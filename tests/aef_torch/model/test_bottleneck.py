"""The bottleneck's samples have a von Mises-Fisher distribution."""

import numpy as np
import pytest
import torch

from aef_torch.model.bottleneck import sample_noise, von_mises_fisher
from aef_torch.model.layers import unit
from configs.batch import BottleneckNoise
from tests.support.contracts.von_mises_fisher import CASES, NUMBER, assert_radial, assert_sample, random_mean


def _noise(dimension: int, kappa: float, shape: tuple[int, ...] = (NUMBER,), seed: int = 0) -> BottleneckNoise:
    return sample_noise(torch.Generator().manual_seed(seed), shape, dimension, kappa)


@pytest.mark.parametrize(("dimension", "kappa"), CASES)
def test_distribution(dimension, kappa):
    noise, mean = _noise(dimension, kappa), random_mean(dimension)
    assert_radial(noise.radial.numpy(), dimension, kappa)
    sample = von_mises_fisher(torch.from_numpy(mean).expand(NUMBER, dimension), noise)
    assert_sample(sample.numpy(), noise.radial.numpy(), mean)


def test_noise_is_its_generators():
    first, again, other = (_noise(8, 3.0, (2, 5), seed) for seed in (0, 0, 1))
    assert first.radial.shape == (2, 5)
    assert first.direction.shape == (2, 5, 8)
    for actual, same, different in zip(first, again, other, strict=True):
        np.testing.assert_array_equal(actual, same)
        assert not np.isin(actual, different).any()


def test_gradient_reaches_the_mean():
    noise = BottleneckNoise(*(draw.double() for draw in _noise(8, 3.0, (5,))))
    x = torch.randn(5, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(0), requires_grad=True)
    assert torch.autograd.gradcheck(lambda x: von_mises_fisher(unit(x), noise), x)
    (gradient,) = torch.autograd.grad(von_mises_fisher(unit(x), noise)[:, 0].sum(), x)
    assert (gradient.norm(dim=-1) > 1e-3).all()
