"""Read `.npy` arrays in zips (`.npz`) and tars, without unpacking and without unpickling."""

import io
import math
import tarfile
import zipfile
from collections.abc import Iterator, Mapping
from functools import lru_cache
from pathlib import Path, PurePosixPath
from typing import NamedTuple

import numpy as np
from jaxtyping import Shaped

from configs.serialization.printable import printable, sentence

MAX_BYTES = 2**31
"""Most bytes of an array, which is read as a whole."""
_MAX_HEADER = 2**16
"""Most bytes of what describes an array before its numbers; NumPy accepts 10,000 and some."""


class Member(NamedTuple):
    """A file in an archive."""

    archive: str
    """Path or URL, for messages."""
    local: str
    """Path of the archive, or of its copy."""
    name: str
    offset: int | None
    """Where its bytes begin in a tar; None in a zip."""
    size: int
    """In bytes."""

    @property
    def where(self) -> str:
        """Archive and name, for messages."""
        return f"{printable(self.archive)}, {printable(self.name)}"

    def read(self, size: int) -> bytes:
        """Read its first bytes.

        Args:
            size: how many at most.

        Returns:
            The bytes.

        Raises:
            ValueError: it is damaged; the message has its name.
        """
        size = min(size, self.size)
        try:
            if self.offset is None:
                with zipfile.ZipFile(self.local) as archive, archive.open(self.name) as stream:
                    return stream.read(size)
            with Path(self.local).open("rb") as file:
                file.seek(self.offset)
                return file.read(size)
        except Exception as error:  # zipfile raises those of each codec
            raise ValueError(f"{self.where}: it cannot be read: {sentence(error)}") from error


class ArrayHeader(NamedTuple):
    """What an array says of itself before its numbers."""

    shape: tuple[int, ...]
    dtype: np.dtype
    is_fortran: bool
    """Whether its first axis varies fastest."""
    size: int
    """Bytes of the header."""


def list_arrays(path: str, local: str) -> Mapping[str, Member]:
    """List the `.npy` files of an archive.

    Args:
        path: the archive, a zip if its name ends with .npz, else a tar that is not compressed.
        local: its copy, or `path`.

    Returns:
        The files by their names.

    Raises:
        ValueError: the archive is damaged, or has an `.npy` that is a link or a device, or whose path leads out of it.
    """
    is_zip = PurePosixPath(local).suffix.lower() == ".npz"
    try:
        return {member.name: member for member in (_in_zip if is_zip else _in_tar)(path, local)}
    except Exception as error:  # of zipfile and tarfile, which raise many kinds
        kind = "a zip" if is_zip else "a tar that is not compressed"
        raise ValueError(f"{printable(path)} cannot be read as {kind}: {sentence(error)}") from error


def read_header(member: Member) -> ArrayHeader:
    """Read the header of an array.

    Args:
        member: an `.npy` file.

    Returns:
        The header.

    Raises:
        ValueError: it is no such file, or its array has objects or more than `MAX_BYTES`.
    """
    stream = io.BytesIO(member.read(_MAX_HEADER))
    try:
        version = np.lib.format.read_magic(stream)
        read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, is_fortran, dtype = read(stream)
    except Exception as error:  # NumPy parses the header as Python, with all errors of that
        raise ValueError(f"{member.where}: it is no array of NumPy: {sentence(error)}") from error
    if dtype.hasobject:
        raise ValueError(f"{member.where}: it holds objects, expected numbers")
    if min(shape, default=1) < 0 or math.prod(shape) * dtype.itemsize > MAX_BYTES:
        raise ValueError(f"{member.where}: it is {dtype} of shape {printable(str(shape))}, expected at most 2 GiB")
    return ArrayHeader(shape, dtype, is_fortran, stream.tell())


@lru_cache(maxsize=2)
def read_array(member: Member) -> Shaped[np.ndarray, "..."]:
    """Read an array.

    Args:
        member: an `.npy` file.

    Returns:
        The array, which is read-only.

    Raises:
        ValueError: as `read_header`, or the file ends before its array.
    """
    shape, dtype, is_fortran, start = read_header(member)
    count = math.prod(shape)
    data = member.read(start + count * dtype.itemsize)
    if len(data) < start + count * dtype.itemsize:
        raise ValueError(f"{member.where}: it ends after {len(data) - start} bytes of {count * dtype.itemsize}")
    array = np.frombuffer(data, dtype, count, start)
    return array.reshape(shape, order="F" if is_fortran else "C")


def _in_zip(path: str, local: str) -> Iterator[Member]:
    with zipfile.ZipFile(local) as archive:
        for entry in archive.infolist():
            if entry.filename.endswith(".npy"):
                yield Member(path, local, entry.filename, None, entry.file_size)


def _in_tar(path: str, local: str) -> Iterator[Member]:
    with tarfile.open(local, "r:") as archive:
        for entry in archive:
            if not entry.name.endswith(".npy"):
                continue
            if entry.name.startswith("/") or ".." in PurePosixPath(entry.name).parts:
                raise ValueError(f"the path of its member {entry.name!r} leads out of it")
            if not entry.isfile() or entry.issparse():
                raise ValueError(f"its member {entry.name!r} is no plain file")
            yield Member(path, local, entry.name, entry.offset_data, entry.size)
