"""A training set on disk: a folder of ArrayRecord shards, and `dataset.json`, which says what they hold."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, SupportsIndex, cast

import grain

from aef_jax.data.record import decode
from aef_jax.data.scaling import Normalisation
from aef_jax.data.site import Site

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


@dataclass(frozen=True)
class Stored:
    """What a data set holds of one source, over both splits."""

    bands: tuple[str, ...]
    dtype: str
    """Number type of its pixels, by NumPy's name."""
    frames: int
    valid_pixels: int
    pixels: int
    first_ms: int
    last_ms: int


@dataclass(frozen=True)
class Dataset:
    """A training set: what `dataset.json` says, and the records by split."""

    path: Path
    sources: dict[str, Stored]
    normalisation: Normalisation
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
        except (ValueError, KeyError, TypeError, AttributeError) as error:
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
            "normalisation": self.normalisation.as_table(),
        }

    @classmethod
    def _from_table(cls, path: Path, table: dict[str, Any]) -> "Dataset":
        return cls(
            path,
            {name: Stored(**{**row, "bands": tuple(row["bands"])}) for name, row in table["sources"].items()},
            Normalisation.from_table(table["normalisation"]),
            {split: tuple(Shard(**row) for row in table["splits"][split]) for split in SPLITS},
            text_points=int(table["text"]["points"]),
            text_width=int(table["text"]["width"]),
            text_model=str(table["text"]["model"]),
        )


class Records(Sequence[Site]):
    """All records of one split, each read and decoded when it is asked for; safe to share between threads."""

    def __init__(self, dataset: Dataset, split: Split):
        self.dataset, self.split = dataset, split
        self.shards = dataset.shards[split]
        self.length = sum(shard.records for shard in self.shards)
        paths = [str(dataset.path / shard.file) for shard in self.shards]
        self.source = cast(Sequence[bytes], grain.sources.ArrayRecordDataSource(paths) if paths else [])
        if len(self.source) != self.length:
            raise ValueError(
                f"{dataset.path}: the {split} shards hold {len(self.source)} records, expected {self.length}"
            )

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, index: SupportsIndex) -> Site:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Raises ValueError, naming the record, where it cannot be read."""
        where = f"{self.dataset.path}: {self.split} record {int(index)}"
        try:
            blob = self.source[int(index)]
        except (RuntimeError, ValueError) as error:
            raise ValueError(f"{where}: cannot be read ({error})") from None
        return decode(blob, where)


def _check_shard(path: Path, shard: Shard) -> None:
    file = path / shard.file
    if Path(shard.file).name != shard.file:
        raise ValueError(f"{path}: shard {shard.file!r} is not a file of the folder")
    if not file.is_file():
        raise ValueError(f"{file}: a shard of the data set is missing")
    if file.stat().st_size != shard.bytes:
        raise ValueError(
            f"{file}: {file.stat().st_size} bytes, expected {shard.bytes}: it was cut short or overwritten"
        )
