"""A training set on disk: a folder of ArrayRecord shards and `dataset.json`, which describes them."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from itertools import chain
from pathlib import Path
from typing import Any

from tqdm import tqdm

from aef_jax.data.store.normalization import Normalization
from aef_jax.data.store.records import SPLITS, Records, Split, require_whole_shard
from aef_jax.data.store.site import Site
from aef_jax.data.store.statistics import BandMoments
from aef_jax.data.store.summary import Shard, SmallestSite, SourceSummary, check_counts, smaller
from aef_jax.data.store.versions import READABLE_VERSIONS, VERSION, upgrade
from configs.serialization.config_json import typed
from configs.serialization.printable import printable_value, require_printable, sentence
from configs.serialization.strict_json import read_json
from configs.source import Source

FORMAT = "aef-dataset"
DESCRIPTION = "dataset.json"
"""The file that describes the data set; what it names belongs to the data set."""


@dataclass(frozen=True)
class Dataset:
    """A training set: the content of `dataset.json`, and the records of each split.

    Example:
        dataset = Dataset.open(Path("planet"))
        for site in dataset.records("training"):
            print(site.name, len(site.series["sentinel2"].time_ms))
    """

    path: Path
    sources: dict[str, SourceSummary]
    normalization: Normalization
    """Statistics of the training split alone."""
    shards: dict[Split, tuple[Shard, ...]]
    text_points: int
    text_width: int
    """Numbers in a sentence embedding; 0 if no record has text."""
    text_model: str
    """Name of the language model that embedded the text; empty if it is not known."""
    definitions: tuple[Source, ...]
    """The rows of the table of sources that the data set was written with. Older data sets have those of the project's
    own sources."""
    smallest: SmallestSite | None
    """None in older data sets: it is not known."""
    labels: dict[str, int] | None
    """Number of records that have each label map. None in older data sets: it is not known."""
    moments: Mapping[str, BandMoments] | None
    """What `normalization` was computed from; appending goes on from it. None in older data sets: it is not known."""

    @classmethod
    def empty(cls, path: Path) -> "Dataset":
        """Return a data set without records.

        Args:
            path: folder of the data set, which need not exist.

        Returns:
            A data set to count sites with.
        """
        return cls(path, {}, Normalization({}, {}), dict.fromkeys(SPLITS, ()), 0, 0, "", (), None, {}, {})

    @classmethod
    def open(cls, path: Path) -> "Dataset":
        """Read `dataset.json` and compare the size of each shard with it. No record is read.

        Args:
            path: folder of the data set.

        Returns:
            The data set. One of an older version is read as the current one.

        Raises:
            ValueError: the folder is no data set, has another version, or a shard is missing or cut short.
        """
        file = path / DESCRIPTION
        if not file.is_file():
            raise ValueError(f"{path} is not a data set: it has no dataset.json")
        try:
            table = read_json(file)
            if table["format"] != FORMAT:
                raise ValueError(f"its format is {printable_value(table['format'])}, expected {FORMAT!r}")
        except (ValueError, KeyError, TypeError) as error:
            raise ValueError(f"{file}: not the description of a data set ({sentence(error)})") from None
        if table.get("version") not in READABLE_VERSIONS:
            version = printable_value(table.get("version"))
            raise ValueError(f"{file}: format version {version}, expected one of {READABLE_VERSIONS}")
        try:
            dataset = cls._from_table(path, upgrade(table))
        except (ValueError, KeyError, TypeError, AttributeError, OverflowError) as error:
            raise ValueError(
                f"{file}: not the description of a data set ({type(error).__name__}: {sentence(error)})"
            ) from None
        for split in SPLITS:
            for shard in dataset.shards[split]:
                require_whole_shard(path, shard)
        return dataset

    @property
    def levels(self) -> dict[str, str]:
        """Processing level of each source of which it is known."""
        return {name: summary.level for name, summary in self.sources.items() if summary.level}

    def records(self, split: Split) -> Records:
        """Open the shards of a split.

        Args:
            split: "training" or "validation".

        Returns:
            The split's sites, each decoded when it is indexed.

        Raises:
            ValueError: a shard is not in the ArrayRecord format, or holds another number of records than expected.
        """
        return Records(self.path, split, self.shards[split])

    def site_names(self) -> Iterator[str]:
        """List the names of all sites. All records of an older data set are read, which does not list them.

        Yields:
            Names, those of the training split first.

        Raises:
            ValueError: a record of an older data set cannot be read.
        """
        if all(len(shard.names) == shard.records for split in SPLITS for shard in self.shards[split]):
            yield from chain.from_iterable(map(self.listed_names, SPLITS))
        else:
            yield from (site.name for site in self._read_all("reading names"))

    def listed_names(self, split: Split) -> list[str]:
        """Return the names of a split's sites.

        Args:
            split: "training" or "validation".

        Returns:
            Names in the order of the records; none in older data sets, which do not list them.
        """
        return [name for shard in self.shards[split] for name in shard.names]

    def find_smallest(self) -> SmallestSite:
        """Find the site with the shortest side. All records of an older data set are read, which does not name it.

        Returns:
            The site, of any split.

        Raises:
            ValueError: a record cannot be read, or there is none.
        """
        if self.smallest is not None:
            return self.smallest
        sites = (SmallestSite(site.name, site.shape) for site in self._read_all("reading sizes"))
        return min(sites, key=lambda site: min(site.shape))

    def _read_all(self, reason: str) -> Iterator[Site]:
        """Read all records, with a progress bar."""
        total = sum(shard.records for split in SPLITS for shard in self.shards[split])
        sites = (site for split in SPLITS for site in self.records(split))
        yield from tqdm(sites, reason, total, unit="record", leave=False)

    def count_site(self, site: Site) -> "Dataset":
        """Count the text points, the label maps and the size of one more site.

        Args:
            site: the site.

        Returns:
            The data set with new counts.
        """
        labels = dict(self.labels or {})
        for name in site.labels:
            labels[name] = labels.get(name, 0) + 1
        return replace(
            self,
            text_points=self.text_points + len(site.text),
            smallest=smaller(self.smallest, site),
            labels=dict(sorted(labels.items())),
        )

    def as_table(self) -> dict[str, Any]:
        """Describe the data set.

        Returns:
            The content of `dataset.json`.
        """
        return {
            "format": FORMAT,
            "version": VERSION,
            "sources": {name: asdict(stored) for name, stored in self.sources.items()},
            "text": {"points": self.text_points, "width": self.text_width, "model": self.text_model},
            "splits": {split: [asdict(shard) for shard in self.shards[split]] for split in SPLITS},
            "normalization": self.normalization.as_table(),
            # as they are read back: a row may have 1 for 1.0
            "definitions": [asdict(typed(asdict(source), Source, source.name)) for source in self.definitions],
            "smallest": self.smallest and asdict(self.smallest),
            "labels": self.labels,
            "moments": self.moments and {name: asdict(moments) for name, moments in self.moments.items()},
        }

    def to_json(self) -> str:
        """Write the content of `dataset.json`.

        Returns:
            `as_table` as JSON.
        """
        return json.dumps(self.as_table(), indent=2)

    @classmethod
    def _from_table(cls, path: Path, table: dict[str, Any]) -> "Dataset":
        sources = {
            require_printable("source", name): typed(row, SourceSummary, f"source {name}")
            for name, row in table["sources"].items()
        }
        definitions = typed(table["definitions"], tuple[Source, ...], "definitions")
        for source in definitions:
            if sources[source.name].bands != tuple(band.name for band in source.bands):
                raise ValueError(f"source {source.name}: its bands are not those of its definition")
        normalization = Normalization.from_table(table["normalization"])
        for name, mean in normalization.mean.items():
            if mean.shape != (len(sources[name].bands),):
                raise ValueError(
                    f"source {name}: statistics have shape {mean.shape}, expected one for each of {sources[name].bands}"
                )
        text, labels = table["text"], table["labels"]
        if labels is not None:
            check_counts("label map", **{require_printable("label map", name): n for name, n in labels.items()})
        check_counts("text", points=text["points"], width=text["width"])
        return cls(
            path,
            sources,
            normalization,
            {split: typed(table["splits"][split], tuple[Shard, ...], split) for split in SPLITS},
            text_points=text["points"],
            text_width=text["width"],
            text_model="" if text["model"] == "" else require_printable("text: its model", text["model"]),
            definitions=definitions,
            smallest=typed(table["smallest"], SmallestSite | None, "smallest"),
            labels=labels,
            moments=typed(table["moments"], Mapping[str, BandMoments] | None, "moments"),
        )
