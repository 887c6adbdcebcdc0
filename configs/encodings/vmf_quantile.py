"""Quantile function of the distance of a von Mises-Fisher sample from its mean (ours).

Usual samplers reject and redraw until all numbers are accepted; on several devices, each round waits for all devices.
The distance has the same distribution for all samples, so its quantile function is fitted once, when a step is traced.
"""

from functools import cache

import numpy as np
from numpy.polynomial import Chebyshev
from scipy.interpolate import CubicSpline
from scipy.special import expit, ndtri_exp

MAX_SIGMA = 6.0
"""Normal numbers are clipped to this magnitude, which 1 in 500 million exceeds."""
PANELS, DEGREE = 4000, 40
"""Panels of the numerical integration, and degree of the fitted polynomial."""
MIN_COEFFICIENT = 1e-8
"""Smaller coefficients do not change a float32 result."""


@cache
def radial_coefficients(dimension: int, kappa: float) -> tuple[float, ...]:
    """Fit log(1 - w) as a function of a normal number z of the same quantile.

    w = <sample, mean> has density ~ exp(kappa w) (1 - w^2)^((dimension - 3) / 2).

    Args:
        dimension: numbers of a sample, at least 3.
        kappa: concentration of the distribution.

    Returns:
        Coefficients of Chebyshev polynomials of z / MAX_SIGMA.
    """
    z, log_x = _quantiles(dimension, kappa)
    fit = Chebyshev.interpolate(CubicSpline(z, log_x), DEGREE, domain=[-MAX_SIGMA, MAX_SIGMA])
    return tuple(fit.trim(MIN_COEFFICIENT).coef.tolist())


def _quantiles(dimension: int, kappa: float) -> tuple[np.ndarray, np.ndarray]:
    """Tabulate normal numbers z, beyond MAX_SIGMA on both sides, and log x of the same quantiles, with x = 1 - w.

    Integrate over s = log tan(t / 2), where t is the angle between sample and mean. Then x is 2 / (1 + exp(-2 s)), and
    s has density ~ exp(-kappa x) / cosh(s)^(dimension - 1), which is smooth, has one mode, and falls at least
    exponentially.
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
    near = np.abs(z) < MAX_SIGMA + 1
    return z[near], np.log(2 * expit(2 * edges[1:-1][near]))
