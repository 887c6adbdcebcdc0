"""Draw embedding fields as PNG, and write pictures whole or not at all."""

from pathlib import Path

import numpy as np
from jaxtyping import Float, Float32
from matplotlib.figure import Figure

from aef_jax.files.atomic import replace_file
from aef_jax.visualize.field_colors import principal_axes
from configs.source import PIXEL_M

NO_DATA_COLOR = "0.82"
"""Light gray."""


def principal_colors(field: Float[np.ndarray, "H W D"]) -> tuple[Float32[np.ndarray, "H W 3"], Float[np.ndarray, "3"]]:
    """Map the first three principal components to red, green and blue (see `principal_axes`).

    Args:
        field: an embedding field; NaN pixels are ignored and stay NaN.

    Returns:
        The colors in [0, 1], and each component's share of the variance.

    Raises:
        ValueError: if all pixels are NaN.
    """
    colors, shares = principal_axes(field[np.isfinite(field).all(axis=-1)])
    return colors.paint(field), shares


def write_field_png(
    path: Path, field: Float[np.ndarray, "H W D"], title: str = "Embedding field", pixel_m: float = PIXEL_M
) -> None:
    """Draw an embedding field in false color. NaN pixels are gray.

    Args:
        path: the PNG file to write.
        field: the embedding field.
        title: of the picture.
        pixel_m: side of a pixel, in meters.
    """
    colors, shares = principal_colors(field)
    height, width = field.shape[:2]
    figure = Figure(figsize=(6, 6 * height / width + 1.1), layout="constrained")
    axes = figure.subplots()
    axes.set_facecolor(NO_DATA_COLOR)
    opaque = np.isfinite(colors).all(axis=-1)
    extent = (0, width * pixel_m, height * pixel_m, 0)
    axes.imshow(np.dstack([np.nan_to_num(colors), opaque]), interpolation="nearest", extent=extent)
    axes.set(xlabel="meters", ylabel="meters")
    axes.set_title(title, fontsize=12, loc="left", pad=20)
    parts = ", ".join(f"{name} {share:.0%}" for name, share in zip(("red", "green", "blue"), shares, strict=True))
    axes.text(0, 1.012, f"first three principal components; variance: {parts}", transform=axes.transAxes, fontsize=9)
    save_png(figure, path)


def save_png(figure: Figure, path: Path) -> None:
    """Write a figure. The file appears complete or not at all.

    Args:
        figure: the picture.
        path: of the PNG file.
    """
    with replace_file(path) as temporary:
        figure.savefig(temporary, format="png", dpi=150, bbox_inches="tight")
