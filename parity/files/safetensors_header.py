"""The header of a weights file: read and checked before anything else of the file, or planned and written."""

import json
import os
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open

from aef_jax.files.safetensors_header import DTYPES, parse_header
from configs.serialization.printable import printable
from parity.mapping.spec import Spec

SHA256 = "sha256"
"""Key in the metadata for the checksum of each tensor of the file, as JSON."""
SHORTER = "is not a whole safetensors file (it became shorter while it was read)"
_CODES = {dtype.name: code for code, dtype in DTYPES.items()}


@dataclass(frozen=True)
class Header:
    """The metadata of a file, and for each tensor its spec and where its bytes begin in the file."""

    metadata: dict[str, str]
    specs: dict[str, Spec]
    offsets: dict[str, int]

    @classmethod
    def read(cls, path: Path) -> "Header":
        """Read the header of a file.

        Args:
            path: the file.

        Returns:
            The header.

        Raises:
            ValueError: the file is not a whole safetensors file, or names a tensor twice; the message names the file.
        """
        try:
            with safe_open(path, framework="np"):  # checks for overlaps and holes too
                pass
        except SafetensorError as error:
            raise ValueError(f"{path} is not a whole safetensors file ({printable(str(error))})") from None
        text, size = _read_text(path)
        metadata, entries = parse_header(path, text, size)
        specs = {name: Spec(entry.shape, entry.dtype) for name, entry in entries.items()}
        return cls(metadata, specs, {name: entry.begin for name, entry in entries.items()})

    @classmethod
    def plan(cls, specs: Mapping[str, Spec], metadata: Mapping[str, str]) -> "Header":
        """Plan a file to be written. Tensors lie in the given order, wider dtypes first, so that all are aligned.

        Args:
            specs: shape and dtype of each tensor.
            metadata: texts by key.

        Returns:
            The header.
        """
        ordered = dict(sorted(specs.items(), key=lambda item: -item[1].dtype.itemsize))
        ends, end = {}, 0
        for name, spec in ordered.items():
            end += spec.nbytes
            ends[name] = end
        start = len(cls(dict(metadata), ordered, {}).encoded())
        return cls(dict(metadata), ordered, {name: start + ends[name] - spec.nbytes for name, spec in ordered.items()})

    def encoded(self) -> bytes:
        """Encode the file's bytes up to the first tensor. Metadata of the same length give as many bytes.

        Returns:
            The length, and the header as JSON.
        """
        entries: dict[str, Any] = {"__metadata__": self.metadata} if self.metadata else {}
        begin = 0
        for name, spec in self.specs.items():
            offsets = [begin, begin := begin + spec.nbytes]
            entries[name] = {"dtype": _CODES[spec.dtype.name], "shape": spec.shape, "data_offsets": offsets}
        text = json.dumps(entries, separators=(",", ":"), ensure_ascii=False).encode()
        text += b" " * (-len(text) % 8)
        return struct.pack("<Q", len(text)) + text


def _read_text(path: Path) -> tuple[bytes, int]:
    """Return the header's JSON, and the size of the file."""
    with path.open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        length = int.from_bytes(file.read(8), "little")
        text = file.read(min(length, size))
    if not text or len(text) < length:
        raise ValueError(f"{path} {SHORTER}")
    return text, size
