"""Harmonic fits: each pixel's seasonal curve (a baseline of the paper, S6)."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float32, Float64, Int64

from aef_jax.evaluation.features.frame_values import FrameValues
from configs.encodings.timecode import DAY_MS

ORDER = 2
"""Harmonics of a year (ours)."""
YEAR_MS = 365.2425 * DAY_MS
PENALTY = 1.0
"""Weight of the penalty on the squared amplitudes, in frames, so that a few frames give a flat curve (ours)."""


def harmonic_fits(stacks: Sequence[FrameValues]) -> Float32[np.ndarray, "H W F"]:
    """Fit a mean and two harmonics of the year to each band by least squares.

    Args:
        stacks: the frames of all sources.

    Returns:
        Five features for each band: the mean, and the cosine and sine coefficients of each harmonic.
    """
    return np.concatenate([_fit(values, time_ms) for _, values, time_ms in stacks], axis=-1)


def harmonic_basis(time_ms: Int64[np.ndarray, "N"]) -> Float64[np.ndarray, "N K"]:
    """Evaluate the curves that are fitted.

    Args:
        time_ms: epoch milliseconds.

    Returns:
        1, and cosine and sine of 2 pi k t for k = 1, 2, with t in years.
    """
    phase = 2 * np.pi * np.outer(time_ms / YEAR_MS, np.arange(1, ORDER + 1))
    waves = np.stack([np.cos(phase), np.sin(phase)], axis=-1).reshape(len(time_ms), 2 * ORDER)
    return np.concatenate([np.ones((len(time_ms), 1)), waves], axis=1)


def _fit(values: Float32[np.ndarray, "N H W C"], time_ms: Int64[np.ndarray, "N"]) -> Float64[np.ndarray, "H W F"]:
    basis, (frames, *shape) = harmonic_basis(time_ms), values.shape
    pixels, terms = int(np.prod(shape)), basis.shape[1]
    is_valid = np.isfinite(values).reshape(frames, pixels)
    products = (basis[:, :, None] * basis[:, None, :]).reshape(frames, terms**2)
    # the mean of a pixel that no frame shows is 0
    penalty = np.diag([1e-9, *[PENALTY] * (terms - 1)])
    normal = (is_valid.T.astype(np.float64) @ products).reshape(pixels, terms, terms) + penalty
    right = np.where(is_valid, values.reshape(frames, pixels), 0).T.astype(np.float64) @ basis
    coefficients = np.linalg.solve(normal, right[..., None])[..., 0]
    return coefficients.reshape(*shape[:2], shape[2] * terms)
