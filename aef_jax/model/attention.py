"""Attention with masks and rotary positions.

Mirror: aef_torch/model/attention.py.
"""

import jax
import jax.numpy as jnp
import numpy as np
from einops import rearrange
from flax import nnx
from jaxtyping import Array, Bool, Float

from aef_jax.model.layers import Linear, at_least_float32


class Attention(nnx.Module):
    """Multi-head self-attention over the axis before the last.

    The key has no bias, because its gradient is exactly zero.

    Args:
        width: channels.
        heads: number of heads.
        rngs: source of the random initial parameters.
    """

    def __init__(self, width: int, heads: int, *, rngs: nnx.Rngs):
        self.heads = heads
        self.query = Linear(width, width, rngs=rngs)
        self.key = Linear(width, width, bias=False, rngs=rngs)
        self.value = Linear(width, width, rngs=rngs)
        self.out = Linear(width, width, rngs=rngs)

    def __call__(
        self,
        x: Float[Array, "*B N C"],
        key_mask: Bool[Array, "*B N"] | None = None,
        angles: Float[np.ndarray, "N A"] | None = None,
    ) -> Float[Array, "*B N C"]:
        """Let each element attend to all elements.

        Args:
            x: elements.
            key_mask: elements that may be attended to; None for all.
            angles: rotary angles of the elements' positions, in radians; None for no positions.

        Returns:
            The attended values, projected to the width of x.
        """
        q, k, v = (
            rearrange(p(x), "... n (h d) -> ... h n d", h=self.heads) for p in (self.query, self.key, self.value)
        )
        if angles is not None:
            q, k = rotate(q, angles), rotate(k, angles)
        mask = None if key_mask is None else key_mask[..., None, None, :]
        weights = masked_softmax(q @ k.mT * q.shape[-1] ** -0.5, mask)
        return self.out(rearrange(weights @ v, "... h n d -> ... n (h d)"))


def masked_softmax(logits: Float[Array, "*B N"], mask: Bool[Array, "*#B N"] | None) -> Float[Array, "*B N"]:
    """Compute the softmax over the last axis in at least float32, restricted to a mask.

    The largest weight is exactly 1 before normalization. A sum below 1 therefore means that the mask is empty.

    Args:
        logits: logits of any dtype.
        mask: elements that take part; None for all. It broadcasts to the logits.

    Returns:
        Weights in the dtype of the logits. All are 0 if the mask is empty.
    """
    dtype, logits = logits.dtype, at_least_float32(logits)
    if mask is not None:
        logits = jnp.where(mask, logits, jnp.finfo(logits.dtype).min)
    weights = jnp.exp(logits - jax.lax.stop_gradient(logits.max(-1, keepdims=True)))
    if mask is not None:
        weights = jnp.where(mask, weights, 0)
    total = weights.sum(-1, keepdims=True)
    return (weights / jnp.where(total < 1, 1, total)).astype(dtype)  # not maximum: it halves the gradient at a tie


def rotate(x: Float[Array, "*B N E"], angles: Float[np.ndarray, "N A"]) -> Float[Array, "*B N E"]:
    """Rotate channel pair (a, a + A) of element n by `angles[n, a]`.

    Products of two rotated vectors depend only on the difference of their angles.

    Args:
        x: queries or keys.
        angles: rotary angles, in radians.

    Returns:
        The rotated vectors.
    """
    cosine, sine = jnp.asarray(np.cos(angles), x.dtype), jnp.asarray(np.sin(angles), x.dtype)
    first, second = jnp.split(x, 2, axis=-1)
    return jnp.concatenate([first * cosine - second * sine, second * cosine + first * sine], axis=-1)
