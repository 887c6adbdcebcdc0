"""Random fields that are alike at neighbouring pixels: what clouds, terrain and patches of land are cut from."""

import numpy as np
from jaxtyping import Float32
from scipy.fft import irfft2, next_fast_len, rfft2
from scipy.special import ndtr


def fractal(
    rng: np.random.Generator, shape: tuple[int, int], wavelength: float, slope: float = 3.0
) -> Float32[np.ndarray, "H W"]:
    """Gaussian noise of mean 0 and deviation 1 over many draws, whose power falls with `slope` beyond 1/wavelength.

    Wavelengths above `wavelength` (in pixels) all have the power of that one, so that a larger map has no larger
    hills. A map smaller than that has a mean of its own.
    """
    # the transform is periodic: a margin keeps opposite edges from being alike
    margin = min(int(wavelength), 24)
    height, width = (int(next_fast_len(length + margin, True) or 0) for length in shape)
    frequency = np.hypot(np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width)[None])
    power = (1 / wavelength**2 + frequency**2) ** (-slope / 2)
    counted = np.full(power.shape[1], 2.0)  # of the half spectrum that a real field needs
    counted[0] = 1
    if width % 2 == 0:
        counted[-1] = 1
    power /= (power * counted).sum() / (height * width)
    spectrum = rfft2(rng.standard_normal((height, width), np.float32)) * np.sqrt(power).astype(np.float32)
    return np.asarray(irfft2(spectrum, (height, width)), np.float32)[: shape[0], : shape[1]]


def uniform(field: Float32[np.ndarray, "*N"]) -> Float32[np.ndarray, "*N"]:
    """A Gaussian field of deviation 1 made uniform on [0, 1]."""
    return ndtr(field)


def sigmoid(x):
    """1 / (1 + exp(-x)), without overflow."""
    return 0.5 + 0.5 * np.tanh(0.5 * x)


def blend(weight, ahead, behind):
    """`ahead` where `weight` is 1, `behind` where it is 0."""
    return behind + weight * (ahead - behind)
