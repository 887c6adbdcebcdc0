"""Composites: each pixel's median or mean over the frames of a period or a month (baselines of the paper, S6)."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float32

from aef_jax.evaluation.features.frame_values import FrameValues

NUM_COMPOSITE_BANDS = {"sentinel2": 5, "landsat": 7, "sentinel1": 4}
"""Number of leading bands of each source in the composite: the paper's 16 features. The radar's angle is left out."""
MONTHS = 12


def composite(stacks: Sequence[FrameValues]) -> Float32[np.ndarray, "H W F"]:
    """Compute the median of optical frames and the mean of radar frames (paper, S6).

    Args:
        stacks: the frames of all sources.

    Returns:
        16 features, if there are Sentinel-2, Landsat and Sentinel-1; all bands of any other source.
    """
    parts = []
    for source, values, _ in stacks:
        average = np.nanmean if source == "sentinel1" else np.nanmedian
        parts.append(average(values[..., : NUM_COMPOSITE_BANDS.get(source, values.shape[-1])], axis=0))
    return np.concatenate(parts, axis=-1)


def period_median(stacks: Sequence[FrameValues]) -> Float32[np.ndarray, "H W F"]:
    """Compute the median of the frames, which are of a year as a rule (ours).

    Args:
        stacks: the frames of all sources.

    Returns:
        One feature for each band.
    """
    return np.concatenate([np.nanmedian(values, axis=0) for _, values, _ in stacks], axis=-1)


def monthly_medians(stacks: Sequence[FrameValues]) -> Float32[np.ndarray, "H W F"]:
    """Compute the median of the frames of each month of the year (ours).

    Args:
        stacks: the frames of all sources.

    Returns:
        Twelve features for each band. A month that shows nothing of a pixel takes the median of all frames.
    """
    parts = []
    for _, values, time_ms in stacks:
        month = time_ms.astype("datetime64[ms]").astype("datetime64[M]").astype(np.int64) % MONTHS
        whole = np.nanmedian(values, axis=0)
        for number in range(MONTHS):
            median = np.nanmedian(values[month == number], axis=0)
            parts.append(np.where(np.isfinite(median), median, whole))
    return np.concatenate(parts, axis=-1)
