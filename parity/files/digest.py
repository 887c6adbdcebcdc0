"""Checksums of tensors: SHA-256 of the bytes in PyTorch's layout, so that both frameworks' files give the same ones."""

import hashlib
from collections.abc import Mapping

import numpy as np
from jaxtyping import Shaped

Digests = Mapping[str, str]
"""The checksum of each tensor, in hexadecimal."""
BLANK = "0" * 64
"""In the place of a checksum that is not known yet."""


def sha256(array: Shaped[np.ndarray, "..."]) -> str:
    """Of a contiguous array's bytes."""
    return hashlib.sha256(array.reshape(-1).view(np.uint8).data).hexdigest()


def verify(where: object, name: str, array: Shaped[np.ndarray, "..."], digests: Digests) -> None:
    """Raises ValueError where the checksum of a tensor is not the one that was noted when `where` was written."""
    found = sha256(array)
    if found != digests.get(name):
        raise ValueError(
            f"{where} is damaged: tensor {name} has the checksum {found[:12]}..., expected"
            f" {str(digests.get(name))[:12]}... as it was written"
        )
