"""Random convolutional features of a composite, as in MOSAIKS (a baseline of the paper, S6)."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float32

from aef_jax.evaluation.features.composites import composite
from aef_jax.evaluation.features.frame_values import FrameValues

NUM_FILTERS = 128
SIDE = 3
"""Pixels of a filter's side."""
NEIGHBORHOOD = 5
"""Pixels of the side over which the responses around a pixel are averaged. MOSAIKS averages over a whole image."""
SEED = 0


def random_convolutions(stacks: Sequence[FrameValues]) -> Float32[np.ndarray, "H W F"]:
    """Convolve the composite with random filters, rectify both signs and average over a neighborhood.

    MOSAIKS takes its filters from patches of the images. Here they are drawn from a normal distribution with a fixed
    seed, so that all sites have the same ones (ours).

    Args:
        stacks: the frames of all sources.

    Returns:
        256 features.
    """
    from scipy.ndimage import uniform_filter

    image = np.nan_to_num(composite(stacks))
    margin = SIDE // 2
    padded = np.pad(image, [(margin, margin), (margin, margin), (0, 0)], mode="symmetric")
    patches = np.lib.stride_tricks.sliding_window_view(padded, (SIDE, SIDE), axis=(0, 1))
    patches = patches.reshape(*image.shape[:2], -1)
    filters = np.random.default_rng(SEED).standard_normal((patches.shape[-1], NUM_FILTERS)) / np.sqrt(patches.shape[-1])
    response = patches @ filters.astype(np.float32)
    rectified = np.concatenate([response.clip(min=0), (-response).clip(min=0)], axis=-1)
    return uniform_filter(rectified, NEIGHBORHOOD, mode="reflect", axes=(0, 1))
