"""Checksums of tensors: SHA-256 of the bytes in PyTorch's layout, so that both frameworks' files give the same ones."""

import hashlib
from collections.abc import Mapping

import numpy as np
from jaxtyping import Shaped

from configs.serialization.printable import printable

Digests = Mapping[str, str]
"""The checksum of each tensor, in hexadecimal."""
BLANK = "0" * 64
"""Placeholder for a checksum that is not known yet."""


def sha256(array: Shaped[np.ndarray, "..."]) -> str:
    """Compute the checksum of an array's bytes.

    Args:
        array: a contiguous array.

    Returns:
        SHA-256 in hexadecimal.
    """
    return hashlib.sha256(array.reshape(-1).view(np.uint8).data).hexdigest()


def verify(where: object, name: str, array: Shaped[np.ndarray, "..."], digests: Digests) -> None:
    """Require that a tensor has the checksum with which it was written.

    Args:
        where: the file, for messages.
        name: the tensor's name.
        array: the tensor, contiguous.
        digests: the checksums by name.

    Raises:
        ValueError: the checksum differs, so the file is damaged.
    """
    actual = sha256(array)
    if actual != digests.get(name):
        raise ValueError(
            f"{where} is damaged: tensor {printable(name)} has the checksum {actual[:12]}..., expected"
            f" {str(digests.get(name))[:12]}... as it was written"
        )
