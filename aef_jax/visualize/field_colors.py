"""Colors of unit vectors: three directions in the space of embeddings become red, green and blue."""

import re
from collections.abc import Sequence
from colorsys import hsv_to_rgb
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Float32, Float64

from configs.serialization.printable import printable

FIXED_RANGE = (-0.3, 0.3)
"""Values of a fixed axis that are black and full color, as in the examples of the public layers in Earth Engine."""


class FieldColors(NamedTuple):
    """A map from vectors to red, green and blue. The same one makes several fields comparable."""

    mean: Float64[np.ndarray, "D"]
    """Subtracted from each vector."""
    axes: Float64[np.ndarray, "D 3"]
    """Directions of red, green and blue."""
    low: Float64[np.ndarray, "3"]
    """Coordinate along each axis that is black."""
    high: Float64[np.ndarray, "3"]
    """Coordinate along each axis that is full color."""
    names: tuple[str, str, str]
    """What each axis is, for a caption."""

    def paint(self, vectors: Float[np.ndarray, "*N D"]) -> Float32[np.ndarray, "*N 3"]:
        """Color vectors.

        Args:
            vectors: unit vectors; NaN is no data.

        Returns:
            Colors in [0, 1]; NaN is no data.
        """
        coordinates = (vectors - self.mean) @ self.axes
        scaled = (coordinates - self.low) / np.maximum(self.high - self.low, 1e-9)
        return np.clip(scaled, 0, 1).astype(np.float32)


def principal_axes(vectors: Float[np.ndarray, "N D"]) -> tuple[FieldColors, Float64[np.ndarray, "3"]]:
    """Fit the first three principal components.

    Each component is stretched between its 2nd and 98th percentile. Its sign, which is arbitrary, is chosen so that its
    largest loading is positive.

    Args:
        vectors: all of a field, or a sample; none is NaN.

    Returns:
        The colors, and each component's share of the variance.

    Raises:
        ValueError: there is no vector, or each has fewer than three numbers.
    """
    if not len(vectors):
        raise ValueError("the embedding field has no pixel with data, so there is nothing to draw")
    if vectors.shape[1] < 3:
        raise ValueError(f"the vectors have {vectors.shape[1]} numbers, expected at least 3: one for each color")
    mean = vectors.mean(axis=0, dtype=np.float64)
    centered = vectors - mean
    variances, axes = np.linalg.eigh(centered.T @ centered / len(centered))
    variances, axes = variances[:-4:-1], axes[:, :-4:-1]
    axes = axes * np.sign(axes[np.abs(axes).argmax(axis=0), range(3)])
    low, high = np.percentile(centered @ axes, [2, 98], axis=0)
    shares = variances / max(np.square(centered).sum(axis=1).mean(), np.finfo(float).tiny)
    red, green, blue = (f"component {number} ({share:.0%})" for number, share in enumerate(shares, start=1))
    return FieldColors(mean, axes, low, high, (red, green, blue)), shares


def fixed_axes(names: Sequence[str], embed_dim: int, limits: tuple[float, float] = FIXED_RANGE) -> FieldColors:
    """Take three numbers of a vector for red, green and blue.

    Args:
        names: of three axes, such as A01, A16, A09.
        embed_dim: D.
        limits: values that are black and full color.

    Returns:
        The colors.

    Raises:
        ValueError: there are not three names, one is not of an axis, or the limits are not in order.
    """
    numbers = []
    for name in names:
        match = re.fullmatch(r"A(\d{1,4})", name)
        if not match or int(match[1]) >= embed_dim:
            raise ValueError(f"there is no axis {printable(name)}, expected A00 to A{embed_dim - 1:02d}")
        numbers.append(int(match[1]))
    if len(numbers) != 3:
        raise ValueError(f"{len(numbers)} axes are named, expected three: of red, green and blue")
    if not limits[0] < limits[1]:
        raise ValueError(f"the range of colors is {limits[0]} to {limits[1]}, expected a low end below a high end")
    low, high = (np.full(3, limit, np.float64) for limit in limits)
    red, green, blue = names
    return FieldColors(np.zeros(embed_dim), np.eye(embed_dim)[:, numbers], low, high, (red, green, blue))


def class_colors(classes: int) -> Float64[np.ndarray, "K 3"]:
    """Choose colors of classes: neighbors are far apart in hue, and none is pink.

    Args:
        classes: number of classes, K.

    Returns:
        Red, green and blue in [0, 1], by class index.
    """
    # multiples of the golden ratio, 0.618, modulo 1 are evenly spread
    return np.array(
        [hsv_to_rgb(0.8 * (0.618 * i % 1), 0.4 + 0.25 * (i % 3), 0.95 - 0.2 * (i % 2)) for i in range(classes)]
    )
