"""Eight bits per number, as the released fields store embeddings ("s8, power 2"): small numbers keep more digits."""

import numpy as np
from jaxtyping import Float, Float32, Int8

NO_DATA = -128
_SCALE = 127.5
_LARGEST = 127


def quantize(field: Float[np.ndarray, "*N"]) -> Int8[np.ndarray, "*N"]:
    """round(127.5 sign(x) |x|^(1/2)), at most 127 either way; NaN becomes -128, no data."""
    # float64 as the root is scaled: a float32 product could round a dequantised value to its neighbour
    root = np.sign(field) * np.sqrt(np.abs(field, dtype=np.float64)) * _SCALE
    codes = np.clip(np.rint(root), -_LARGEST, _LARGEST)
    return np.where(np.isnan(codes), NO_DATA, codes).astype(np.int8)


def dequantize(codes: Int8[np.ndarray, "*N"]) -> Float32[np.ndarray, "*N"]:
    """sign(q) (|q| / 127.5)^2; -128 becomes NaN. Vectors come back with a length of about 1: within 1 % in practice.

    Raises TypeError where the codes are not int8.
    """
    if codes.dtype != np.int8:
        raise TypeError(f"quantised embeddings are {codes.dtype}, expected int8")
    q = codes.astype(np.float32)  # first: -128 has no absolute value in int8
    return np.where(codes == NO_DATA, np.float32(np.nan), np.sign(q) * np.square(q / np.float32(_SCALE)))
