"""Read files that may come from anywhere: regular ones, of bounded size, inside of their folder."""

import os
import stat
from pathlib import Path
from typing import BinaryIO

MAX_BYTES = 100_000_000
"""Most bytes of a description: a config, statistics, a data set's table, a header. Safetensors has the same bound."""


def read_bytes(path: Path, most: int = MAX_BYTES) -> bytes:
    """Read a whole file.

    Args:
        path: the file.
        most: bytes that it may have.

    Returns:
        Its content.

    Raises:
        ValueError: it is a folder, a pipe or a device, or is larger; the message names it.
        OSError: it cannot be read.
    """
    with open_regular(path, most) as file:
        return file.read(os.fstat(file.fileno()).st_size)


def open_regular(path: Path, most: int) -> BinaryIO:
    """Open a file to read it in parts.

    Args:
        path: the file.
        most: bytes that it may have.

    Returns:
        The open file. The caller closes it.

    Raises:
        ValueError: it is a folder, a pipe or a device, or is larger; the message names it.
        OSError: it cannot be read.
    """
    require_regular(path)
    # without O_NONBLOCK opening would wait, if a pipe has taken the file's place meanwhile
    file = open(path, "rb", opener=lambda name, flags: os.open(name, flags | os.O_NONBLOCK))  # noqa: SIM115
    size = os.fstat(file.fileno()).st_size
    if size > most:
        file.close()
        raise ValueError(f"{path} has {size:,} bytes, expected at most {most:,}")
    return file


def read_text(path: Path, most: int = MAX_BYTES) -> str:
    """Read a whole file as UTF-8.

    Args:
        path: the file.
        most: bytes that it may have.

    Returns:
        Its content.

    Raises:
        ValueError: as `read_bytes`, or it is not UTF-8; the message names it.
        OSError: it cannot be read.
    """
    content = read_bytes(path, most)
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        raise ValueError(f"{path}: not text in UTF-8 ({error.reason} at byte {error.start})") from None


def require_regular(path: Path) -> None:
    """Require that a path, if it exists, is a file with content: no folder, pipe, socket or device.

    Args:
        path: the path; a link counts as what it leads to.

    Raises:
        ValueError: it is something else.
    """
    if path.exists() and not stat.S_ISREG(path.stat().st_mode):
        raise ValueError(f"{path} is a folder, a pipe or a device, expected a file")


def require_inside(folder: Path, path: Path) -> None:
    """Require that a file of a folder is no link to somewhere else.

    Args:
        folder: the folder, which may be a link itself.
        path: the file directly in it.

    Raises:
        ValueError: it leads out of the folder.
    """
    if path.resolve().parent != folder.resolve():
        raise ValueError(f"{path} is a link to {path.resolve()}, outside of the folder")
