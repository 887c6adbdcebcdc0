"""The frames of a site as designed features take them: z-scored, NaN where a pixel does not count."""

import warnings
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float32, Int64

from aef_jax.data.store.normalization import Normalization
from aef_jax.data.store.site import Period, Site
from configs.source import Source


class FrameValues(NamedTuple):
    """All frames of one source."""

    source: str
    values: Float32[np.ndarray, "N H W C"]
    """Z-scored; NaN under clouds and without data. There may be no frame."""
    time_ms: Int64[np.ndarray, "N"]


Design = Callable[[Sequence[FrameValues]], Float32[np.ndarray, "H W F"]]
"""Maps the frames of all sources to features; 0, the mean of the training data, where a source shows nothing."""


def frame_values(
    site: Site, normalization: Normalization, sources: Sequence[Source], period: Period | None
) -> list[FrameValues]:
    """Z-score the frames of a site.

    Args:
        site: as stored.
        normalization: statistics of a data set.
        sources: those to use. One that the site lacks has no frame, so that features of all sites are alike.
        period: of the frames to use; None: the site's support period or, without one, all frames.

    Returns:
        The frames of each source.
    """
    period = period or site.support
    site = site.between(*period) if period else site
    stacks = []
    for source in sources:
        if source.name not in site.series:
            empty = np.zeros((0, *site.shape, source.channels), np.float32)
            stacks.append(FrameValues(source.name, empty, np.zeros(0, np.int64)))
            continue
        series = normalization.z_score(site.series[source.name], source)
        stacks.append(FrameValues(source.name, np.where(series.valid, series.pixels, np.nan), series.time_ms))
    return stacks


def designed_features(design: Design, stacks: Sequence[FrameValues]) -> Float32[np.ndarray, "H W F"]:
    """Compute designed features.

    Args:
        design: which.
        stacks: of all sources.

    Returns:
        The features; NaN at a pixel that no frame of any source shows.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # the median of a pixel that no frame shows is NaN
        features = np.nan_to_num(design(stacks)).astype(np.float32)
    is_shown = np.logical_or.reduce([np.isfinite(stack.values).any(axis=(0, 3)) for stack in stacks])
    features[~is_shown] = np.nan
    return features
