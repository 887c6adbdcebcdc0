"""Pictures of a run: embedding fields, reconstructions beside their targets, and loss curves, as PNG."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float, Float32
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullLocator, StrMethodFormatter

from aef_jax.data.store.normalization import Normalization
from aef_jax.files.atomic import replacing
from configs.source import Source

TRUE_COLOUR = ("B4", "B3", "B2")
"""Red, green and blue, as Sentinel-2 and Landsat both number them."""

_PIXEL_M = 10
GAMMA = 0.7  # brightens shadows and dark forest
_NOTHING = "0.82"  # a light grey: no observation there


@dataclass(frozen=True)
class Reconstruction:
    """One frame and what the model made of it, scaled and z-scored; `valid` is False where the frame shows cloud."""

    caption: str
    target: Float32[np.ndarray, "H W C"]
    reconstruction: Float32[np.ndarray, "H W C"]
    valid: Bool[np.ndarray, "H W C"]


def principal_colours(field: Float[np.ndarray, "H W D"]) -> tuple[Float32[np.ndarray, "H W 3"], Float[np.ndarray, "3"]]:
    """Red, green and blue in [0, 1] from the first three principal components, and the share of variance of each.

    Each component is stretched between its 2nd and 98th percentile. Its sign, which is arbitrary, is chosen so that the
    largest of its loadings is positive. NaN pixels have no part in it, and stay NaN.

    Raises ValueError where all pixels are NaN.
    """
    there = np.isfinite(field).all(axis=-1)
    if not there.any():
        raise ValueError("the embedding field has no pixel with data, so nothing to draw")
    vectors = field[there].astype(np.float64)
    vectors -= vectors.mean(axis=0)
    variances, axes = np.linalg.eigh(vectors.T @ vectors / len(vectors))
    variances, axes = variances[:-4:-1], axes[:, :-4:-1]
    axes = axes * np.sign(axes[np.abs(axes).argmax(axis=0), range(3)])
    colours = np.full((*field.shape[:2], 3), np.nan, np.float32)
    colours[there] = stretch(vectors @ axes, *np.percentile(vectors @ axes, [2, 98], axis=0))
    return colours, variances / max(np.square(vectors).sum(axis=1).mean(), np.finfo(float).tiny)


def write_field_png(path: Path, field: Float[np.ndarray, "H W D"], title: str = "Embedding field") -> None:
    """Draws an embedding field in false colour; NaN pixels are grey."""
    colours, shares = principal_colours(field)
    height, width = field.shape[:2]
    figure = Figure(figsize=(6, 6 * height / width + 1.1), layout="constrained")
    axes = figure.subplots()
    axes.set_facecolor(_NOTHING)
    opaque = np.isfinite(colours).all(axis=-1)
    extent = (0, width * _PIXEL_M, height * _PIXEL_M, 0)
    axes.imshow(np.dstack([np.nan_to_num(colours), opaque]), interpolation="nearest", extent=extent)
    axes.set(xlabel="metres", ylabel="metres")
    axes.set_title(title, fontsize=12, loc="left", pad=20)
    told = ", ".join(f"{name} {share:.0%}" for name, share in zip(("red", "green", "blue"), shares, strict=True))
    axes.text(0, 1.012, f"first three principal components; variance: {told}", transform=axes.transAxes, fontsize=9)
    save_png(figure, path)


def has_true_colour(source: Source) -> bool:
    scalings = {band.name: band.scaling for band in source.bands}
    return all(scalings.get(name) == "log1p" for name in TRUE_COLOUR)


def true_colour(
    pixels: Float32[np.ndarray, "H W C"], source: Source, normalization: Normalization
) -> Float[np.ndarray, "H W 3"]:
    """Red, green and blue of scaled, z-scored frames, in the unit the bands are stored in.

    Raises ValueError where the source has no bands B4, B3 and B2 of scaling log1p, the optical sources' own.
    """
    names = [band.name for band in source.bands]
    if not has_true_colour(source):
        raise ValueError(f"source {source.name}: bands are {names}, expected the optical {list(TRUE_COLOUR)}")
    chosen = [names.index(name) for name in TRUE_COLOUR]
    mean, deviation = (table[source.name][chosen] for table in (normalization.mean, normalization.deviation))
    return np.expm1(pixels[..., chosen] * deviation + mean)


def write_reconstructions_png(
    path: Path, rows: list[Reconstruction], source: Source, normalization: Normalization
) -> None:
    """Draws target, reconstruction and error of an optical source, one example per row.

    A row's two pictures share a stretch, from the 2nd to the 98th percentile of the target's valid pixels. The error is
    the mean absolute one over the bands, in standard deviations, as the loss sees it.
    """
    figure = Figure(figsize=(7.4, 2.42 * len(rows) + 0.9), layout="constrained")
    grid = figure.subplots(len(rows), 3, squeeze=False)
    errors = [_error(row) for row in rows]
    errors_norm = Normalize(0, np.nanpercentile(np.concatenate([error.ravel() for error in errors]), 98))
    for axes, row, error in zip(grid, rows, errors, strict=True):
        target, made = (true_colour(pixels, source, normalization) for pixels in (row.target, row.reconstruction))
        clear = row.valid.all(axis=-1)
        limits = np.percentile(target[clear] if clear.any() else target.reshape(-1, 3), [2, 98], axis=0)
        for axis, picture in zip(axes, (target, made), strict=False):
            axis.imshow(stretch(picture, *limits) ** GAMMA, interpolation="nearest")
        axes[0].imshow(np.full(clear.shape, 0.82), alpha=0.6 * ~clear, cmap="gray", vmin=0, vmax=1)
        if not clear.all():
            axes[0].contourf(~clear, levels=[0.5, 1.5], colors="none", hatches=["////"])
        axes[2].set_facecolor(_NOTHING)
        axes[2].imshow(error, norm=errors_norm, cmap="magma", interpolation="nearest")
        axes[0].set_ylabel(row.caption, fontsize=9)
        for axis in axes:
            axis.set(xticks=[], yticks=[])
    for axis, title in zip(grid[0], ("target (hatched: not clear)", "reconstruction", "error"), strict=True):
        axis.set_title(title, fontsize=11)
    bar = figure.colorbar(
        ScalarMappable(errors_norm, "magma"), ax=grid, location="bottom", shrink=0.5, aspect=40, pad=0.02
    )
    bar.set_label("mean absolute error over the bands, in standard deviations; grey: not compared", fontsize=9)
    save_png(figure, path)


def read_metrics(path: Path) -> list[dict]:
    """The records of a run's JSON lines; a last line that was cut off by the end of a run is left out.

    Raises ValueError, naming file and line, where another line is no JSON.
    """
    lines = path.read_text().splitlines()
    records = []
    for number, line in enumerate(lines, start=1):
        try:
            records.append(json.loads(line))
        except ValueError as error:
            if number < len(lines):
                raise ValueError(f"{path}, line {number}: not JSON ({error})") from None
    return records


def write_loss_curves_png(path: Path, records: Iterable[dict]) -> None:
    """Draws the training terms and, source by source, the held-out L1 beside that of its baselines, over steps.

    Records are {"step": ..., "kind": "train" or "heldout", name: value, ...}. Those of a step that was run twice, after
    a restart, count once, the later. Raises ValueError where there is no training record.
    """
    records = list(records)
    train, validation = (_by_step(records, kind) for kind in ("train", "heldout"))
    if not train:
        raise ValueError(f"{path}: there is no record of kind 'train', so nothing to draw")
    decoded, compared = (_sources(rows, prefix) for rows, prefix in ((train, "reconstruction/"), (validation, "l1/")))
    count = 2 + len(compared)
    columns = min(3, count)
    lines = -(-count // columns)
    figure = Figure(figsize=(4.4 * columns, 3.3 * lines), layout="constrained")
    panels = figure.subplots(lines, columns, squeeze=False).ravel()
    _draw_terms(panels[0], train, {"loss": "loss", **{f"reconstruction/{name}": name for name in decoded}})
    panels[0].set_title("training: loss, and reconstruction by source", fontsize=11)
    _draw_terms(panels[1], train, {name: name for name in ("uniformity", "consistency")})
    panels[1].set_title("training: terms on the embedding", fontsize=11)
    for panel, source in zip(panels[2:], compared, strict=False):
        _draw_heldout(panel, validation, source)
    for panel in panels[:count]:
        panel.set_xlabel("step")
        panel.set_xlim(left=0)
        panel.grid(alpha=0.25)
        panel.spines[["top", "right"]].set_visible(False)
        panel.legend(frameon=False, fontsize=9)
    for panel in panels[count:]:
        panel.remove()
    save_png(figure, path)


def _by_step(records: list[dict], kind: str) -> list[dict]:
    return [row for _, row in sorted({row["step"]: row for row in records if row["kind"] == kind}.items())]


def _sources(rows: list[dict], prefix: str) -> list[str]:
    return sorted({name.removeprefix(prefix) for row in rows for name in row if name.startswith(prefix)})


def _curve(rows: list[dict], name: str) -> Float[np.ndarray, "2 N"]:
    """Steps and values of one quantity, where it was recorded."""
    return np.array([(row["step"], row[name]) for row in rows if row.get(name) is not None], float).reshape(-1, 2).T


def _draw_terms(panel: Axes, rows: list[dict], labels: dict[str, str]) -> None:
    """A term jumps from batch to batch: it is drawn faint, its running mean over it."""
    for name, label in labels.items():
        steps, values = _curve(rows, name)
        if not len(steps):
            continue
        window = np.ones(max(1, len(steps) // 25))
        mean = np.convolve(values, window, "same") / np.convolve(np.ones(len(values)), window, "same")
        (line,) = panel.plot(steps, mean, label=label, linewidth=1.8)
        panel.plot(steps, values, color=line.get_color(), alpha=0.25, linewidth=0.8)
    panel.set_yscale("log")
    panel.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    panel.yaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    panel.yaxis.set_minor_locator(NullLocator())


def _draw_heldout(panel: Axes, rows: list[dict], source: str) -> None:
    styles = {
        f"l1_mean/{source}": ("mean of training", "#e69f00", ":"),
        f"l1_persistence/{source}": ("nearest clear frame", "#009e73", "--"),
        f"l1/{source}": ("model", "#0072b2", "-"),
    }
    for name, (label, color, style) in styles.items():
        steps, values = _curve(rows, name)
        panel.plot(steps, values, style, color=color, label=label, marker="o", markersize=3)
    panel.set_title(f"held out: {source}", fontsize=11)
    panel.set_ylabel("L1 (standard deviations)")


def _error(row: Reconstruction) -> Float[np.ndarray, "H W"]:
    """Mean absolute error over the valid bands; NaN where there is none."""
    counted = row.valid.sum(axis=-1)
    error = np.where(row.valid, np.abs(row.target - row.reconstruction), 0).sum(axis=-1)
    return np.where(counted > 0, error / np.maximum(counted, 1), np.nan)


def stretch(values: Float[np.ndarray, "*N 3"], low: Float[np.ndarray, "3"], high: Float[np.ndarray, "3"]):
    """Values between `low` and `high`, as numbers from 0 to 1."""
    return np.clip((values - low) / np.maximum(high - low, 1e-9), 0, 1)


def save_png(figure: Figure, path: Path) -> None:
    """Whole or not at all."""
    with replacing(path) as temporary:
        figure.savefig(temporary, format="png", dpi=150, bbox_inches="tight")
