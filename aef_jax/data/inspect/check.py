"""`aef data check`: read every record of a training set, and report what is wrong."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from tqdm import tqdm

from aef_jax.console.dates import format_period
from aef_jax.data.inspect.info import known_sources
from aef_jax.data.store.dataset import SPLITS, Dataset, SourceSummary, Split
from aef_jax.data.store.normalization import scale_series
from aef_jax.data.store.site import Series, Site
from aef_jax.data.store.statistics import Statistics
from configs.source import Band, Source

TOLERANCE = 1e-6
"""Accepted difference of means and deviations, in standard deviations."""
MAX_OUT_OF_RANGE = 0.01
"""Accepted fraction of a band's valid values that are out of its range. They are masked when they are read; any radar
scene has some."""


def problems(folder: Path) -> Iterator[str]:
    """Read every record, with a progress bar.

    Sources that this project does not know are only counted.

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
class _OutOfRange:
    """Counts of one band's values that are marked valid."""

    values: int = 0
    outside: int = 0
    """Values out of the band's range."""
    records: int = 0
    """Records with such a value."""


@dataclass
class _RecordTally:
    """Counts, statistics and names over the records that were read so far."""

    dataset: Dataset
    unreadable: int = 0
    names: dict[str, tuple[Split, int]] = field(default_factory=dict)
    summaries: dict[str, SourceSummary] = field(default_factory=dict)
    text_points: int = 0
    ranges: dict[tuple[str, str], _OutOfRange] = field(default_factory=dict)

    def __post_init__(self):
        self.sources = {source.name: source for source in known_sources(self.dataset)}
        self.statistics = Statistics(tuple(self.sources.values()))

    def add(self, split: Split, index: int, site: Site) -> Iterator[str]:
        """Add a record, and yield what is wrong with it by itself or beside the records before."""
        where = f"{split} record {index}, site {site.name}"
        before = self.names.setdefault(site.name, (split, index))
        if before != (split, index):
            same = "is in both splits: it is also" if before[0] != split else "has the name of another:"
            yield f"{where}: it {same} {before[0]} record {before[1]}"
        self.text_points += len(site.text)
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
            self.summaries[name] = summary.update(series)
            if name in self.sources:
                fitting[name] = series
                yield from (
                    f"{where}, source {name}: {problem}"
                    for problem in _frame_problems(series, self.sources[name], site)
                )
                self._add_ranges(series, self.sources[name])
        if split == "training":
            self.statistics.add(Site(site.name, fitting, site.crs, site.transform))

    def compare_ranges(self) -> Iterator[str]:
        """Yield the bands of which too many values are out of range."""
        for (name, band), counts in self.ranges.items():
            if counts.outside > MAX_OUT_OF_RANGE * counts.values:
                yield (
                    f"source {name}, band {band}: {counts.outside / counts.values:.3%} of the values marked valid, in"
                    f" {counts.records} records, are out of range: expected {_range(self.sources[name], band)}"
                )

    def compare_counts(self) -> Iterator[str]:
        """Yield the counts of `dataset.json` that differ from those of the records."""
        counts = {"text points": (self.dataset.text_points, self.text_points)}
        for name, described in self.dataset.sources.items():
            counted = self.summaries.get(name)
            if counted is None:
                yield f"source {name}: dataset.json lists it, but no record has it"
                continue
            for count in ("frames", "valid_pixels", "pixels", "first_ms", "last_ms"):
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

    def _add_ranges(self, series: Series, source: Source) -> None:
        marked_valid = np.broadcast_to(series.valid, series.pixels.shape) & series.has_data
        if source.kind == "classes":
            in_range = (series.pixels >= 0) & (series.pixels < source.classes)
        else:
            in_range = scale_series(series, source)[1]
        for index, band in enumerate(source.bands):
            counts = self.ranges.setdefault((source.name, band.name), _OutOfRange())
            outside = int(np.count_nonzero(marked_valid[..., index] & ~in_range[..., index]))
            counts.values += int(np.count_nonzero(marked_valid[..., index]))
            counts.outside += outside
            counts.records += outside > 0


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
    if site.support and source.timed:
        outside = np.count_nonzero((series.time_ms < site.support[0]) | (series.time_ms >= site.support[1]))
        if outside:
            support = format_period(site.support, "..")
            yield f"{outside} of {len(series.time_ms)} frames are outside of the support period {support}"
    if source.is_input and not series.valid.any():
        yield f"none of its {len(series.time_ms)} frames has a valid pixel"
    # one mask for all bands marks a pixel with data in any band: a radar scene may lack polarizations
    shown = (
        series.has_data if series.valid.shape == series.pixels.shape else series.has_data.any(axis=-1, keepdims=True)
    )
    without_data = np.count_nonzero(series.valid & ~shown)
    if without_data:
        yield f"{without_data} of {np.count_nonzero(series.valid)} values that are marked valid hold no data"


def _range(source: Source, name: str) -> str:
    band: Band = next(band for band in source.bands if band.name == name)
    if source.kind == "classes":
        return f"a class from 0 to {source.classes - 1}"
    if band.valid_range is None:
        return f"a value that the scaling {band.scaling!r} is defined for"
    return f"{band.valid_range[0]:g} to {band.valid_range[1]:g}, after the scaling {band.scaling!r}"
