"""A training set on disk: a folder of ArrayRecord shards, and `dataset.json`, which says what they hold."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal, SupportsIndex, cast

import grain
import numpy as np

from aef_jax.data.store.normalization import Normalization
from aef_jax.data.store.record import DTYPES, decode
from aef_jax.data.store.site import Series, Site

FORMAT = "aef-dataset"
VERSION = 1
"""Of the format; a reader refuses another one rather than guess."""

Split = Literal["training", "heldout"]
SPLITS: tuple[Split, ...] = ("training", "heldout")


@dataclass(frozen=True)
class Shard:
    """One ArrayRecord file of the folder."""

    file: str
    records: int
    bytes: int

    def __post_init__(self):
        if not isinstance(self.file, str) or Path(self.file).name != self.file:
            raise ValueError(f"shard {self.file!r} is not the name of a file of the folder")
        _check_counts(f"shard {self.file}", records=self.records, bytes=self.bytes)


@dataclass(frozen=True)
class SourceSummary:
    """What a data set holds of one source, over both splits."""

    bands: tuple[str, ...]
    dtype: str
    """Number type of its pixels, by NumPy's name."""
    frames: int
    valid_pixels: int
    pixels: int
    first_ms: int
    last_ms: int

    def __post_init__(self):
        if not self.bands or not all(isinstance(band, str) for band in self.bands):
            raise ValueError(f"bands are {self.bands}, expected names")
        if self.dtype not in {np.dtype(dtype).name for dtype in DTYPES.values()}:
            raise ValueError(f"dtype is {self.dtype!r}, expected one of imagery, such as uint16")
        _check_counts("source", frames=self.frames, valid_pixels=self.valid_pixels, pixels=self.pixels)
        if not isinstance(self.first_ms, int) or not isinstance(self.last_ms, int):
            raise ValueError(f"times are {self.first_ms!r} and {self.last_ms!r}, expected epoch milliseconds")

    @classmethod
    def nothing(cls, bands: tuple[str, ...], dtype: str) -> "SourceSummary":
        """Of a source, before its first frame."""
        return cls(bands, dtype, frames=0, valid_pixels=0, pixels=0, first_ms=2**62, last_ms=-(2**62))

    def update(self, series: Series) -> "SourceSummary":
        """With one more site's frames."""
        times = series.time_ms.tolist()
        return replace(
            self,
            frames=self.frames + len(times),
            valid_pixels=self.valid_pixels + int(np.count_nonzero(series.valid.any(axis=-1))),
            pixels=self.pixels + int(np.prod(series.valid.shape[:3])),
            first_ms=min([self.first_ms, *times]),
            last_ms=max([self.last_ms, *times]),
        )


@dataclass(frozen=True)
class Dataset:
    """A training set: what `dataset.json` says, and the records by split."""

    path: Path
    sources: dict[str, SourceSummary]
    normalization: Normalization
    """Over the training split alone."""
    shards: dict[Split, tuple[Shard, ...]]
    text_points: int
    text_width: int
    """Numbers in a sentence embedding; 0 where no record has text."""
    text_model: str

    @classmethod
    def open(cls, path: Path) -> "Dataset":
        """Raises ValueError, naming the file, where it is no data set, of another version, or a shard was cut short."""
        file = path / "dataset.json"
        if not file.is_file():
            raise ValueError(f"{path} is not a data set: it has no dataset.json")
        try:
            table = json.loads(file.read_text())
            if table["format"] != FORMAT:
                raise ValueError(f"its format is {table['format']!r}, expected {FORMAT!r}")
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise ValueError(f"{file}: not the description of a data set ({error})") from None
        if table.get("version") != VERSION:
            raise ValueError(f"{file}: format version {table.get('version')}, expected {VERSION}")
        try:
            dataset = cls._from_table(path, table)
        except (ValueError, KeyError, TypeError, AttributeError, OverflowError) as error:
            raise ValueError(f"{file}: not the description of a data set ({error!r})") from None
        for split in SPLITS:
            for shard in dataset.shards[split]:
                _check_shard(path, shard)
        return dataset

    def records(self, split: Split) -> "Records":
        return Records(self, split)

    def as_table(self) -> dict[str, Any]:
        """What `dataset.json` says."""
        return {
            "format": FORMAT,
            "version": VERSION,
            "sources": {name: asdict(stored) for name, stored in self.sources.items()},
            "text": {"points": self.text_points, "width": self.text_width, "model": self.text_model},
            "splits": {split: [asdict(shard) for shard in self.shards[split]] for split in SPLITS},
            "normalization": self.normalization.as_table(),
        }

    @classmethod
    def _from_table(cls, path: Path, table: dict[str, Any]) -> "Dataset":
        sources = {
            name: SourceSummary(**{**row, "bands": tuple(row["bands"])}) for name, row in table["sources"].items()
        }
        normalization = Normalization.from_table(table["normalization"])
        for name, mean in normalization.mean.items():
            if mean.shape != (len(sources[name].bands),):
                raise ValueError(f"source {name}: statistics are of {mean.shape}, expected {sources[name].bands}")
        text = table["text"]
        _check_counts("text", points=text["points"], width=text["width"])
        return cls(
            path,
            sources,
            normalization,
            {split: tuple(Shard(**row) for row in table["splits"][split]) for split in SPLITS},
            text_points=text["points"],
            text_width=text["width"],
            text_model=str(text["model"]),
        )


class Records(Sequence[Site]):
    """All records of one split, each read and decoded when it is asked for; safe to share between threads."""

    def __init__(self, dataset: Dataset, split: Split):
        self.dataset, self.split = dataset, split
        self.shards = dataset.shards[split]
        self.length = sum(shard.records for shard in self.shards)
        self.source = self._opened([dataset.path / shard.file for shard in self.shards])
        if len(self.source) != self.length:
            raise ValueError(
                f"{dataset.path}: the {split} shards hold {len(self.source)} records, expected {self.length}"
            )

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, index: SupportsIndex) -> Site:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Raises ValueError, naming the record, where it cannot be read."""
        where = f"{self.dataset.path}: {self.split} record {int(index)}"
        if not 0 <= int(index) < self.length:
            raise IndexError(f"{where}: there are {self.length}")  # which ends a loop over a Sequence
        try:
            blob = self.source[int(index)]
        except (RuntimeError, ValueError) as error:
            raise ValueError(f"{where}: cannot be read ({_one_line(error)})") from None
        return decode(blob, where)

    def _opened(self, files: list[Path]) -> Sequence[bytes]:
        """Raises ValueError, naming the shard, where one is not of ArrayRecord's format, or its index is broken."""
        try:
            return cast(Sequence[bytes], grain.sources.ArrayRecordDataSource([str(f) for f in files]) if files else [])
        except (RuntimeError, ValueError) as error:
            if len(files) == 1:
                raise ValueError(f"{files[0]}: not a shard that can be read ({_one_line(error)})") from None
            for file in files:
                self._opened([file])
            raise


def _check_shard(path: Path, shard: Shard) -> None:
    file = path / shard.file
    if not file.is_file():
        raise ValueError(f"{file}: a shard of the data set is missing")
    if file.stat().st_size != shard.bytes:
        raise ValueError(
            f"{file}: {file.stat().st_size} bytes, expected {shard.bytes}: it was cut short or overwritten"
        )


def _check_counts(where: str, **counts: int) -> None:
    for name, count in counts.items():
        if isinstance(count, bool) or not isinstance(count, int) or count < 0:
            raise ValueError(f"{where}: {name} is {count!r}, expected a count")


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())
