"""Read arrays of points from NumPy's archives."""

import zipfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from configs.serialization.printable import printable, sentence
from configs.serialization.read_file import open_regular

MAX_ARCHIVE_BYTES = 2**32
"""Most bytes of an archive, and of all arrays that are read from it, when they are not compressed."""


def read_arrays(path: Path, names: Sequence[str]) -> list[np.ndarray]:
    """Read arrays of an archive. Nothing in it is unpickled.

    Args:
        path: an .npz.
        names: of the arrays.

    Returns:
        The arrays.

    Raises:
        ValueError: the file is no such archive, is too large, or lacks an array.
    """
    with open_regular(path, MAX_ARCHIVE_BYTES) as file:
        try:
            with zipfile.ZipFile(file) as archive:
                sizes = {entry.filename.removesuffix(".npy"): entry.file_size for entry in archive.infolist()}
            file.seek(0)
            missing = [name for name in names if name not in sizes]
            if missing:
                have = ", ".join(printable(name) for name in list(sizes)[:20])
                raise ValueError(f"it has no array {missing[0]!r}, only {have}")
            if sum(sizes[name] for name in names) > MAX_ARCHIVE_BYTES:
                raise ValueError(f"its arrays have more than {MAX_ARCHIVE_BYTES:,} bytes")
            with np.load(file, allow_pickle=False) as arrays:
                return [arrays[name] for name in names]
        except (OSError, EOFError, ValueError, KeyError, NotImplementedError, zipfile.BadZipFile) as error:
            raise ValueError(f"{path}: {sentence(error)}, expected arrays in an .npz") from None
