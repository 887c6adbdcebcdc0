"""Quantize embeddings to eight bits per number, as in the released fields ("s8, power 2").

The power gives small numbers a finer resolution.
"""

import numpy as np
from jaxtyping import Float, Float32, Int8

NO_DATA = -128
_SCALE = 127.5
_LARGEST = 127


def quantize(field: Float[np.ndarray, "*N"]) -> Int8[np.ndarray, "*N"]:
    """Compute round(127.5 sign(x) |x|^(1/2)), clipped to [-127, 127].

    Args:
        field: numbers in [-1, 1]; NaN is no data.

    Returns:
        Codes; -128 is no data.
    """
    # float64, because a float32 product could round a dequantized value to the neighboring code
    root = np.sign(field) * np.sqrt(np.abs(field, dtype=np.float64)) * _SCALE
    codes = np.clip(np.rint(root), -_LARGEST, _LARGEST)
    return np.where(np.isnan(codes), NO_DATA, codes).astype(np.int8)


def dequantize(codes: Int8[np.ndarray, "*N"]) -> Float32[np.ndarray, "*N"]:
    """Compute sign(q) (|q| / 127.5)^2. Unit vectors come back with a length of 1 to within 1 % in practice.

    Args:
        codes: as `quantize` returns them.

    Returns:
        Numbers; NaN is no data.

    Raises:
        TypeError: if the codes are not int8.
    """
    if codes.dtype != np.int8:
        raise TypeError(f"quantized embeddings are {codes.dtype}, expected int8")
    q = codes.astype(np.float32)  # before taking absolute values: that of -128 does not exist in int8
    return np.where(codes == NO_DATA, np.float32(np.nan), np.sign(q) * np.square(q / np.float32(_SCALE)))
