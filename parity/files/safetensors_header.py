"""The header of a safetensors file: read, and checked, before anything else of the file; and written.

https://huggingface.co/docs/safetensors: 8 bytes with the length of the header, the header as JSON, then the tensors.
"""

import json
import os
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax.numpy as jnp
from safetensors import SafetensorError, safe_open

from parity.files.strict_json import loads
from parity.mapping.spec import Spec, printable

SHA256 = "sha256"
"""Where the metadata carries the checksum of each tensor of the file, as JSON."""
SHORTER = "is not a whole safetensors file (it became shorter while it was read)"
_DTYPES = {
    "F64": "float64",
    "F32": "float32",
    "F16": "float16",
    "BF16": "bfloat16",
    "F8_E4M3": "float8_e4m3fn",
    "F8_E5M2": "float8_e5m2",
    "I64": "int64",
    "I32": "int32",
    "I16": "int16",
    "I8": "int8",
    "U8": "uint8",
    "BOOL": "bool",
}
"""Safetensors' names of the dtypes that both frameworks have."""
_NAMES = {name: code for code, name in _DTYPES.items()}


@dataclass(frozen=True)
class Header:
    """What a file holds: its metadata, and of each tensor what it is and where its bytes begin in the file."""

    metadata: dict[str, str]
    specs: dict[str, Spec]
    offsets: dict[str, int]

    @classmethod
    def read(cls, path: Path) -> "Header":
        """Raises ValueError, naming the file, where it is not a whole safetensors file or names a tensor twice."""
        try:
            with safe_open(path, framework="np"):  # checks lengths, offsets and shapes against the size of the file
                pass
        except SafetensorError as error:
            raise ValueError(f"{path} is not a whole safetensors file ({printable(str(error))})") from None
        text = _read_text(path)
        tree = loads(path, text)
        metadata = tree.pop("__metadata__", None) or {}
        specs = {name: _spec(path, name, entry) for name, entry in tree.items()}
        offsets = {name: 8 + len(text) + entry["data_offsets"][0] for name, entry in tree.items()}
        return cls(metadata, specs, offsets)

    @classmethod
    def plan(cls, specs: Mapping[str, Spec], metadata: Mapping[str, str]) -> "Header":
        """Of a file to be written. Tensors lie in the given order, wider dtypes first, so that all are aligned."""
        ordered = dict(sorted(specs.items(), key=lambda item: -item[1].dtype.itemsize))
        ends, end = {}, 0
        for name, spec in ordered.items():
            end += spec.nbytes
            ends[name] = end
        start = len(cls(dict(metadata), ordered, {}).encoded())
        return cls(dict(metadata), ordered, {name: start + ends[name] - spec.nbytes for name, spec in ordered.items()})

    def encoded(self) -> bytes:
        """The file's bytes up to the first tensor. Their number does not change with a text of the same length."""
        entries: dict[str, Any] = {"__metadata__": self.metadata} if self.metadata else {}
        begin = 0
        for name, spec in self.specs.items():
            offsets = [begin, begin := begin + spec.nbytes]
            entries[name] = {"dtype": _NAMES[spec.dtype.name], "shape": spec.shape, "data_offsets": offsets}
        text = json.dumps(entries, separators=(",", ":"), ensure_ascii=False).encode()
        text += b" " * (-len(text) % 8)
        return struct.pack("<Q", len(text)) + text


def _read_text(path: Path) -> bytes:
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        text = file.read(min(length, os.fstat(file.fileno()).st_size))
    if not text or len(text) < length:
        raise ValueError(f"{path} {SHORTER}")
    return text


def _spec(path: Path, name: str, entry: Mapping[str, Any]) -> Spec:
    if entry["dtype"] not in _DTYPES:
        raise ValueError(
            f"{path}: tensor {printable(name)} is of type {entry['dtype']}, expected one of {', '.join(_DTYPES)}"
        )
    return Spec(tuple(entry["shape"]), jnp.dtype(_DTYPES[entry["dtype"]]))
