"""Write a training set record by record, or add to one. Memory holds one record; the folder is never half written."""

import logging
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from types import TracebackType

from aef_jax.data.store.dataset import DESCRIPTION, Dataset
from aef_jax.data.store.georeference import validate_crs
from aef_jax.data.store.observations import count_values, out_of_range, validate_times
from aef_jax.data.store.record import encode
from aef_jax.data.store.records import SPLITS, Split
from aef_jax.data.store.shards import SHARD_BYTES, OpenShards, moved_shards, remove_strays
from aef_jax.data.store.site import Series, Site
from aef_jax.data.store.statistics import Statistics
from aef_jax.data.store.summary import UNKNOWN_LEVEL, SourceSummary, join_levels
from aef_jax.files.atomic import replace_file, replace_folder, temporary_folder
from configs.fields.statistics import MAX_WRONG
from configs.source import Source


class DatasetWriter:
    """Write a data set. Use it as a context manager.

    Records are written into a temporary folder beside `path`, which is renamed at the end; after an exception it is
    removed. To append, new shards are written in a temporary folder of the data set, moved beside the others under new
    names, and named in `dataset.json`, which is replaced last: until then the data set is the old one, and who has
    opened it goes on with the old one.

    The statistics of the training records are computed on the way. A log message tells the bands of which more than 1 %
    of the valid values are out of range.

    Args:
        path: folder of the data set. It must not exist, except to append.
        sources: the sources that sites may have.
        shard_bytes: a shard ends when its records reach this size, before compression.
        levels: processing level by source, such as "L2A"; what is not given is not known.
        text_model: name of the language model that embedded the sites' text; empty if it is not known.
        append: add to the data set at `path`. Its statistics are then those of all training records, to the bit.
        mixed_levels: whether frames of one source may be of another level than those that are there already.

    Raises:
        ValueError: `path` exists, or is no data set that can be appended to; or, when the context ends, no training
            record was added, or another process has changed the data set.

    Example:
        with DatasetWriter(Path("mine"), SOURCES) as writer:
            for site in sites[:-1]:
                writer.add(site)
            writer.add(sites[-1], "validation")
    """

    def __init__(
        self,
        path: Path,
        sources: tuple[Source, ...],
        shard_bytes: int = SHARD_BYTES,
        levels: Mapping[str, str] | None = None,
        text_model: str = "",
        append: bool = False,
        mixed_levels: bool = False,
    ):
        if path.exists() and not append:
            raise ValueError(f"{path} exists: give a new folder for the data set")
        self.path, self.append = path, append
        self.dataset = replace(Dataset.empty(path), text_model=text_model)
        if append:
            self.dataset = self.old = Dataset.open(path)
            self._join_levels({source.name: (levels or {}).get(source.name, "") for source in sources}, mixed_levels)
            sources = _appendable_sources(self.old, sources)
        # by name, so that data sets of the same records are the same, whatever order the sources are given in
        self.sources = {source.name: source for source in sorted(sources, key=lambda source: source.name)}
        self.shard_bytes, self.levels = shard_bytes, levels or {}
        self.statistics = Statistics.resume(tuple(self.sources.values()), self.dataset.moments or {})
        self.names = set(self.dataset.site_names())
        self.replacement = ExitStack()

    def __enter__(self) -> "DatasetWriter":
        if self.append:
            remove_strays(self.old)
        folder = temporary_folder(self.path / "appended") if self.append else replace_folder(self.path)
        self.temporary = self.replacement.enter_context(folder)
        self.shards = OpenShards(self.temporary, self.shard_bytes)
        return self

    def add(self, site: Site, split: Split = "training") -> None:
        """Write a site as the next record of a split.

        Args:
            site: the site. One that is refused leaves no trace, so the caller may skip it and go on.
            split: "training" or "validation".

        Raises:
            ValueError: the site is not valid, or does not fit the records before; the message has its name.
        """
        blob = encode(site)
        if site.name in self.names:
            raise ValueError(f"site {site.name}: another site has this name, expected a name of its own")
        validate_crs(f"site {site.name}", site.crs)
        summaries = {name: self._summarize(site, name, series) for name, series in site.series.items()}
        validate_times(site, self.sources)
        expected = self.dataset.text_width
        width = site.text.sentence.shape[1] if len(site.text) else expected
        if expected not in (0, width):
            raise ValueError(f"site {site.name}: sentence embeddings of {width} numbers, expected {expected} as before")
        # nothing was changed before this line, so a site that was refused leaves no trace
        self.shards.write(split, site, blob)
        self.names.add(site.name)
        if split == "training":
            self.statistics.add(site)
        sources = dict(sorted((self.dataset.sources | summaries).items()))
        self.dataset = replace(self.dataset.count_site(site), sources=sources, text_width=width)

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        try:
            self.shards.close()
            if error is None:
                self._finish()
        except BaseException as failure:
            self.replacement.__exit__(type(failure), failure, failure.__traceback__)
            raise
        self.replacement.__exit__(kind, error, trace)

    def _finish(self) -> None:
        shards = self.shards.describe()
        if not (shards["training"] or self.dataset.shards["training"]):
            raise ValueError(f"{self.path}: no training record was written, expected at least one")
        summaries = self.dataset.sources
        for name, summary in summaries.items():
            for problem in out_of_range(f"source {name}", self.sources[name], summary.counts):
                logging.getLogger(__name__).warning("%s: %s", self.path, problem)
        dataset = replace(
            self.dataset,
            normalization=self.statistics.normalization(),
            moments={name: moments for name, moments in self.statistics.moments().items() if name in summaries},
            definitions=tuple(source for name, source in self.sources.items() if name in summaries),
        )
        if not self.append:
            (self.temporary / DESCRIPTION).write_text(replace(dataset, shards=shards).to_json())
            return
        with moved_shards(self.temporary, self.path, shards) as moved, replace_file(self.path / DESCRIPTION) as file:
            added = {split: (*self.old.shards[split], *moved[split]) for split in SPLITS}
            file.write_text(replace(dataset, shards=added).to_json())
            if Dataset.open(self.path).to_json() != self.old.to_json():
                raise ValueError(f"{self.path}: another process has changed the data set meanwhile: append to it again")

    def _summarize(self, site: Site, name: str, series: Series) -> SourceSummary:
        if name not in self.sources:
            raise ValueError(f"site {site.name}: it has a source {name!r}, expected only {list(self.sources)}")
        source, before = self.sources[name], self.dataset.sources.get(name)
        if series.pixels.shape[-1] != source.channels or series.metadata.shape[-1] != len(source.metadata):
            raise ValueError(
                f"site {site.name}, source {name}: {series.pixels.shape[-1]} bands and {series.metadata.shape[-1]}"
                f" metadata fields, expected {[band.name for band in source.bands]} and"
                f" {[field.name for field in source.metadata]}"
            )
        if before and before.dtype != series.pixels.dtype.name:
            raise ValueError(
                f"site {site.name}, source {name}: pixels are {series.pixels.dtype.name}, expected {before.dtype} as"
                " in the records before"
            )
        bands = tuple(band.name for band in source.bands)
        counts, level = count_values(series, source), self.levels.get(name, "")
        for problem in out_of_range(f"site {site.name}, source {name}", source, counts, MAX_WRONG):
            raise ValueError(problem)
        return (before or SourceSummary.empty(bands, series.pixels.dtype.name, level)).update(series, counts)

    def _join_levels(self, levels: Mapping[str, str], mixed_levels: bool) -> None:
        """Give the sources of the old data set the levels of new frames too."""
        joined = {}
        for name in sorted(levels.keys() & self.old.sources.keys()):
            level = self.old.sources[name].level
            if level != levels[name] and not mixed_levels:
                raise ValueError(
                    f"{self.path}: source {name} has the processing level {level or UNKNOWN_LEVEL}, and what is added"
                    f" {levels[name] or UNKNOWN_LEVEL}, expected one level, or mixed_levels = true"
                )
            joined[name] = replace(self.old.sources[name], level=join_levels([level, levels[name]]))
        self.dataset = replace(self.dataset, sources=self.old.sources | joined)


def _appendable_sources(old: Dataset, new: tuple[Source, ...]) -> tuple[Source, ...]:
    """Return the rows of a data set and of what is added. Raises ValueError if they differ, or it is too old."""
    if old.moments is None:
        raise ValueError(
            f"{old.path}: its dataset.json is of an older version, without the sums that new sites add to: aef data"
            " merge NEW OLD writes it anew"
        )
    rows = {source.name: source for source in old.definitions}
    for source in new:
        if rows.setdefault(source.name, source).record_form != source.record_form:
            raise ValueError(f"{old.path}: source {source.name} has other bands or metadata than what is added")
    return tuple(rows.values())
