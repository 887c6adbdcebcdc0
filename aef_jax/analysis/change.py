"""Measure the change between two periods, and how unusual it is beside other years."""

from collections.abc import Sequence
from itertools import combinations
from pathlib import Path

import numpy as np
from jaxtyping import Float32

from aef_jax.analysis.picture import LONGEST, MapPicture, value_limits
from aef_jax.analysis.raster import RasterLayout, create_raster, read_reduced
from aef_jax.analysis.windows import WINDOW, each_window
from aef_jax.inference.field import Field, Window, windows

MIN_OTHERS = 3
"""Fields of other years that a significance needs: their three pairs have a mean and a deviation."""
_SPREAD_WINDOWS = 16
"""Windows that the typical deviation is computed from, spread over the field."""


def magnitude(before: Float32[np.ndarray, "*N D"], after: Float32[np.ndarray, "*N D"]) -> Float32[np.ndarray, "*N"]:
    """Compute (1 - e . p) / 2, the paper's distance of two embeddings (consistency objective, S5).

    Args:
        before: unit vectors of one period.
        after: of another.

    Returns:
        0 if they are equal, 1 if they are opposite; NaN is no data.
    """
    return ((1 - np.einsum("...d,...d->...", before, after)) / 2).clip(0, 1)


def usual_change(others: Sequence[Float32[np.ndarray, "h w D"]]) -> Float32[np.ndarray, "2 h w"]:
    """Compute the mean and the deviation of the magnitudes between all pairs of other years.

    Args:
        others: unit vectors of three or more other years.

    Returns:
        Mean and standard deviation (of a sample); NaN is no data in some year.
    """
    pairs = np.stack([magnitude(one_year, another) for one_year, another in combinations(others, 2)])
    return np.stack([pairs.mean(axis=0), pairs.std(axis=0, ddof=1)])


def write_change(before: Field, after: Field, others: Sequence[Field], output: Path) -> Path:
    """Write the magnitude of change between two fields, and a picture; with other years, also its significance.

    The significance (ours) is a z-score: (magnitude - mean) / deviation, over the magnitudes between all pairs of
    `others` at the same pixel. They show how much the pixel changes from year to year. Few pairs may agree by chance,
    so the deviation is never less than its median over a sample of the field. A z of 3 is thus a change three
    deviations above what is usual there. The pairs are not independent of each other, so z is a rank rather than a
    probability.

    Args:
        before: field of one period.
        after: field of another period.
        others: fields of other years, none or at least three. All fields have the same grid.
        output: the GeoTIFF: float32; the magnitude from 0 to 1, then z if there are others; NaN is no data.

    Returns:
        Path of the picture.

    Raises:
        ValueError: there are one or two others.
    """
    if 0 < len(others) < MIN_OTHERS:
        raise ValueError(f"there are {len(others)} fields of other years, expected none or at least {MIN_OTHERS}")
    names = ("magnitude", "z")[: 1 + bool(others)]
    floor = _typical_deviation(others) if others else 0.0
    with create_raster(output, before.info, RasterLayout(names, "float32", np.nan)) as write:
        for window in each_window(before.info.shape, "change"):
            bands = [magnitude(before.read(*window), after.read(*window))]
            if others:
                mean, deviation = usual_change([other.read(*window) for other in others])
                bands.append((bands[0] - mean) / np.maximum(deviation, floor))
            write(window, np.stack(bands, axis=-1))
    values = read_reduced(output, LONGEST)
    picture = MapPicture(before.info, "Change between two periods", panels=len(names))
    picture.draw_values(values[..., 0], "magnitude, (1 - cosine) / 2", value_limits(values[..., 0]))
    if others:
        label = f"z: deviations above the usual change of {len(others)} other years"
        picture.draw_values(values[..., 1], label, (0, 6), panel=1)
    return picture.save(output)


def _typical_deviation(others: Sequence[Field]) -> float:
    """Return the median over a sample of the deviation of pairs, at least one step of 8-bit codes."""
    every = list(windows(others[0].info.shape, WINDOW))
    sampled: list[Window] = [every[i] for i in np.unique(np.linspace(0, len(every) - 1, _SPREAD_WINDOWS).astype(int))]
    deviations = np.concatenate(
        [usual_change([other.read(*window) for other in others])[1].ravel() for window in sampled]
    )
    known = deviations[np.isfinite(deviations)]
    return max(float(np.median(known)) if len(known) else 0.0, 1e-4)
