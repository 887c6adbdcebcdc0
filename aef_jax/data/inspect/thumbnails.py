"""Draw small pictures of one example: the targets with their masks, and some of the input frames."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Int64
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import SubFigure

from aef_jax.console.dates import format_date
from aef_jax.data.inspect.timeline import STUDENT
from aef_jax.data.sampling.examples import DrawnExample, frames_in_period
from aef_jax.data.store.normalization import Normalization
from aef_jax.visualize.frame_colors import color_frames
from configs.batch import Batch
from configs.source import Source

ABSENT = "#e7298a"
"""Pink: no data, or not valid."""
FRAMES = 8
"""Frames of each input source that are drawn, spread over the year."""
_TARGETS_PER_ROW = 5


def targets_height(targets: int) -> float:
    """Return the height that `draw_targets` needs.

    Args:
        targets: number of sources.

    Returns:
        Inches.
    """
    return 0.4 + 2.75 * -(-targets // _TARGETS_PER_ROW)


def draw_targets(
    figure: SubFigure, sources: tuple[Source, ...], batch: Batch, drawn: DrawnExample, normalization: Normalization
) -> None:
    """Draw the target of each source; a cross marks the text's pixel on the first.

    Args:
        figure: part of the picture.
        sources: all sources of the example.
        batch: the example as a batch.
        drawn: the example.
        normalization: statistics of the training set.
    """
    grid = figure.subplots(-(-len(sources) // _TARGETS_PER_ROW), _TARGETS_PER_ROW, squeeze=False).ravel()
    figure.suptitle("targets; pink: not valid, so not in the loss", fontsize=10, x=0.01, ha="left")
    for axis, source in zip(grid, sources, strict=False):
        target, index = batch.targets[source.name], drawn.sources[source.name].target_index
        axis.set(xticks=[], yticks=[])
        series = frames_in_period(source, drawn.tile, drawn.location.support)
        if index is None or series is None:
            axis.set_facecolor("0.93")
            axis.set_box_aspect(1)
            axis.text(
                0.5, 0.5, "nothing to\nreconstruct", transform=axis.transAxes, ha="center", va="center", color="0.4"
            )
            axis.set_title(f"{source.name}\n", fontsize=9, loc="left")
            continue
        valid = target.valid.reshape(*target.valid.shape[:2], -1)
        picture, shown = color_frames(source, target.pixels[None], valid[None], normalization)
        axis.imshow(picture[0], interpolation="nearest")
        _paint_absent(axis, ~valid.any(axis=-1), 0.7)
        time_code = format_date(int(series.time_ms[index])) if source.timed else "static"
        axis.set_title(f"{source.name}, {time_code}, {_percent(valid)} valid\n{shown}", fontsize=9, loc="left")
    for axis in grid[len(sources) :]:
        axis.set_axis_off()
    if batch.text is not None and batch.text.present:
        row, column = batch.text.pixel
        grid[0].plot(column, row, "+", color="black", markersize=15, markeredgewidth=3.5)
        grid[0].plot(column, row, "+", color="yellow", markersize=14, markeredgewidth=1.5)


def inputs_height(sources: int) -> float:
    """Return the height that `draw_inputs` needs.

    Args:
        sources: number of input sources.

    Returns:
        Inches.
    """
    return 0.4 + 1.95 * sources


def draw_inputs(
    figure: SubFigure, sources: tuple[Source, ...], batch: Batch, drawn: DrawnExample, normalization: Normalization
) -> None:
    """Draw some of the teacher's frames of each input source, as the encoder gets them.

    Args:
        figure: part of the picture.
        sources: the input sources.
        batch: the example as a batch.
        drawn: the example.
        normalization: statistics of the training set.
    """
    figure.suptitle(
        f"some inputs, as the encoder gets them; S: {STUDENT.name}, T: teacher only; pink: no data, or a line gap",
        fontsize=10,
        x=0.01,
        ha="left",
    )
    grid = figure.subplots(len(sources), FRAMES, squeeze=False)
    for axes, source in zip(grid, sources, strict=True):
        present = np.flatnonzero(batch.frames[source.name].present)
        for axis in axes[min(FRAMES, len(present)) :]:
            axis.set_axis_off()
        if not len(present):
            axes[0].text(0, 0.5, f"{source.name}: no frame", transform=axes[0].transAxes, fontsize=9)
            continue
        axes[0].set_ylabel(source.name, fontsize=9)
        _draw_frames(axes, source, present, batch, drawn, normalization)


def _draw_frames(
    axes: Sequence[Axes],
    source: Source,
    present: Int64[np.ndarray, "n"],
    batch: Batch,
    drawn: DrawnExample,
    normalization: Normalization,
) -> None:
    """Draw some of one source's frames, all with one stretch, so that cloud is white and shadow dark."""
    series, teacher = frames_in_period(source, drawn.tile, drawn.location.support), drawn.sources[source.name].teacher
    assert series is not None
    assert teacher is not None
    pixels = batch.frames[source.name].pixels[present]
    data = pixels != 0  # a pixel without data is exactly 0
    valid = series.valid[teacher.selected[present]] & data
    pictures, shown = color_frames(source, pixels, valid if valid.any() else data, normalization)
    student = batch.student[source.name]
    indices = np.unique(np.linspace(0, len(present) - 1, min(FRAMES, len(present))).astype(int))
    for axis, index in zip(axes, indices, strict=False):
        axis.imshow(pictures[index], interpolation="nearest")
        _paint_absent(axis, ~data[index].any(axis=-1), 1)
        axis.set(xticks=[], yticks=[])
        seen = "S" if present[index] in student.index[student.present] else "T"
        axis.set_title(f"{format_date(int(teacher.time_ms[present[index]]))} {seen}\n{shown}", fontsize=8, loc="left")


def _percent(valid: Bool[np.ndarray, "H W V"]) -> str:
    """Format a fraction so that 100% means all pixels and 0% means none."""
    percent = 100 * valid.mean()
    return "<1%" if 0 < percent < 1 else f"{int(percent)}%"


def _paint_absent(axis: Axes, absent: Bool[np.ndarray, "H W"], opacity: float) -> None:
    layer = np.zeros((*absent.shape, 4))
    layer[..., :3] = to_rgb(ABSENT)
    layer[..., 3] = opacity * absent
    axis.imshow(layer, interpolation="nearest")
