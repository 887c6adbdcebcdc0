"""Read safetensors files of weights tensor by tensor. Nothing in a file is executed."""

import mmap
import os
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeGuard

import numpy as np
from jaxtyping import Shaped

from configs.serialization.strict_json import loads
from parity.files.digest import Digests, verify
from parity.files.safetensors_header import SHA256, SHORTER, Header
from parity.mapping.spec import Spec

SUFFIX = ".safetensors"


@dataclass(frozen=True)
class WeightsFile:
    """The header of a file; `tensor` reads the tensors."""

    path: Path
    metadata: dict[str, str]
    """Without the checksums."""
    specs: dict[str, Spec]
    digests: Digests | None
    """Checksum of each tensor, if the file has them."""
    offsets: dict[str, int]

    @classmethod
    def open(cls, path: Path) -> "WeightsFile":
        """Read the header alone.

        Args:
            path: the file.

        Returns:
            The file.

        Raises:
            ValueError: it is not a whole safetensors file; the message names it.
        """
        if not path.is_file():
            raise ValueError(f"{path} is not a file")
        header = Header.read(path)
        metadata = dict(header.metadata)
        text = metadata.pop(SHA256, None)
        digests = None if text is None else _read_digests(path, text, header)
        return cls(path, metadata, header.specs, digests, header.offsets)

    def tensor(self, name: str) -> Shaped[np.ndarray, "..."]:
        """Read one tensor, mapped from the file.

        Args:
            name: its name.

        Returns:
            The tensor; the mapping ends with it.

        Raises:
            ValueError: its checksum is wrong, or the file has become shorter.
        """
        spec = self.specs[name]
        array = _mapped(self.path, self.offsets[name], spec)
        if self.digests is not None:
            verify(self.path, name, array, self.digests)
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
        digests = loads(path, text)
    except ValueError:
        digests = None
    if not are_digests(digests, header.specs):
        raise ValueError(f"{path}: {SHA256} in its metadata is not the JSON of a checksum for each of its tensors")
    return digests


def are_digests(tree: Any, names: Iterable[str]) -> TypeGuard[dict[str, str]]:
    """Decide whether parsed JSON is a checksum for each of the names, and for nothing else.

    Args:
        tree: parsed JSON.
        names: names of all tensors.

    Returns:
        Whether it is.
    """
    return (
        isinstance(tree, dict)
        and tree.keys() == set(names)
        and all(isinstance(digest, str) and re.fullmatch("[0-9a-f]{64}", digest) for digest in tree.values())
    )
