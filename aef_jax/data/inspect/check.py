"""`aef data check`: read every record of a training set, and report what is wrong."""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from tqdm import tqdm

from aef_jax.data.store.dataset import Dataset
from aef_jax.data.store.observations import count_values, out_of_range, outside_support
from aef_jax.data.store.records import SPLITS, Split
from aef_jax.data.store.site import Series, Site
from aef_jax.data.store.statistics import Statistics
from aef_jax.data.store.summary import SourceSummary
from configs.source import Source

TOLERANCE = 1e-6
"""Accepted difference of means and deviations, in standard deviations."""


def problems(folder: Path) -> Iterator[str]:
    """Read every record, with a progress bar.

    Values are compared with the ranges of the data set's own sources. Sources of older data sets that this project does
    not know are only counted.

    Args:
        folder: the data set.

    Yields:
        A sentence for each problem: of records first, of whole sources last.

    Raises:
        ValueError: the folder is no data set, or its shards do not fit its description.
    """
    dataset = Dataset.open(folder)
    tally = _RecordTally(dataset)
    total = sum(shard.records for split in SPLITS for shard in dataset.shards[split])
    with tqdm(total=total, desc="records", unit="record") as bar:
        for split in SPLITS:
            records = dataset.records(split)
            for index in range(len(records)):
                try:
                    site = records[index]
                except ValueError as error:
                    tally.unreadable += 1
                    yield str(error)
                else:
                    yield from tally.add(split, index, site)
                bar.update()
    yield from tally.compare_ranges()
    if tally.unreadable:
        yield f"{tally.unreadable} of {total} records cannot be read: counts and statistics were not compared"
    else:
        yield from tally.compare_counts()
        yield from tally.compare_statistics()


@dataclass
class _RecordTally:
    """Counts, statistics and names over the records that were read so far."""

    dataset: Dataset
    unreadable: int = 0
    names: dict[str, tuple[Split, int]] = field(default_factory=dict)
    summaries: dict[str, SourceSummary] = field(default_factory=dict)
    text_points: int = 0
    labels: Counter[str] = field(default_factory=Counter)

    def __post_init__(self):
        self.sources = {source.name: source for source in self.dataset.definitions}
        self.statistics = Statistics(tuple(self.sources.values()))
        self.described = {split: self.dataset.listed_names(split) for split in SPLITS}
        self.weights = {split: self.dataset.records(split).weights for split in SPLITS}

    def add(self, split: Split, index: int, site: Site) -> Iterator[str]:
        """Add a record, and yield what is wrong with it by itself or beside the records before."""
        where = f"{split} record {index}, site {site.name}"
        before = self.names.setdefault(site.name, (split, index))
        if before != (split, index):
            same = "is in both splits: it is also" if before[0] != split else "has the name of another:"
            yield f"{where}: it {same} {before[0]} record {before[1]}"
        described = self.described[split]
        if index < len(described) and described[index] != site.name:
            yield f"{where}: dataset.json calls it {described[index]}"
        weights = self.weights[split]
        if site.weight != (1 if weights is None else weights[index]):
            yield f"{where}: its weight is {site.weight:g}, unlike that in dataset.json"
        self.text_points += len(site.text)
        self.labels.update(site.labels.keys())
        if len(site.text) and site.text.sentence.shape[1] != self.dataset.text_width:
            yield (
                f"{where}: sentence embeddings of {site.text.sentence.shape[1]} numbers, dataset.json says"
                f" {self.dataset.text_width}"
            )
        fitting = {}  # series that statistics can be computed of
        for name, series in site.series.items():
            misfit = _misfit(series, self.dataset.sources.get(name), self.sources.get(name))
            if misfit:
                yield f"{where}, source {name}: {misfit}"
                continue
            summary = self.summaries.get(
                name, SourceSummary.empty(self.dataset.sources[name].bands, series.pixels.dtype.name)
            )
            source = self.sources.get(name)
            self.summaries[name] = summary.update(series, source and count_values(series, source))
            if source:
                fitting[name] = series
                yield from (f"{where}, source {name}: {problem}" for problem in _frame_problems(series, source, site))
        if split == "training":
            self.statistics.add(Site(site.name, fitting, site.crs, site.transform))

    def compare_ranges(self) -> Iterator[str]:
        """Yield the bands of which too many values are out of range."""
        for name, summary in self.summaries.items():
            if name in self.sources:
                yield from out_of_range(f"source {name}", self.sources[name], summary.counts)

    def compare_counts(self) -> Iterator[str]:
        """Yield the counts of `dataset.json` that differ from those of the records."""
        counts = {"text points": (self.dataset.text_points, self.text_points)}
        described = self.labels if self.dataset.labels is None else self.dataset.labels  # older data sets: not known
        for name in sorted({*self.labels, *described}):
            counts[f"label map {name}: records"] = described.get(name, 0), self.labels[name]
        for name, described in self.dataset.sources.items():
            counted = self.summaries.get(name)
            if counted is None:
                yield f"source {name}: dataset.json lists it, but no record has it"
                continue
            value_counts = ("values", "out_of_range") if described.values else ()  # older data sets have none
            for count in ("frames", "valid_pixels", "pixels", "first_ms", "last_ms", *value_counts):
                counts[f"source {name}: {count}"] = getattr(described, count), getattr(counted, count)
        for what, (in_description, in_records) in counts.items():
            if in_description != in_records:
                yield f"{what}: dataset.json says {in_description}, the records hold {in_records}"

    def compare_statistics(self) -> Iterator[str]:
        """Yield the statistics of `dataset.json` that differ from those of the training records."""
        described, computed = self.dataset.normalization, self.statistics.normalization()
        for source in self.statistics.sources:
            name = source.name
            if (name in described.mean) != (name in computed.mean):
                has = "statistics" if name in described.mean else "no statistics"
                yield f"source {name}: dataset.json has {has} of it, unlike the training records"
            if name not in described.mean or name not in computed.mean:
                continue
            unit = TOLERANCE * computed.deviation[name]
            for number, (in_description, in_records) in {
                "mean": (described.mean[name], computed.mean[name]),
                "deviation": (described.deviation[name], computed.deviation[name]),
            }.items():
                differs = ~(
                    (np.abs(in_description - in_records) <= unit) | (np.isnan(in_description) & np.isnan(in_records))
                )
                for band in np.flatnonzero(differs):
                    yield (
                        f"source {name}, band {source.bands[band].name}: its {number} in dataset.json is"
                        f" {in_description[band]:.9g}, that of the training records is {in_records[band]:.9g}"
                    )


def _misfit(series: Series, described: SourceSummary | None, source: Source | None) -> str | None:
    """Return why the frames cannot be counted among those that `dataset.json` describes; None if they can."""
    if described is None:
        return "dataset.json does not list it"
    if series.pixels.shape[-1] != len(described.bands) or series.pixels.dtype.name != described.dtype:
        return (
            f"{series.pixels.shape[-1]} bands of {series.pixels.dtype.name}, dataset.json says"
            f" {len(described.bands)} of {described.dtype}"
        )
    if source is not None and series.metadata.shape[1] != len(source.metadata):
        return f"{series.metadata.shape[1]} metadata fields, expected {[fact.name for fact in source.metadata]}"
    return None


def _frame_problems(series: Series, source: Source, site: Site) -> Iterable[str]:
    """Yield what is wrong with the frames of one source."""
    if source.timed and (problem := outside_support(series.time_ms, site.support)):
        yield problem
    if source.is_input and not series.valid.any():
        yield f"none of its {len(series.time_ms)} frames has a valid pixel"
    # one mask for all bands marks a pixel with data in any band: a radar scene may lack polarizations
    shown = (
        series.has_data if series.valid.shape == series.pixels.shape else series.has_data.any(axis=-1, keepdims=True)
    )
    without_data = np.count_nonzero(series.valid & ~shown)
    if without_data:
        yield f"{without_data} of {np.count_nonzero(series.valid)} values that are marked valid hold no data"
