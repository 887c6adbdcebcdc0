"""Colors of frames: true color, one band in gray, or a color for each class."""

import numpy as np
from jaxtyping import Bool, Float, Float32, Num

from aef_jax.data.store.normalization import Normalization
from aef_jax.visualize.field_colors import class_colors
from configs.source import Source

TRUE_COLOR = ("B4", "B3", "B2")
"""Names of the red, green and blue bands of both Sentinel-2 and Landsat."""
GAMMA = 0.7
"""Brightens shadows and dark forest in true color."""


def has_true_color(source: Source) -> bool:
    """Return whether a source has the red, green and blue bands of the optical sources.

    Args:
        source: any source.

    Returns:
        True if it has bands B4, B3 and B2 of scaling log1p.
    """
    scalings = {band.name: band.scaling for band in source.bands}
    return all(scalings.get(name) == "log1p" for name in TRUE_COLOR)


def true_color(
    pixels: Float32[np.ndarray, "H W C"], source: Source, normalization: Normalization
) -> Float[np.ndarray, "H W 3"]:
    """Undo the scaling of the red, green and blue bands.

    Args:
        pixels: scaled, z-scored frames.
        source: of the frames.
        normalization: of the run.

    Returns:
        Red, green and blue in the unit in which the bands are stored.

    Raises:
        ValueError: if the source has no true color (see `has_true_color`).
    """
    names = [band.name for band in source.bands]
    if not has_true_color(source):
        raise ValueError(f"source {source.name}: bands are {names}, expected the optical {list(TRUE_COLOR)}")
    bands = [names.index(name) for name in TRUE_COLOR]
    mean, deviation = (table[source.name][bands] for table in (normalization.mean, normalization.deviation))
    return np.expm1(pixels[..., bands] * deviation + mean)


def color_frames(
    source: Source,
    pixels: Num[np.ndarray, "N H W *C"],
    valid: Bool[np.ndarray, "N H W V"],
    normalization: Normalization,
) -> tuple[Float[np.ndarray, "N H W 3"], str]:
    """Color the frames of one source.

    Args:
        source: the source.
        pixels: z-scored frames; class indices if the source has classes.
        valid: the pixels that determine the stretch.
        normalization: statistics of the training set.

    Returns:
        Red, green and blue in [0, 1]; and what they show: true color if the source has it, otherwise its first band
        with a valid pixel, or a color for each class.
    """
    if source.kind == "classes":
        count = len(np.unique(pixels[valid[..., 0]]))
        return class_colors(source.classes)[pixels], f"{count} class{'es' if count != 1 else ''}"
    whole = np.broadcast_to(valid, pixels.shape)
    optical = [band for band, what in enumerate(source.bands) if what.name in TRUE_COLOR]
    if has_true_color(source) and np.isfinite(normalization.mean[source.name][optical]).all():
        values, shown, gamma = true_color(pixels, source, normalization), "true color", GAMMA
        counted = whole[..., optical].all(axis=-1)
    else:
        band = int(whole.any(axis=(0, 1, 2)).argmax())
        values, shown, gamma = pixels[..., band : band + 1].repeat(3, axis=-1), source.bands[band].name, 1
        counted = whole[..., band]
    known = values[counted] if counted.any() else values.reshape(-1, 3)
    low, high = np.percentile(known, [2, 98], axis=0)
    if (low == high).all():
        return np.full(values.shape, 0.6), f"{shown}, flat"  # monthly weather: one number for the whole tile
    return stretch(values, low, high) ** gamma, shown


def stretch(values: Float[np.ndarray, "*N 3"], low: Float[np.ndarray, "3"], high: Float[np.ndarray, "3"]):
    """Map values between `low` and `high` to [0, 1] and clip the rest.

    Args:
        values: of three bands.
        low: of each band.
        high: of each band.

    Returns:
        Values in [0, 1].
    """
    return np.clip((values - low) / np.maximum(high - low, 1e-9), 0, 1)
