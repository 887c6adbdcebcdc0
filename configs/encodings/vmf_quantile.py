"""How far a von Mises-Fisher sample lies from its mean, as a function of one normal number (ours).

The usual samplers draw until all numbers are accepted: on several devices each then waits for all others in each round.
The distance has one distribution for all samples, so its quantile function is fitted once, when a step is traced.
"""

from functools import cache

import numpy as np
from numpy.polynomial import Chebyshev
from scipy.interpolate import CubicSpline
from scipy.special import expit, ndtri_exp

MOST_SIGMA = 6.0
"""Normal numbers beyond are taken for this one: one in 500 million."""
PANELS, DEGREE = 4000, 40
SMALLEST = 1e-8
"""Coefficients below change nothing in float32."""


@cache
def radial_coefficients(dimension: int, kappa: float) -> tuple[float, ...]:
    """Of Chebyshev polynomials of z / MOST_SIGMA, whose sum is log(1 - w) at the quantile of the normal number z.

    w = <sample, mean> has density ~ exp(kappa w) (1 - w^2)^((dimension - 3) / 2).
    """
    z, log_x = _quantiles(dimension, kappa)
    fit = Chebyshev.interpolate(CubicSpline(z, log_x), DEGREE, domain=[-MOST_SIGMA, MOST_SIGMA])
    return tuple(fit.trim(SMALLEST).coef.tolist())


def _quantiles(dimension: int, kappa: float) -> tuple[np.ndarray, np.ndarray]:
    """Normal numbers z, rising to beyond MOST_SIGMA on both sides, and log x of the same quantiles, x = 1 - w.

    By s = log tan(t / 2), t the angle between sample and mean: x is 2 / (1 + exp(-2 s)), and s has density ~
    exp(-kappa x) / cosh(s)^(dimension - 1), which is smooth, has one mode, and falls off at least exponentially.
    """
    mode, reach = -np.arcsinh(2 * kappa / (dimension - 1)) / 2, 2.5 + 40 / (dimension - 1)
    edges = np.linspace(mode - reach, mode + reach, PANELS + 1)
    nodes, weights = np.polynomial.legendre.leggauss(16)
    s = edges[:-1, None] + reach / PANELS * (1 + nodes)
    log_density = -2 * kappa * expit(2 * s) - (dimension - 1) * np.logaddexp(s, -s)
    panels = np.exp(log_density - log_density.max()) @ weights
    with np.errstate(divide="ignore"):
        below, above = np.log(np.cumsum(panels)[:-1]), np.log(np.cumsum(panels[::-1])[-2::-1])
    total = np.log(panels.sum())
    z = np.where(below < above, ndtri_exp(below - total), -ndtri_exp(above - total))
    near = np.abs(z) < MOST_SIGMA + 1
    return z[near], np.log(2 * expit(2 * edges[1:-1][near]))
