"""Archives of `.npy` arrays, right and wrong."""

import io
import tarfile
import zipfile
from pathlib import Path

import numpy as np


def npy(array: np.ndarray) -> bytes:
    """Return an array of numbers or text as the bytes of an `.npy` file."""
    stream = io.BytesIO()
    np.save(stream, array, allow_pickle=False)
    return stream.getvalue()


def npy_header(text: str, length: int | None = None) -> bytes:
    """Return the start of an `.npy` file with a header of this text, which may claim another length."""
    size = len(text) if length is None else length
    return b"\x93NUMPY\x02\x00" + size.to_bytes(4, "little") + text.encode()


def write_npz(path: Path, **arrays: bytes) -> str:
    """Write a compressed zip of `.npy` files."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in arrays.items():
            archive.writestr(f"{name}.npy", data)
    return str(path)


def write_tar(path: Path, name: str, data: bytes = b"", kind: bytes = tarfile.REGTYPE, mode: str = "w") -> str:
    """Write a tar of one member; a link goes to itself."""
    member = tarfile.TarInfo(name)
    member.type, member.linkname, member.size = kind, name, len(data)
    with tarfile.open(path, mode) as archive:  # pyright: ignore[reportCallIssue, reportArgumentType]
        archive.addfile(member, io.BytesIO(data))
    return str(path)
