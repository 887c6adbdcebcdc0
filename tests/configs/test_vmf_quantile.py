"""The fitted quantile function of the distance of a von Mises-Fisher sample from its mean."""

from itertools import pairwise

import numpy as np
import pytest
from numpy.polynomial import Chebyshev
from scipy.integrate import quad
from scipy.special import ndtr

from configs.encodings.vmf_quantile import MAX_SIGMA, radial_coefficients
from tests.support.contracts.von_mises_fisher import CASES


@pytest.mark.parametrize(("dimension", "kappa"), [*CASES, (4, 1e-3), (1024, 10.0), (64, 1e6)])
def test_quantile_matches_the_normal_share(dimension, kappa):
    """Check both tails by integrating the density of the angle."""
    log_x = Chebyshev(radial_coefficients(dimension, kappa), domain=[-MAX_SIGMA, MAX_SIGMA])

    def density(angle: float) -> float:
        x, x_mode = 2 * np.sin(angle / 2) ** 2, 2 * np.sin(mode / 2) ** 2
        return np.exp(kappa * (x_mode - x)) * (np.sin(angle) / np.sin(mode)) ** (dimension - 2)

    half = kappa / (dimension - 2)
    mode = np.arccos(2 * half / (1 + np.sqrt(1 + 4 * half**2)))
    marks = [mode * share for share in (0.5, 0.8, 0.95, 1.05, 1.2, 1.5, 2.5, 6) if mode * share < np.pi]

    def share(low: float, high: float) -> float:
        ends = [low, *(mark for mark in marks if low < mark < high), high]
        return sum(quad(density, a, b, epsrel=1e-11)[0] for a, b in pairwise(ends))

    whole = share(0, np.pi)
    for z in (-5.5, -4, -2, -0.5, 0, 1, 3, 4.5, 5.5):
        x = np.exp(log_x(z))
        angle = 2 * np.arcsin(np.sqrt(x / 2))
        tail = share(0, angle) if z < 0 else share(angle, np.pi)
        too_many = abs(tail - whole * ndtr(-abs(z)))
        x_apart = too_many * np.sin(angle) / density(angle)
        assert x_apart < 2e-7 * x
