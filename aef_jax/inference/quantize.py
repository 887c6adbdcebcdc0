"""Quantize embeddings on a device; see `configs.fields.quantize`, which computes the same in NumPy."""

import jax.numpy as jnp
from jaxtyping import Array, Float32, Int8

from configs.fields.quantize import MAX_CODE, NO_DATA, SCALE


def quantize(field: Float32[Array, "*N"]) -> Int8[Array, "*N"]:
    """Compute round(127.5 sign(x) |x|^(1/2)), clipped to [-127, 127].

    Args:
        field: numbers in [-1, 1]; NaN is no data.

    Returns:
        Codes; -128 is no data.
    """
    root = jnp.minimum(jnp.rint(SCALE * jnp.sqrt(jnp.abs(field))), MAX_CODE)
    return jnp.where(jnp.isnan(root), NO_DATA, jnp.copysign(root, field)).astype(jnp.int8)


def dequantize(codes: Int8[Array, "*N"]) -> Float32[Array, "*N"]:
    """Compute sign(q) (|q| / 127.5)^2. Unit vectors come back with a length of 1 to within 1 % in practice.

    Args:
        codes: as `quantize` returns them.

    Returns:
        Numbers; NaN is no data.

    Raises:
        TypeError: if the codes are not int8.
    """
    if codes.dtype != jnp.int8:
        raise TypeError(f"quantized embeddings are {codes.dtype}, expected int8")
    q = codes.astype(jnp.float32)  # before taking absolute values: that of -128 does not exist in int8
    return jnp.where(codes == NO_DATA, jnp.nan, jnp.sign(q) * jnp.square(q / SCALE))
