"""Quantize embeddings to eight bits per number, as in the released fields ("s8, power 2").

The power gives small numbers a finer resolution. `aef_jax.inference.quantize` and `aef_torch.inference.quantize` do the
same on a device.
"""

import numpy as np
from jaxtyping import Float, Float32, Int8

NO_DATA = -128
SCALE = 127.5
MAX_CODE = 127
"""The largest |code|; a number above 0.9922 is clipped to it."""


def quantize(field: Float[np.ndarray, "*N"]) -> Int8[np.ndarray, "*N"]:
    """Compute round(127.5 sign(x) |x|^(1/2)), clipped to [-127, 127].

    Args:
        field: numbers in [-1, 1]; NaN is no data.

    Returns:
        Codes; -128 is no data.
    """
    root = np.sqrt(np.abs(field))
    root *= SCALE
    np.rint(root, out=root)
    np.minimum(root, MAX_CODE, out=root)
    np.copysign(root, field, out=root)
    root[np.isnan(root)] = NO_DATA
    return root.astype(np.int8)


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
    return _NUMBER_OF_CODE[codes.view(np.uint8)]


def _numbers() -> Float32[np.ndarray, "256"]:
    codes = np.arange(256, dtype=np.uint8).view(np.int8).astype(np.float32)  # 0 .. 127, -128 .. -1
    return np.where(codes == NO_DATA, np.float32(np.nan), np.sign(codes) * np.square(codes / np.float32(SCALE)))


_NUMBER_OF_CODE = _numbers()
