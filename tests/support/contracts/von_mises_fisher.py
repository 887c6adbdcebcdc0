"""Assertions on von Mises-Fisher samples, for the tests of either framework."""

import numpy as np
from scipy import integrate, stats

CASES = [(64, 8000.0), (8, 3.0), (3, 0.5)]
"""Dimensions and concentrations: the bottleneck's, and two for which rejection sampling would reject many."""
NUMBER = 20_000
LEAST_P = 1e-3
"""Smallest p-value. Seeds are fixed, so a test fails always or never."""


def random_mean(dimension: int) -> np.ndarray:
    mean = np.random.default_rng(1).standard_normal(dimension)
    return (mean / np.linalg.norm(mean)).astype(np.float32)


def assert_radial(radial: np.ndarray, dimension: int, kappa: float):
    """Assert that 1 - w has the analytic density, and w the distribution of SciPy's samples."""
    assert radial.dtype == np.float32
    power = (dimension - 3) / 2
    grid = np.linspace(0, min(2, 4 * dimension / kappa), 100_001)
    density = np.exp(-kappa * grid) * (grid * (2 - grid)) ** power
    cumulative = integrate.cumulative_trapezoid(density, grid, initial=0)
    cumulative /= cumulative[-1]
    assert stats.kstest(radial, lambda x: np.interp(x, grid, cumulative)).pvalue > LEAST_P
    mean = random_mean(dimension).astype(np.float64)
    mean /= np.linalg.norm(mean)
    other = stats.vonmises_fisher(mean, kappa, seed=2).rvs(NUMBER)
    assert stats.ks_2samp(radial, np.sum((other - mean) ** 2, axis=-1) / 2).pvalue > LEAST_P


def assert_sample(sample: np.ndarray, radial: np.ndarray, mean: np.ndarray):
    """Assert that samples are on the sphere, at the cosine of the noise, and in uniform directions."""
    sample, mean = sample.astype(np.float64), mean.astype(np.float64)
    mean /= np.linalg.norm(mean)
    # in few dimensions some directions are almost along the mean: their tangent is a small difference
    rounding = 1e-6 if len(mean) > 3 else 1e-5
    np.testing.assert_allclose(np.linalg.norm(sample, axis=-1), 1, atol=rounding)
    np.testing.assert_allclose(np.sum((sample - mean) ** 2, axis=-1) / 2, radial, rtol=1e-3, atol=rounding)
    basis = np.linalg.svd(mean[None])[2][1:]  # of the tangent space
    tangent = sample @ basis.T
    tangent /= np.linalg.norm(tangent, axis=-1, keepdims=True)
    number, width = tangent.shape
    first = number * width * np.sum(tangent.mean(0) ** 2)  # chi square with `width` degrees of freedom
    assert LEAST_P < stats.chi2.cdf(first, width) < 1 - LEAST_P
    moments = tangent.T @ tangent / number - np.eye(width) / width
    deviation = np.sqrt((1 + 2 * np.eye(width) - np.eye(width) * (width + 2) / width) / (width * (width + 2) * number))
    assert np.abs(moments / deviation).max() < 5
