"""Read the records of a data set's shards."""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal, SupportsIndex, cast

import grain
import numpy as np
from jaxtyping import Float64

from aef_jax.data.store.record import decode
from aef_jax.data.store.site import Site
from aef_jax.data.store.summary import Shard
from configs.serialization.printable import sentence
from configs.serialization.read_file import require_inside

Split = Literal["training", "validation"]
SPLITS: tuple[Split, ...] = ("training", "validation")


class Records(Sequence[Site]):
    """All records of one split, each read and decoded when it is indexed. Threads may share it.

    Args:
        path: folder of the data set.
        split: "training" or "validation".
        shards: of the split.

    Raises:
        ValueError: a shard is not in the ArrayRecord format, or holds another number of records than expected.
    """

    def __init__(self, path: Path, split: Split, shards: tuple[Shard, ...]):
        self.path, self.split, self.shards = path, split, shards
        self.length = sum(shard.records for shard in shards)
        self.source = self._open_shards([path / shard.file for shard in shards])
        if len(self.source) != self.length:
            raise ValueError(f"{path}: the {split} shards hold {len(self.source)} records, expected {self.length}")

    def __len__(self) -> int:
        return self.length

    @property
    def weights(self) -> Float64[np.ndarray, "N"] | None:
        """How often training draws each record, relative to others; None if all weights are 1. No record is read."""
        if not any(shard.weights for shard in self.shards):
            return None
        return np.concatenate([shard.weights or np.ones(shard.records) for shard in self.shards])

    def __getitem__(self, index: SupportsIndex) -> Site:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Read and decode a record. Raises ValueError, with the record's number, if it is broken."""
        where = f"{self.path}: {self.split} record {int(index)}"
        if not 0 <= int(index) < self.length:
            raise IndexError(f"{where}: there are {self.length}")  # ends a loop over a Sequence
        try:
            blob = self.source[int(index)]
        except (RuntimeError, ValueError) as error:
            raise ValueError(f"{where}: cannot be read ({sentence(error)})") from None
        return decode(blob, where)

    def _open_shards(self, files: list[Path]) -> Sequence[bytes]:
        """Open shards as one sequence of blobs. Raises ValueError, with the file's name, if one is broken."""
        try:
            return cast(Sequence[bytes], grain.sources.ArrayRecordDataSource([str(f) for f in files]) if files else [])
        except (RuntimeError, ValueError) as error:
            if len(files) == 1:
                raise ValueError(f"{files[0]}: the shard cannot be read ({sentence(error)})") from None
            for file in files:
                self._open_shards([file])
            raise


def require_whole_shard(path: Path, shard: Shard) -> None:
    """Compare the size of a shard with its description.

    Args:
        path: folder of the data set.
        shard: the description.

    Raises:
        ValueError: the file is missing, is not in the folder or has another size.
    """
    file = path / shard.file
    if not file.is_file():
        raise ValueError(f"{file}: a shard of the data set is missing")
    require_inside(path, file)
    if file.stat().st_size != shard.bytes:
        raise ValueError(
            f"{file}: {file.stat().st_size} bytes, expected {shard.bytes}: it was cut short or overwritten"
        )
