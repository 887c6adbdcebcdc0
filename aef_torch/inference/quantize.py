"""Quantize embeddings on a device; see `configs.fields.quantize`, which computes the same in NumPy."""

import torch
from jaxtyping import Float32, Int8
from torch import Tensor

from configs.fields.quantize import MAX_CODE, NO_DATA, SCALE


def quantize(field: Float32[Tensor, "*N"]) -> Int8[Tensor, "*N"]:
    """Compute round(127.5 sign(x) |x|^(1/2)), clipped to [-127, 127].

    Args:
        field: numbers in [-1, 1]; NaN is no data.

    Returns:
        Codes; -128 is no data.
    """
    root = (SCALE * field.abs().sqrt()).round().clamp(max=MAX_CODE)
    return torch.where(root.isnan(), NO_DATA, root.copysign(field)).to(torch.int8)


def dequantize(codes: Int8[Tensor, "*N"]) -> Float32[Tensor, "*N"]:
    """Compute sign(q) (|q| / 127.5)^2. Unit vectors come back with a length of 1 to within 1 % in practice.

    Args:
        codes: as `quantize` returns them.

    Returns:
        Numbers; NaN is no data.

    Raises:
        TypeError: if the codes are not int8.
    """
    if codes.dtype != torch.int8:
        raise TypeError(f"quantized embeddings are {codes.dtype}, expected int8")
    q = codes.to(torch.float32)  # before taking absolute values: that of -128 does not exist in int8
    return torch.where(codes == NO_DATA, torch.nan, q.sign() * (q / SCALE).square())
