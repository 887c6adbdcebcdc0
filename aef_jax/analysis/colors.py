"""Draw a field in colors."""

from pathlib import Path

import numpy as np
from jaxtyping import Float, UInt8

from aef_jax.analysis.picture import LONGEST, MapPicture
from aef_jax.analysis.raster import RasterLayout, create_raster, read_reduced
from aef_jax.analysis.windows import each_window, sample_vectors
from aef_jax.inference.field import Field
from aef_jax.visualize.field_colors import FieldColors, principal_axes

SAMPLE = 50_000
"""Pixels that principal components are fitted to, at most."""


def fit_colors(field: Field) -> FieldColors:
    """Fit principal components to a sample of a field.

    Args:
        field: the field.

    Returns:
        The colors.

    Raises:
        ValueError: the sample has no pixel with data.
    """
    return principal_axes(sample_vectors(field, SAMPLE))[0]


def paint_rgba(vectors: Float[np.ndarray, "*N D"], colors: FieldColors) -> UInt8[np.ndarray, "*N 4"]:
    """Color vectors with 8 bits.

    Args:
        vectors: unit vectors; NaN is no data.
        colors: of the axes.

    Returns:
        Red, green, blue and opacity, which is 0 if there is no data.
    """
    painted = colors.paint(vectors)
    opacity = np.isfinite(painted).all(axis=-1, keepdims=True)
    return np.rint(255 * np.concatenate([np.nan_to_num(painted), opacity], axis=-1)).astype(np.uint8)


def write_colors(field: Field, colors: FieldColors, output: Path) -> Path:
    """Write a field as red, green, blue and opacity of 8 bits, and a picture.

    Args:
        field: the field.
        colors: of the axes, from `fit_colors` or `fixed_axes`.
        output: the GeoTIFF.

    Returns:
        Path of the picture.
    """
    with create_raster(output, field.info, RasterLayout(("red", "green", "blue", "opacity"), "uint8")) as write:
        for window in each_window(field.info.shape, "colors"):
            write(window, paint_rgba(field.read(*window), colors))
    picture = MapPicture(field.info, "Embedding field")
    note = ", ".join(f"{color}: {name}" for color, name in zip(("red", "green", "blue"), colors.names, strict=True))
    picture.draw_colors(read_reduced(output, LONGEST), note)
    return picture.save(output)
