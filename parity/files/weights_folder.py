"""Weights in one safetensors file or in several with an index, as Hugging Face's libraries write and read them.

One shard is `model.safetensors`; N are `model-00001-of-0000N.safetensors` and so on, and `model.safetensors.index.json`
says which tensor is in which. https://huggingface.co/docs/huggingface_hub/package_reference/serialization
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Shaped

from configs.serialization.printable import LONGEST_NAME, printable
from configs.serialization.read_file import require_inside
from configs.serialization.strict_json import read_json
from parity.files.weights_file import SUFFIX, WeightsFile
from parity.files.weights_writer import WeightsWriter
from parity.mapping.spec import Spec

INDEX = ".index.json"


@dataclass(frozen=True)
class Weights:
    """The tensors of one file, or of all shards of an index."""

    path: Path
    """The file, or the index."""
    metadata: dict[str, str]
    """Metadata that all shards share, without the checksums."""
    files: dict[str, WeightsFile]
    """The file of each tensor."""

    @classmethod
    def open(cls, path: Path, name: str = "model") -> "Weights":
        """Read the headers of a file, or of the weights in a folder.

        Args:
            path: the file, or the folder.
            name: name of the weights in a folder.

        Returns:
            The weights.

        Raises:
            ValueError: there are none, there are both a file and an index, a file is damaged or outside of the folder,
                the index and the shards do not hold the same tensors, or the shards were not written together.
        """
        if not path.is_dir():
            return cls._of(path, [WeightsFile.open(path)])
        single, index = path / f"{name}{SUFFIX}", path / f"{name}{SUFFIX}{INDEX}"
        if not index.exists():
            require_inside(path, single)
            return cls._of(single, [WeightsFile.open(single)])
        if single.exists():
            raise ValueError(f"{path} holds both {single.name} and {index.name}: remove one of them")
        require_inside(path, index)
        where = _read_index(index)
        shards = {shard: _open_shard(index, shard) for shard in sorted(set(where.values()))}
        for tensor, shard in where.items():
            if tensor not in shards[shard].specs:
                raise ValueError(f"{index}: it says that {shard} holds {printable(tensor)}, which it does not")
        for shard, file in shards.items():
            more = [tensor for tensor in file.specs if where.get(tensor) != shard]
            if more:
                raise ValueError(f"{file.path}: it holds {printable(more[0])}, which {index.name} does not say")
        return cls._of(index, list(shards.values()))

    @classmethod
    def _of(cls, path: Path, files: list[WeightsFile]) -> "Weights":
        for file in files[1:]:
            if file.metadata != files[0].metadata:
                raise ValueError(f"{file.path} and {files[0].path} are of different checkpoints by their metadata")
        return cls(path, files[0].metadata, {name: file for file in files for name in file.specs})

    @property
    def specs(self) -> dict[str, Spec]:
        """Shape and dtype of each tensor."""
        return {name: file.specs[name] for name, file in self.files.items()}

    def tensor(self, name: str) -> Shaped[np.ndarray, "..."]:
        """Read one tensor.

        Args:
            name: its name.

        Returns:
            The tensor, mapped from its file.

        Raises:
            ValueError: its checksum is wrong.
        """
        return self.files[name].tensor(name)

    def digest(self, name: str) -> str | None:
        """Return the checksum with which a tensor was written.

        Args:
            name: the tensor's name.

        Returns:
            The checksum, or None if its file has none.
        """
        digests = self.files[name].digests
        return None if digests is None else digests[name]


def has_weights(folder: Path, name: str = "model") -> bool:
    """Decide whether a folder holds weights of a name.

    Args:
        folder: the folder.
        name: name of the weights.

    Returns:
        Whether there is a file or an index.
    """
    return any((folder / f"{name}{SUFFIX}{end}").exists() for end in ("", INDEX))


class ShardsWriter:
    """Write tensors into one file, or into several with an index. Use as a context that ends with all tensors written.

    Args:
        folder: folder of the files.
        name: name of the weights.
        specs: shape and dtype of each tensor; they may be written in any order.
        metadata: texts by key, for every file.
        shard_size: the most bytes of a file that holds more than one tensor.
    """

    def __init__(
        self, folder: Path, name: str, specs: Mapping[str, Spec], metadata: Mapping[str, str], shard_size: int
    ):
        shards = _shards(specs, shard_size)
        several = len(shards) > 1
        names = [
            f"{name}-{number:05d}-of-{len(shards):05d}{SUFFIX}" if several else f"{name}{SUFFIX}"
            for number in range(1, len(shards) + 1)
        ]
        self.writers = {
            file: WeightsWriter(folder / file, shard, metadata) for file, shard in zip(names, shards, strict=True)
        }
        self.where = {tensor: file for file, shard in zip(names, shards, strict=True) for tensor in shard}
        if several:
            total = sum(spec.nbytes for spec in specs.values())
            index = {"metadata": {"total_size": total}, "weight_map": self.where}
            text = json.dumps(index, indent=2, sort_keys=True) + "\n"
            (folder / f"{name}{SUFFIX}{INDEX}").write_text(text, encoding="utf-8")

    def __enter__(self) -> "ShardsWriter":
        return self

    def write(self, name: str, array: Shaped[np.ndarray, "..."], digest: str | None = None) -> None:
        """Write one tensor.

        Args:
            name: its name.
            array: its numbers, of the announced shape and dtype.
            digest: its checksum, if it is known.
        """
        self.writers[self.where[name]].write(name, array, digest)

    def __exit__(self, *exception: Any) -> None:
        for writer in self.writers.values():
            writer.__exit__(*exception)


def _shards(specs: Mapping[str, Spec], shard_size: int) -> list[dict[str, Spec]]:
    shards: list[dict[str, Spec]] = [{}]
    size = 0
    for name, spec in specs.items():
        if shards[-1] and size + spec.nbytes > shard_size:
            shards.append({})
            size = 0
        shards[-1][name] = spec
        size += spec.nbytes
    return shards


def _read_index(index: Path) -> dict[str, str]:
    """Return the shard of each tensor."""
    tree = read_json(index)
    where = tree.get("weight_map") if isinstance(tree, dict) else None
    if not isinstance(where, dict) or not where or not all(isinstance(shard, str) for shard in where.values()):
        raise ValueError(f"{index}: its weight_map does not say for each tensor in which file it is")
    return where


def _open_shard(index: Path, shard: str) -> WeightsFile:
    if not shard.isprintable() or Path(shard).name != shard or not shard.endswith(SUFFIX):
        name = shard[:LONGEST_NAME]
        raise ValueError(f"{index}: a shard is called {name!r}, expected the name of a {SUFFIX} file beside it")
    path = index.parent / shard
    require_inside(index.parent, path)
    if not path.is_file():
        raise ValueError(f"{index}: its shard {shard} is missing")
    return WeightsFile.open(path)
