"""Safetensors files of weights, in PyTorch's names and layout. Nothing in such a file is ever executed."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import jax.numpy as jnp
import numpy as np
from jaxtyping import Shaped
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from aef_jax.atomic import replacing
from parity.mismatch import Spec
from parity.tensors import to_numpy

SUFFIX = ".safetensors"
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


@dataclass(frozen=True)
class WeightsFile:
    """What a file says that it holds; the tensors themselves are read by `read`."""

    path: Path
    metadata: dict[str, str]
    specs: dict[str, Spec]

    @classmethod
    def open(cls, path: Path) -> "WeightsFile":
        """Reads the header alone. Raises ValueError, naming the file, where it is not a whole safetensors file."""
        if not path.is_file():
            raise ValueError(f"{path} is not a file")
        try:
            with safe_open(path, framework="pt") as file:
                slices = {name: file.get_slice(name) for name in file.keys()}  # noqa: SIM118  no mapping
                specs = {name: _spec(path, name, part.get_dtype(), part.get_shape()) for name, part in slices.items()}
                return cls(path, file.metadata() or {}, specs)
        except SafetensorError as error:
            raise ValueError(f"{path} is not a whole safetensors file ({error})") from None

    def read(self) -> dict[str, Shaped[np.ndarray, "..."]]:
        """All tensors."""
        with safe_open(self.path, framework="pt") as file:
            return {name: to_numpy(file.get_tensor(name)) for name in self.specs}


def write_weights(path: Path, tensors: Mapping[str, Shaped[np.ndarray, "..."]], metadata: Mapping[str, str]) -> None:
    """Writes a safetensors file that appears whole or not at all. Raises OSError where it cannot."""
    contiguous = {name: np.array(array, order="C", copy=None) for name, array in tensors.items()}
    try:
        with replacing(path) as temporary:
            save_file(contiguous, temporary, metadata={"format": "pt", **metadata})
    except SafetensorError as error:
        raise OSError(f"{path} cannot be written ({error})") from None


def _spec(path: Path, name: str, dtype: str, shape: list[int]) -> Spec:
    if dtype not in _DTYPES:
        raise ValueError(f"{path}: tensor {name} is of type {dtype}, expected one of {', '.join(_DTYPES)}")
    return Spec(tuple(shape), jnp.dtype(_DTYPES[dtype]))
