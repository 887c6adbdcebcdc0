"""Write a training set record by record: memory holds one record, and the folder appears complete or not at all."""

import json
import logging
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from types import TracebackType

from array_record.python.array_record_module import ArrayRecordWriter

from aef_jax.data.store.dataset import SPLITS, Dataset, Split
from aef_jax.data.store.georeference import validate_crs
from aef_jax.data.store.observations import count_values, out_of_range, validate_times
from aef_jax.data.store.record import encode
from aef_jax.data.store.site import Series, Site
from aef_jax.data.store.statistics import Statistics
from aef_jax.data.store.summary import Shard, SourceSummary
from aef_jax.files.atomic import replace_folder
from configs.fields.statistics import MAX_WRONG
from configs.source import Source

SHARD_BYTES = 2**29
"""A shard ends when its records reach this size, before compression."""
OPTIONS = "group_size:1,zstd:1"
"""Each record is compressed by itself, because records are read in random order."""


class DatasetWriter:
    """Write a data set. Use it as a context manager.

    Records are written into a temporary folder beside `path`, which is renamed at the end; after an exception it is
    removed. The statistics of the training records are computed on the way. A log message tells the bands of which more
    than 1 % of the valid values are out of range.

    Args:
        path: folder of the data set. It must not exist.
        sources: the sources that sites may have.
        shard_bytes: a shard ends when its records reach this size, before compression.

    Raises:
        ValueError: `path` exists; or, when the context ends, no training record was added.

    Example:
        with DatasetWriter(Path("mine"), SOURCES) as writer:
            for site in sites[:-1]:
                writer.add(site)
            writer.add(sites[-1], "validation")
    """

    def __init__(self, path: Path, sources: tuple[Source, ...], shard_bytes: int = SHARD_BYTES):
        if path.exists():
            raise ValueError(f"{path} exists: give a new folder for the data set")
        self.path = path
        self.sources = {source.name: source for source in sources}
        self.shard_bytes = shard_bytes
        self.statistics = Statistics(sources)
        self.dataset = Dataset.empty(path)
        self.replacement = ExitStack()

    def __enter__(self) -> "DatasetWriter":
        self.temporary = self.replacement.enter_context(replace_folder(self.path))
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
        validate_crs(f"site {site.name}", site.crs)
        summaries = {name: self._summarize(site, name, series) for name, series in site.series.items()}
        validate_times(site, self.sources)
        expected = self.dataset.text_width
        width = site.text.sentence.shape[1] if len(site.text) else expected
        if expected not in (0, width):
            raise ValueError(f"site {site.name}: sentence embeddings of {width} numbers, expected {expected} as before")
        # nothing was changed before this line, so a site that was refused leaves no trace
        self.shards.write(split, blob)
        if split == "training":
            self.statistics.add(site)
        sources = self.dataset.sources | summaries
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
        if not shards["training"]:
            raise ValueError(f"{self.path}: no training record was written, expected at least one")
        summaries = self.dataset.sources
        for name, summary in summaries.items():
            for problem in out_of_range(f"source {name}", self.sources[name], summary.counts):
                logging.getLogger(__name__).warning("%s: %s", self.path, problem)
        dataset = replace(
            self.dataset,
            normalization=self.statistics.normalization(),
            shards=shards,
            definitions=tuple(source for name, source in self.sources.items() if name in summaries),
        )
        (self.temporary / "dataset.json").write_text(json.dumps(dataset.as_table(), indent=2))

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
        counts = count_values(series, source)
        for problem in out_of_range(f"site {site.name}, source {name}", source, counts, MAX_WRONG):
            raise ValueError(problem)
        return (before or SourceSummary.empty(bands, series.pixels.dtype.name)).update(series, counts)


class OpenShards:
    """The shards of both splits while they are written.

    Args:
        folder: where the shards go. It must exist before the first record.
        shard_bytes: a shard ends when its records reach this size, before compression.
    """

    def __init__(self, folder: Path, shard_bytes: int = SHARD_BYTES):
        self.folder, self.shard_bytes = folder, shard_bytes
        self.shards: dict[Split, list[_OpenShard]] = {split: [] for split in SPLITS}

    def write(self, split: Split, blob: bytes) -> None:
        """Append a record to a split.

        Args:
            split: "training" or "validation".
            blob: the encoded record.
        """
        shards = self.shards[split]
        if not shards or shards[-1].size >= self.shard_bytes:
            if shards:
                shards[-1].close()
            shards.append(_OpenShard(self.folder / f"{split}-{len(shards):05d}.array_record"))
        shards[-1].write(blob)

    def close(self) -> None:
        """Close all shards. May be called again."""
        for shard in (shard for split in SPLITS for shard in self.shards[split]):
            shard.close()

    def describe(self) -> dict[Split, tuple[Shard, ...]]:
        """Describe the shards, which must be closed.

        Returns:
            Each split's shards, in order.
        """
        return {split: tuple(shard.describe() for shard in self.shards[split]) for split in SPLITS}


class _OpenShard:
    """One shard while it is written."""

    def __init__(self, file: Path):
        self.file, self.records, self.size = file, 0, 0
        self.writer: ArrayRecordWriter | None = ArrayRecordWriter(str(file), OPTIONS)

    def write(self, blob: bytes) -> None:
        assert self.writer is not None
        self.writer.write(blob)
        self.records, self.size = self.records + 1, self.size + len(blob)

    def close(self) -> None:
        if self.writer is not None:
            self.writer.close()
            self.writer = None

    def describe(self) -> Shard:
        return Shard(self.file.name, self.records, self.file.stat().st_size)
