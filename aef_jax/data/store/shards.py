"""Write the shards of a data set, and move new ones into its folder."""

import itertools
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from array_record.python.array_record_module import ArrayRecordWriter

from aef_jax.data.store.dataset import DESCRIPTION, Dataset
from aef_jax.data.store.records import SPLITS, Split
from aef_jax.data.store.site import Site
from aef_jax.data.store.summary import MAX_RECORDS, Shard

SHARD_BYTES = 2**29
"""A shard ends when its records reach this size, before compression, or are `MAX_RECORDS`."""
OPTIONS = "group_size:1,zstd:1"
"""Each record is compressed by itself, because records are read in random order."""


class OpenShards:
    """The shards of both splits while they are written.

    Args:
        folder: where the shards go. It must exist before the first record.
        shard_bytes: a shard ends when its records reach this size, before compression.
    """

    def __init__(self, folder: Path, shard_bytes: int = SHARD_BYTES):
        self.folder, self.shard_bytes = folder, shard_bytes
        self.shards: dict[Split, list[_OpenShard]] = {split: [] for split in SPLITS}

    def write(self, split: Split, site: Site, blob: bytes) -> None:
        """Append a record to a split.

        Args:
            split: "training" or "validation".
            site: the site.
            blob: its record, as `encode` makes it.
        """
        shards = self.shards[split]
        if not shards or shards[-1].size >= self.shard_bytes or len(shards[-1].names) == MAX_RECORDS:
            if shards:
                shards[-1].close()
            shards.append(_OpenShard(self.folder / f"{split}-{len(shards):05d}.array_record"))
        shards[-1].write(site, blob)

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
        self.file, self.size = file, 0
        self.names: list[str] = []
        self.weights: list[float] = []
        self.writer: ArrayRecordWriter | None = ArrayRecordWriter(str(file), OPTIONS)

    def write(self, site: Site, blob: bytes) -> None:
        assert self.writer is not None
        self.writer.write(blob)
        self.names.append(site.name)
        self.weights.append(float(site.weight))
        self.size += len(blob)

    def close(self) -> None:
        if self.writer is not None:
            self.writer.close()
            self.writer = None

    def describe(self) -> Shard:
        weights = () if set(self.weights) == {1.0} else tuple(self.weights)
        return Shard(self.file.name, len(self.names), self.file.stat().st_size, tuple(self.names), weights)


@contextmanager
def moved_shards(
    temporary: Path, folder: Path, shards: Mapping[Split, tuple[Shard, ...]]
) -> Iterator[dict[Split, tuple[Shard, ...]]]:
    """Move shards into the folder of a data set, under names that are new there.

    Args:
        temporary: the folder that they are in.
        folder: of the data set.
        shards: to move.

    Yields:
        The shards under their new names, for `dataset.json`. After an exception they are removed, unless it names them.
    """
    revision = next(n for n in itertools.count(1) if not any(folder.glob(f"*.r{n}.array_record")))
    moved: list[Path] = []
    renamed = {}
    try:
        for split, of_split in shards.items():
            names = [f"{split}-{index:05d}.r{revision}.array_record" for index in range(len(of_split))]
            for shard, name in zip(of_split, names, strict=True):
                moved.append((temporary / shard.file).rename(folder / name))
            renamed[split] = tuple(replace(shard, file=name) for shard, name in zip(of_split, names, strict=True))
        yield renamed
    except BaseException:
        named = (folder / DESCRIPTION).read_text()  # an interrupt may come when it has been replaced
        for path in moved:
            if path.name not in named:
                path.unlink(missing_ok=True)
        raise


def remove_strays(dataset: Dataset) -> None:
    """Remove shards that `dataset.json` does not name: what a killed process left.

    Args:
        dataset: the data set, in which no other process may write.
    """
    named = {shard.file for split in SPLITS for shard in dataset.shards[split]}
    for path in dataset.path.glob("*.array_record"):
        if path.name not in named:
            path.unlink()
