"""Draw embedding fields, and reconstructions beside their targets, as PNG."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float, Float32
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from aef_jax.data.store.normalization import Normalization
from aef_jax.files.atomic import replace_file
from aef_jax.visualize.field_colors import principal_axes
from configs.source import Source

TRUE_COLOR = ("B4", "B3", "B2")
"""Names of the red, green and blue bands of both Sentinel-2 and Landsat."""

_PIXEL_M = 10
GAMMA = 0.7  # brightens shadows and dark forest
_NO_DATA_COLOR = "0.82"  # light gray


@dataclass(frozen=True)
class Reconstruction:
    """One frame and its reconstruction, both scaled and z-scored. `valid` is False at pixels under cloud."""

    caption: str
    target: Float32[np.ndarray, "H W C"]
    reconstruction: Float32[np.ndarray, "H W C"]
    valid: Bool[np.ndarray, "H W C"]


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


def write_field_png(path: Path, field: Float[np.ndarray, "H W D"], title: str = "Embedding field") -> None:
    """Draw an embedding field in false color. NaN pixels are gray.

    Args:
        path: the PNG file to write.
        field: the embedding field.
        title: of the picture.
    """
    colors, shares = principal_colors(field)
    height, width = field.shape[:2]
    figure = Figure(figsize=(6, 6 * height / width + 1.1), layout="constrained")
    axes = figure.subplots()
    axes.set_facecolor(_NO_DATA_COLOR)
    opaque = np.isfinite(colors).all(axis=-1)
    extent = (0, width * _PIXEL_M, height * _PIXEL_M, 0)
    axes.imshow(np.dstack([np.nan_to_num(colors), opaque]), interpolation="nearest", extent=extent)
    axes.set(xlabel="meters", ylabel="meters")
    axes.set_title(title, fontsize=12, loc="left", pad=20)
    parts = ", ".join(f"{name} {share:.0%}" for name, share in zip(("red", "green", "blue"), shares, strict=True))
    axes.text(0, 1.012, f"first three principal components; variance: {parts}", transform=axes.transAxes, fontsize=9)
    save_png(figure, path)


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


def write_reconstructions_png(
    path: Path, rows: list[Reconstruction], source: Source, normalization: Normalization
) -> None:
    """Draw target, reconstruction and error of an optical source, one example per row.

    The two pictures of a row share a stretch, from the 2nd to the 98th percentile of the target's valid pixels. The
    error is the mean absolute error over the bands, in standard deviations, as in the loss.

    Args:
        path: the PNG file to write.
        rows: the examples.
        source: of the examples.
        normalization: of the run.
    """
    figure = Figure(figsize=(7.4, 2.42 * len(rows) + 0.9), layout="constrained")
    grid = figure.subplots(len(rows), 3, squeeze=False)
    errors = [_error(row) for row in rows]
    errors_norm = Normalize(0, np.nanpercentile(np.concatenate([error.ravel() for error in errors]), 98))
    for axes, row, error in zip(grid, rows, errors, strict=True):
        target, reconstruction = (
            true_color(pixels, source, normalization) for pixels in (row.target, row.reconstruction)
        )
        clear = row.valid.all(axis=-1)
        limits = np.percentile(target[clear] if clear.any() else target.reshape(-1, 3), [2, 98], axis=0)
        for axis, picture in zip(axes, (target, reconstruction), strict=False):
            axis.imshow(stretch(picture, *limits) ** GAMMA, interpolation="nearest")
        axes[0].imshow(np.full(clear.shape, 0.82), alpha=0.6 * ~clear, cmap="gray", vmin=0, vmax=1)
        if not clear.all():
            axes[0].contourf(~clear, levels=[0.5, 1.5], colors="none", hatches=["////"])
        axes[2].set_facecolor(_NO_DATA_COLOR)
        axes[2].imshow(error, norm=errors_norm, cmap="magma", interpolation="nearest")
        axes[0].set_ylabel(row.caption, fontsize=9)
        for axis in axes:
            axis.set(xticks=[], yticks=[])
    for axis, title in zip(grid[0], ("target (hatched: not clear)", "reconstruction", "error"), strict=True):
        axis.set_title(title, fontsize=11)
    bar = figure.colorbar(
        ScalarMappable(errors_norm, "magma"), ax=grid, location="bottom", shrink=0.5, aspect=40, pad=0.02
    )
    bar.set_label("mean absolute error over the bands, in standard deviations; gray: not compared", fontsize=9)
    save_png(figure, path)


def _error(row: Reconstruction) -> Float[np.ndarray, "H W"]:
    """Return the mean absolute error over the valid bands; NaN at pixels without any."""
    counted = row.valid.sum(axis=-1)
    error = np.where(row.valid, np.abs(row.target - row.reconstruction), 0).sum(axis=-1)
    return np.where(counted > 0, error / np.maximum(counted, 1), np.nan)


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


def save_png(figure: Figure, path: Path) -> None:
    """Write a figure. The file appears complete or not at all.

    Args:
        figure: the picture.
        path: of the PNG file.
    """
    with replace_file(path) as temporary:
        figure.savefig(temporary, format="png", dpi=150, bbox_inches="tight")
