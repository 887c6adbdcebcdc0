"""Parse the header of a safetensors file; nothing that it says is trusted.

https://huggingface.co/docs/safetensors: 8 bytes with the length of the header, the header as JSON, then the tensors.
"""

import math
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np

from configs.serialization.printable import printable, printable_value
from configs.serialization.strict_json import loads

DTYPES = {
    code: jnp.dtype(name)
    for code, name in {
        "F64": "float64",
        "F32": "float32",
        "F16": "float16",
        "BF16": "bfloat16",
        "F8_E4M3": "float8_e4m3fn",
        "F8_E5M2": "float8_e5m2",
        "I64": "int64",
        "U32": "uint32",
        "I32": "int32",
        "U16": "uint16",
        "I16": "int16",
        "U8": "uint8",
        "I8": "int8",
        "BOOL": "bool",
    }.items()
}
"""Dtypes by their codes in safetensors."""


MAX_HEADER_BYTES, MAX_AXES = 100_000_000, 32
"""Bounds of a header's length, as of the safetensors library, and of a tensor's axes, as NumPy has them at least."""


class TensorEntry(NamedTuple):
    """One tensor of a file. `begin` and `end` are bytes from the start of the file."""

    dtype: np.dtype
    shape: tuple[int, ...]
    begin: int
    end: int


def header_length(prefix: bytes, size: int) -> int:
    """Read the length of a header.

    Args:
        prefix: the first 8 bytes of the file.
        size: bytes of the whole file.

    Returns:
        Bytes of the header, without the prefix.

    Raises:
        ValueError: the file is too short for such a header, or the header is empty.
    """
    length = int.from_bytes(prefix[:8], "little")
    if length > MAX_HEADER_BYTES:
        raise ValueError(f"its header would be {length} bytes long, expected at most {MAX_HEADER_BYTES}")
    if not 8 < 8 + length <= size:
        raise ValueError(f"its header would be {length} bytes long, of {size} in all")
    return length


def parse_header(where: object, text: bytes, size: int) -> tuple[dict[str, Any], dict[str, TensorEntry]]:
    """Parse a header, and check that each tensor lies within the file.

    Args:
        where: the file, for messages.
        text: the header's JSON.
        size: bytes of the whole file.

    Returns:
        The file's metadata, and its tensors by name.

    Raises:
        ValueError: the header is not such JSON, names a tensor twice or of an unknown dtype, or the tensors are not one
            behind the other from the header to the end of the file.
    """
    tree = loads(where, text)
    if not isinstance(tree, dict):
        raise ValueError(f"{where}: its header is not a JSON object")
    metadata = tree.pop("__metadata__", None) or {}
    if not isinstance(metadata, dict) or not all(isinstance(value, str) for value in metadata.values()):
        raise ValueError(f"{where}: its metadata are {printable_value(metadata)}, expected texts by name")
    entries = {name: _entry(where, name, entry, 8 + len(text), size) for name, entry in tree.items()}
    end = 8 + len(text)
    for name, entry in sorted(entries.items(), key=lambda item: item[1][2:]):
        if entry.begin != end:
            raise ValueError(f"{where}: tensor {printable(name)} begins at byte {entry.begin}, expected {end}")
        end = entry.end
    if end != size:
        raise ValueError(f"{where}: its tensors end at byte {end}, expected {size}")
    return metadata, entries


def _entry(where: object, name: str, entry: Any, start: int, size: int) -> TensorEntry:
    try:
        code, shape = entry["dtype"], tuple(_whole(axis) for axis in entry["shape"])
        begin, end = (start + _whole(offset) for offset in entry["data_offsets"])
    except (TypeError, KeyError, ValueError):
        raise ValueError(f"{where}: tensor {printable(name)} lacks a dtype, a shape or two offsets") from None
    if not isinstance(code, str) or code not in DTYPES:
        shown = printable(str(code))
        raise ValueError(f"{where}: tensor {printable(name)} is of type {shown}, expected one of {', '.join(DTYPES)}")
    if not start <= begin <= end <= size or min(shape, default=0) < 0 or len(shape) > MAX_AXES:
        raise ValueError(
            f"{where}: tensor {printable(name)} would lie beyond its end, or has more than {MAX_AXES} axes"
        )
    if math.prod(shape) * DTYPES[code].itemsize != end - begin:
        raise ValueError(f"{where}: tensor {printable(name)} of shape {shape} has {end - begin} bytes")
    return TensorEntry(DTYPES[code], shape, begin, end)


def _whole(number: Any) -> int:
    if isinstance(number, bool) or not isinstance(number, int):
        raise TypeError(f"{number!r} is not a whole number")
    return number
