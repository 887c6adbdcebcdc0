"""Draw spatially correlated random fields for clouds, terrain and patches of land."""

import numpy as np
from jaxtyping import Float32
from scipy.fft import irfft2, next_fast_len, rfft2
from scipy.special import ndtr


def fractal(
    rng: np.random.Generator, shape: tuple[int, int], wavelength: float, slope: float = 3.0
) -> Float32[np.ndarray, "H W"]:
    """Draw Gaussian noise with mean 0 and deviation 1 over many draws.

    All wavelengths above `wavelength` have the same power, so that a larger map has no larger hills. A map smaller than
    the wavelength has a mean different from 0.

    Args:
        rng: random numbers.
        shape: height and width in pixels.
        wavelength: in pixels.
        slope: exponent with which power falls with frequency above 1 / wavelength.

    Returns:
        The field.
    """
    # the transform is periodic: a margin keeps opposite edges from being correlated
    margin = min(int(wavelength), 24)
    height, width = (int(next_fast_len(length + margin, True) or 0) for length in shape)
    frequency = np.hypot(np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width)[None])
    power = (1 / wavelength**2 + frequency**2) ** (-slope / 2)
    counted = np.full(power.shape[1], 2.0)  # how often each column of the half spectrum of a real field counts
    counted[0] = 1
    if width % 2 == 0:
        counted[-1] = 1
    power /= (power * counted).sum() / (height * width)
    spectrum = rfft2(rng.standard_normal((height, width), np.float32)) * np.sqrt(power).astype(np.float32)
    return np.asarray(irfft2(spectrum, (height, width)), np.float32)[: shape[0], : shape[1]]


def uniform(field: Float32[np.ndarray, "*N"]) -> Float32[np.ndarray, "*N"]:
    """Transform a standard normal field to a uniform one.

    Args:
        field: of deviation 1.

    Returns:
        Numbers in [0, 1].
    """
    return ndtr(field)


def sigmoid(x):
    """Compute 1 / (1 + exp(-x)) without overflow.

    Args:
        x: numbers.

    Returns:
        Numbers in (0, 1).
    """
    return 0.5 + 0.5 * np.tanh(0.5 * x)


def blend(weight, foreground, background):
    """Interpolate between two fields.

    Args:
        weight: of the foreground, in [0, 1].
        foreground: the result at weight 1.
        background: the result at weight 0.

    Returns:
        The interpolated field.
    """
    return background + weight * (foreground - background)
