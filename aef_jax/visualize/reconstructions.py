"""Draw targets beside their reconstructions, of a source of any kind."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Float32, Num
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from aef_jax.data.store.normalization import Normalization
from aef_jax.visualize.frame_colors import color_frames
from aef_jax.visualize.pictures import NO_DATA_COLOR, save_png
from configs.serialization.printable import picture_text
from configs.source import Source

SPARSE = 0.05
"""Share of valid pixels below which they are drawn as dots, as of a lidar's shots."""


@dataclass(frozen=True)
class Reconstruction:
    """One frame and its reconstruction, both scaled and z-scored. `valid` is False at pixels under cloud.

    Of a source with classes, the target has class indices, and the reconstruction a logit for each class.
    """

    caption: str
    target: Num[np.ndarray, "H W *C"]
    reconstruction: Float32[np.ndarray, "H W O"]
    valid: Bool[np.ndarray, "H W *C"]


def draw_reconstructions(rows: list[Reconstruction], source: Source, normalization: Normalization) -> Figure:
    """Draw target, reconstruction and error of a source, one example per row.

    All pictures share a stretch, from the 2nd to the 98th percentile of the targets' valid pixels. The error is the
    mean absolute error over the bands, in standard deviations, as in the loss; of classes, it is 1 where the most
    probable class is another one.

    Args:
        rows: the examples, at least one, all of the same shape.
        source: of the examples.
        normalization: of the run.

    Returns:
        The figure.
    """
    figure = Figure(figsize=(7.4, 2.42 * len(rows) + 1.1), layout="constrained")
    grid = figure.subplots(len(rows), 3, squeeze=False)
    errors, is_classes = [_error(row) for row in rows], source.kind == "classes"
    counted = np.concatenate([error[np.isfinite(error)] for error in errors])
    highest = 1 if is_classes or not len(counted) else max(float(np.percentile(counted, 98)), 1e-6)
    norm = Normalize(0, highest)
    targets, valid = (np.stack([getattr(row, name) for row in rows]) for name in ("target", "valid"))
    made = np.stack([row.reconstruction.argmax(axis=-1) if is_classes else row.reconstruction for row in rows])
    valid = valid.reshape(*valid.shape[:3], -1)
    stretched = np.concatenate([valid, np.zeros_like(valid)])
    pictures, shown = color_frames(source, np.concatenate([targets, made]), stretched, normalization)
    for index, axes in enumerate(grid):
        _draw_target(axes[0], pictures[index], valid[index].any(axis=-1))
        axes[1].imshow(pictures[len(rows) + index], interpolation="nearest")
        _draw_error(axes[2], errors[index], norm)
        axes[0].set_ylabel(rows[index].caption, fontsize=9)
        for axis in axes:
            axis.set(xticks=[], yticks=[])
    for axis, title in zip(grid[0], ("target (hatched: not clear)", "reconstruction", "error"), strict=True):
        axis.set_title(title, fontsize=11)
    bar = figure.colorbar(ScalarMappable(norm, "magma"), ax=grid, location="bottom", shrink=0.5, aspect=40, pad=0.02)
    unit = "1: another class" if is_classes else "mean absolute error over the bands, in standard deviations"
    bar.set_label(f"pictures: {picture_text(shown)}\nerror: {unit}; gray: not compared", fontsize=9)
    return figure


def write_reconstructions_png(
    path: Path, rows: list[Reconstruction], source: Source, normalization: Normalization
) -> None:
    """Write `draw_reconstructions` as a picture.

    Args:
        path: the PNG file to write.
        rows: the examples.
        source: of the examples.
        normalization: of the run.
    """
    save_png(draw_reconstructions(rows, source, normalization), path)


def mean_error(row: Reconstruction) -> float:
    """Compute the mean error of a row's picture over its compared pixels.

    Args:
        row: the example, with a valid pixel.

    Returns:
        Standard deviations; of classes, the share of pixels with another class.
    """
    return float(np.nanmean(_error(row)))


def _draw_target(axis: Axes, picture: Float[np.ndarray, "H W 3"], clear: Bool[np.ndarray, "H W"]) -> None:
    if 0 < clear.mean() < SPARSE:
        _draw_dots(axis, clear, c=picture[clear])
        return
    axis.imshow(picture, interpolation="nearest")
    axis.imshow(np.full(clear.shape, 0.82), alpha=0.6 * ~clear, cmap="gray", vmin=0, vmax=1)
    if not clear.all():
        axis.contourf(~clear, levels=[0.5, 1.5], colors="none", hatches=["////"])


def _draw_error(axis: Axes, error: Float[np.ndarray, "H W"], norm: Normalize) -> None:
    counted = np.isfinite(error)
    axis.set_facecolor(NO_DATA_COLOR)
    if 0 < counted.mean() < SPARSE:
        _draw_dots(axis, counted, c=error[counted], norm=norm, cmap="magma")
    else:
        axis.imshow(error, norm=norm, cmap="magma", interpolation="nearest")


def _draw_dots(axis: Axes, pixels: Bool[np.ndarray, "H W"], **colors: Any) -> None:
    rows, columns = pixels.nonzero()
    axis.set_facecolor(NO_DATA_COLOR)
    axis.scatter(columns, rows, s=14, marker="s", linewidths=0, **colors)
    axis.set(xlim=(-0.5, pixels.shape[1] - 0.5), ylim=(pixels.shape[0] - 0.5, -0.5), aspect="equal")


def _error(row: Reconstruction) -> Float[np.ndarray, "H W"]:
    """Return the mean absolute error over the valid bands, or whether the class is another; NaN if none is valid."""
    if row.target.ndim == 2:
        return np.where(row.valid, row.reconstruction.argmax(axis=-1) != row.target, np.nan)
    counted = row.valid.sum(axis=-1)
    error = np.where(row.valid, np.abs(row.target - row.reconstruction), 0).sum(axis=-1)
    return np.where(counted > 0, error / np.maximum(counted, 1), np.nan)
