"""`aef data info`: describe a training set by a table and by a picture of its values."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np
from jaxtyping import Int64
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from tqdm import tqdm

from aef_jax.console.dates import format_date
from aef_jax.console.tables import format_table
from aef_jax.console.units import plural
from aef_jax.data.store.dataset import Dataset
from aef_jax.data.store.normalization import Normalization
from aef_jax.data.store.observations import out_of_range
from aef_jax.data.store.records import SPLITS, Split
from aef_jax.data.store.site import Site
from aef_jax.data.store.summary import SourceSummary
from aef_jax.files.atomic import replace_file
from configs.fields.statistics import CLIP_SIGMA
from configs.serialization.printable import picture_text
from configs.source import Source

SAMPLED_RECORDS = 32
"""Training records that the picture is made of."""
MAX_BANDS = 16
"""Bands that a table lists; of a source with more, it lists five."""
MAX_CURVES = 8
"""Bands that a panel draws as curves; those of a source with more are rows of shades."""
BIN_EDGES = np.linspace(-CLIP_SIGMA, CLIP_SIGMA, 97)

_COLUMNS = ("source", "bands", "level", "dtype", "frames", "first", "last", "valid")
_PANEL = (4.4, 3.0)


def describe(folder: Path) -> str:
    """Describe a data set by its `dataset.json`.

    Args:
        folder: the data set.

    Returns:
        Tables of its splits, sources and statistics; and the bands with many values out of range.

    Raises:
        ValueError: the folder is no data set.
    """
    dataset = Dataset.open(folder)
    shards = [shard for split in SPLITS for shard in dataset.shards[split]]
    mebibytes = sum(shard.bytes for shard in shards) / 2**20
    lines = [
        f"{folder}: {mebibytes:,.1f} MiB on disk in {plural(len(shards), 'shard')}",
        "",
        *format_table([("split", "records", "shards"), *(_split_row(dataset, split) for split in SPLITS)]),
        "",
        *format_table([_COLUMNS, *(_source_row(name, stored) for name, stored in dataset.sources.items())]),
        "",
        "after scaling, over the valid pixels of the training split:",
        *format_table([("source", "band", "mean", "deviation"), *_statistics(dataset)]),
        "",
        _text(dataset),
        *_labels(dataset),
        *_weights(dataset),
        *_out_of_range(dataset),
    ]
    return "\n".join(lines)


def write_histograms_png(folder: Path, output: Path) -> None:
    """Draw the distribution of each source's scaled and z-scored values, one curve for each band.

    Sources that show no valid pixel are left out; of older data sets also those that this project does not know.

    Args:
        folder: the data set. Up to `SAMPLED_RECORDS` of its training records are read, evenly spread.
        output: the PNG.

    Raises:
        ValueError: a record cannot be read, or no source shows a valid pixel.
    """
    dataset = Dataset.open(folder)
    records = dataset.records("training")
    indices = np.unique(np.linspace(0, max(0, len(records) - 1), min(len(records), SAMPLED_RECORDS)).astype(int))
    drawn = [source for source in dataset.definitions if _has_numbers(source, dataset.normalization)]
    bar = tqdm(indices.tolist(), "reading records", unit="record")
    counts = count_histograms((records[index] for index in bar), drawn, dataset.normalization)
    drawn = [source for source in drawn if counts[source.name].any()]
    if not drawn:
        raise ValueError(
            f"{folder}: no source has a valid pixel in {len(indices)} records, so there is nothing to draw"
        )
    columns = min(3, len(drawn))
    lines = -(-len(drawn) // columns)
    figure = Figure(figsize=(_PANEL[0] * columns, _PANEL[1] * lines), layout="constrained")
    panels = figure.subplots(lines, columns, squeeze=False).ravel()
    for panel, source in zip(panels, drawn, strict=False):
        (_draw_classes if source.kind == "classes" else _draw_bands)(panel, source, counts[source.name])
    for panel in panels[len(drawn) :]:
        panel.remove()
    with replace_file(output) as temporary:
        figure.savefig(temporary, format="png", dpi=120)


def count_histograms(
    sites: Iterable[Site], sources: list[Source], normalization: Normalization
) -> dict[str, Int64[np.ndarray, "C bins"]]:
    """Count the values of each band.

    Args:
        sites: as stored.
        sources: the sources to count.
        normalization: statistics of the training set.

    Returns:
        By source: counts of each band's valid z-scores between `BIN_EDGES`, or of each class.
    """
    shapes = {s.name: (1, s.classes) if s.kind == "classes" else (s.channels, len(BIN_EDGES) - 1) for s in sources}
    counts = {name: np.zeros(shape, np.int64) for name, shape in shapes.items()}
    for site in sites:
        for source in sources:
            if source.name not in site.series:
                continue
            scored = normalization.z_score(site.series[source.name], source)
            valid = np.broadcast_to(scored.valid, scored.pixels.shape)
            for band in range(source.channels):
                values = scored.pixels[..., band][valid[..., band]]
                if source.kind == "classes":
                    counts[source.name][band] += np.bincount(values.astype(np.int64), minlength=source.classes)
                else:
                    counts[source.name][band] += np.histogram(values, BIN_EDGES)[0]
    return counts


def _has_numbers(source: Source, normalization: Normalization) -> bool:
    return source.kind == "classes" or source.name in normalization.mean


def _split_row(dataset: Dataset, split: Split) -> tuple[str, ...]:
    shards = dataset.shards[split]
    return split, f"{sum(shard.records for shard in shards):,}", f"{len(shards):,}"


def _source_row(name: str, stored: SourceSummary) -> tuple[str, ...]:
    seen = stored.frames > 0
    dates = (format_date(stored.first_ms), format_date(stored.last_ms)) if seen else ("-", "-")
    valid = f"{stored.valid_pixels / stored.pixels:.1%}" if stored.pixels else "-"
    bands = " ".join(stored.bands) if len(stored.bands) <= 5 else f"{len(stored.bands)}: {stored.bands[0]} ..."
    return name, bands, stored.level or "-", stored.dtype, f"{stored.frames:,}", *dates, valid


def _statistics(dataset: Dataset) -> Iterable[tuple[str, ...]]:
    normalization = dataset.normalization
    for name, stored in dataset.sources.items():
        if name not in normalization.mean:
            yield name, "-", "-", "-"
            continue
        for band in _shown_bands(len(stored.bands)):
            numbers = normalization.mean[name][band], normalization.deviation[name][band]
            shown = ("never seen", "-") if np.isnan(numbers[0]) else [f"{number:.5g}" for number in numbers]
            yield name, stored.bands[band], *shown


def _shown_bands(number: int) -> list[int]:
    return list(range(number)) if number <= MAX_BANDS else np.linspace(0, number - 1, 5).astype(int).tolist()


def _text(dataset: Dataset) -> str:
    if not dataset.text_points:
        return "no text"
    by = f", by {dataset.text_model}" if dataset.text_model else ""
    return f"{plural(dataset.text_points, 'text point')}: sentence embeddings of {dataset.text_width} numbers{by}"


def _labels(dataset: Dataset) -> Iterable[str]:
    for name, records in (dataset.labels or {}).items():
        yield f"label map {name}: in {plural(records, 'record')}"


def _weights(dataset: Dataset) -> Iterable[str]:
    for split in SPLITS:
        weights = dataset.records(split).weights
        if weights is not None:
            yield f"{split} records have weights from {weights.min():g} to {weights.max():g}"


def _out_of_range(dataset: Dataset) -> Iterable[str]:
    for source in dataset.definitions:
        yield from out_of_range(f"source {source.name}", source, dataset.sources[source.name].counts)


def _draw_bands(panel: Axes, source: Source, counts: Int64[np.ndarray, "C bins"]) -> None:
    """Draw a curve for each band beside a dotted normal distribution; or a row of shades each, if there are many."""
    middle, width = (BIN_EDGES[1:] + BIN_EDGES[:-1]) / 2, BIN_EDGES[1] - BIN_EDGES[0]
    names = [picture_text(band.name) for band in source.bands]
    density = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1) / width
    panel.set_title(source.name, fontsize=11)
    panel.set_xlabel("standard deviations from the mean", fontsize=9)
    panel.set_xlim(-CLIP_SIGMA, CLIP_SIGMA)
    if source.channels > MAX_CURVES:
        shades = density / np.maximum(density.max(axis=1, keepdims=True), 1e-9)
        panel.pcolormesh(BIN_EDGES, np.arange(source.channels + 1), shades, cmap="Greys", rasterized=True)
        shown = _shown_bands(source.channels)
        panel.set_yticks([band + 0.5 for band in shown], [names[band] for band in shown], fontsize=7)
        panel.invert_yaxis()
        return
    panel.plot(middle, np.exp(-(middle**2) / 2) / np.sqrt(2 * np.pi), ":", color="0.6", linewidth=1)
    for band in np.flatnonzero(counts.any(axis=1)):
        panel.plot(middle, density[band], label=names[band], linewidth=1.2, drawstyle="steps-mid")
    panel.set_yticks([])
    panel.legend(frameon=False, fontsize=7, loc="upper right")


def _draw_classes(panel: Axes, source: Source, counts: Int64[np.ndarray, "1 K"]) -> None:
    seen = np.flatnonzero(counts[0])
    panel.bar([str(index) for index in seen], counts[0][seen] / counts[0].sum(), color="0.4")
    panel.set_title(f"{source.name}: share of each class", fontsize=11)
    panel.tick_params(labelsize=7, labelrotation=90 if len(seen) > 12 else 0)
