"""`aef data check`: reads all of a training set, and says what is wrong with it."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from tqdm import tqdm

from aef_jax.data.inspect.info import known_sources
from aef_jax.data.store.dataset import SPLITS, Dataset, SourceSummary, Split
from aef_jax.data.store.normalization import scaled, there
from aef_jax.data.store.site import Series, Site
from aef_jax.data.store.statistics import Statistics
from configs.source import Band, Source

TOLERANCE = 1e-6
"""Of means and deviations, in standard deviations."""
MOST_OUTSIDE = 0.01
"""Share of a band's valid values that may be out of its range: they are masked when they are read, and any radar scene
has some."""


def problems(folder: Path) -> Iterator[str]:
    """Reads every record, with a progress bar, and yields a sentence for each thing that is wrong.

    What is told of a source as a whole comes last. Sources that this project does not know are only counted. Raises
    ValueError where the folder is no data set, or its shards do not fit its description.
    """
    dataset = Dataset.open(folder)
    found = _Found(dataset)
    total = sum(shard.records for split in SPLITS for shard in dataset.shards[split])
    with tqdm(total=total, desc="records", unit="record") as bar:
        for split in SPLITS:
            records = dataset.records(split)
            for index in range(len(records)):
                try:
                    site = records[index]
                except ValueError as error:
                    found.unreadable += 1
                    yield str(error)
                else:
                    yield from found.add(split, index, site)
                bar.update()
    yield from found.of_ranges()
    if found.unreadable:
        yield f"{found.unreadable} of {total} records cannot be read: counts and statistics were not compared"
    else:
        yield from found.of_counts()
        yield from found.of_statistics()


@dataclass
class _OutOfRange:
    """Valid values of one band, and those of them that are out of its range."""

    values: int = 0
    outside: int = 0
    records: int = 0


@dataclass
class _Found:
    """What the records read so far hold."""

    dataset: Dataset
    unreadable: int = 0
    names: dict[str, tuple[Split, int]] = field(default_factory=dict)
    stored: dict[str, SourceSummary] = field(default_factory=dict)
    text_points: int = 0
    ranges: dict[tuple[str, str], _OutOfRange] = field(default_factory=dict)

    def __post_init__(self):
        self.sources = {source.name: source for source in known_sources(self.dataset)}
        self.statistics = Statistics(tuple(self.sources.values()))

    def add(self, split: Split, index: int, site: Site) -> Iterator[str]:
        """Takes in a record, and yields what is wrong with it by itself or beside those before."""
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
        fitting = {}
        for name, series in site.series.items():
            misfit = _misfit(series, self.dataset.sources.get(name), self.sources.get(name))
            if misfit:
                yield f"{where}, source {name}: {misfit}"
                continue
            stored = self.stored.get(
                name, SourceSummary.empty(self.dataset.sources[name].bands, series.pixels.dtype.name)
            )
            self.stored[name] = stored.update(series)
            if name in self.sources:
                fitting[name] = series
                yield from (f"{where}, source {name}: {said}" for said in _wrong(series, self.sources[name], site))
                self._add_ranges(series, self.sources[name])
        if split == "training":
            self.statistics.add(Site(site.name, fitting, site.crs, site.transform))

    def of_ranges(self) -> Iterator[str]:
        for (name, band), found in self.ranges.items():
            if found.outside > MOST_OUTSIDE * found.values:
                yield (
                    f"source {name}, band {band}: {found.outside / found.values:.3%} of the values that are marked"
                    f" valid, in {found.records} records, are none: expected {_range(self.sources[name], band)}"
                )

    def of_counts(self) -> Iterator[str]:
        said = {"text points": (self.dataset.text_points, self.text_points)}
        for name, stored in self.dataset.sources.items():
            counted = self.stored.get(name)
            if counted is None:
                yield f"source {name}: dataset.json lists it, no record holds it"
                continue
            for count in ("frames", "valid_pixels", "pixels", "first_ms", "last_ms"):
                said[f"source {name}: {count}"] = getattr(stored, count), getattr(counted, count)
        for what, (described, counted) in said.items():
            if described != counted:
                yield f"{what}: dataset.json says {described}, the records hold {counted}"

    def of_statistics(self) -> Iterator[str]:
        described, found = self.dataset.normalization, self.statistics.normalization()
        for source in self.statistics.sources:
            name = source.name
            if (name in described.mean) != (name in found.mean):
                has = "statistics" if name in described.mean else "no statistics"
                yield f"source {name}: dataset.json has {has} of it, the training records say otherwise"
            if name not in described.mean or name not in found.mean:
                continue
            unit = TOLERANCE * found.deviation[name]
            for number, (says, holds) in {
                "mean": (described.mean[name], found.mean[name]),
                "deviation": (described.deviation[name], found.deviation[name]),
            }.items():
                differs = ~((np.abs(says - holds) <= unit) | (np.isnan(says) & np.isnan(holds)))
                for band in np.flatnonzero(differs):
                    yield (
                        f"source {name}, band {source.bands[band].name}: its {number} in dataset.json is"
                        f" {says[band]:.9g}, that of the training records is {holds[band]:.9g}"
                    )

    def _add_ranges(self, series: Series, source: Source) -> None:
        marked = np.broadcast_to(series.valid, series.pixels.shape) & there(series)
        if source.kind == "classes":
            inside = (series.pixels >= 0) & (series.pixels < source.classes)
        else:
            inside = scaled(series, source)[1]
        for index, band in enumerate(source.bands):
            found = self.ranges.setdefault((source.name, band.name), _OutOfRange())
            outside = int(np.count_nonzero(marked[..., index] & ~inside[..., index]))
            found.values += int(np.count_nonzero(marked[..., index]))
            found.outside += outside
            found.records += outside > 0


def _misfit(series: Series, stored: SourceSummary | None, source: Source | None) -> str | None:
    """Why the frames cannot be counted among those that `dataset.json` describes."""
    if stored is None:
        return "dataset.json does not list it"
    if series.pixels.shape[-1] != len(stored.bands) or series.pixels.dtype.name != stored.dtype:
        return (
            f"{series.pixels.shape[-1]} bands of {series.pixels.dtype.name}, dataset.json says"
            f" {len(stored.bands)} of {stored.dtype}"
        )
    if source is not None and series.metadata.shape[1] != len(source.metadata):
        return f"{series.metadata.shape[1]} facts, expected {[fact.name for fact in source.metadata]}"
    return None


def _wrong(series: Series, source: Source, site: Site) -> Iterable[str]:
    """What is wrong with the frames of one source."""
    if site.support and source.timed:
        outside = np.count_nonzero((series.time_ms < site.support[0]) | (series.time_ms >= site.support[1]))
        if outside:
            start, end = (str(np.datetime64(ms, "ms").astype("datetime64[D]")) for ms in site.support)
            yield f"{outside} of {len(series.time_ms)} frames lie outside of the support period {start}..{end}"
    if source.is_input and not series.valid.any():
        yield f"none of its {len(series.time_ms)} frames has a valid pixel"
    # one mask for all bands marks a pixel that shows any: a radar scene has not all polarisations
    shown = there(series) if series.valid.shape == series.pixels.shape else there(series).any(axis=-1, keepdims=True)
    nothing = np.count_nonzero(series.valid & ~shown)
    if nothing:
        yield f"{nothing} of {np.count_nonzero(series.valid)} values that are marked valid hold no data"


def _range(source: Source, name: str) -> str:
    band: Band = next(band for band in source.bands if band.name == name)
    if source.kind == "classes":
        return f"a class from 0 to {source.classes - 1}"
    if band.valid_range is None:
        return f"what the scaling {band.scaling!r} is defined for"
    return f"{band.valid_range[0]:g} to {band.valid_range[1]:g}, after the scaling {band.scaling!r}"
