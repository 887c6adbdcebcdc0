"""Safetensors files of weights, in PyTorch's names and layout, read tensor by tensor; nothing in one is executed."""

import json
import mmap
import os
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeGuard

import numpy as np
from jaxtyping import Shaped

from aef_jax.files.printable import printable
from parity.files.digest import Digests, verify
from parity.files.safetensors_header import SHA256, SHORTER, Header
from parity.mapping.spec import Spec

SUFFIX = ".safetensors"


@dataclass(frozen=True)
class WeightsFile:
    """What a file says that it holds; the tensors themselves are read by `tensor`."""

    path: Path
    metadata: dict[str, str]
    """Without the checksums."""
    specs: dict[str, Spec]
    digests: Digests | None
    """Of each tensor, where the file has them."""
    offsets: dict[str, int]

    @classmethod
    def open(cls, path: Path) -> "WeightsFile":
        """Reads the header alone. Raises ValueError, naming the file, where it is not a whole safetensors file."""
        if not path.is_file():
            raise ValueError(f"{path} is not a file")
        header = Header.read(path)
        metadata = dict(header.metadata)
        text = metadata.pop(SHA256, None)
        digests = None if text is None else _read_digests(path, text, header)
        return cls(path, metadata, header.specs, digests, header.offsets)

    def tensor(self, name: str) -> Shaped[np.ndarray, "..."]:
        """One tensor, in memory only as long as it is used. Raises ValueError where its checksum is wrong."""
        spec = self.specs[name]
        array = _mapped(self.path, self.offsets[name], spec)
        if self.digests is not None:
            verify(self.path, printable(name), array, {printable(name): self.digests[name]})
        return array


def _mapped(path: Path, offset: int, spec: Spec) -> Shaped[np.ndarray, "..."]:
    if not spec.nbytes:
        return np.empty(spec.shape, spec.dtype)
    start = offset - offset % mmap.ALLOCATIONGRANULARITY
    with path.open("rb") as file:
        if os.fstat(file.fileno()).st_size < offset + spec.nbytes:
            raise ValueError(f"{path} {SHORTER}")
        memory = mmap.mmap(file.fileno(), offset - start + spec.nbytes, access=mmap.ACCESS_COPY, offset=start)
    return np.frombuffer(memory, np.uint8, spec.nbytes, offset - start).view(spec.dtype).reshape(spec.shape)


def _read_digests(path: Path, text: str, header: Header) -> Digests:
    try:
        digests = json.loads(text)
    except (ValueError, RecursionError):
        digests = None
    if not are_digests(digests, header.specs):
        raise ValueError(f"{path}: {SHA256} in its metadata is not the JSON of a checksum for each of its tensors")
    return digests


def are_digests(tree: Any, names: Iterable[str]) -> TypeGuard[dict[str, str]]:
    """Whether something out of JSON is a checksum for each of the names, and for nothing else."""
    return (
        isinstance(tree, dict)
        and tree.keys() == set(names)
        and all(isinstance(digest, str) and re.fullmatch("[0-9a-f]{64}", digest) for digest in tree.values())
    )
