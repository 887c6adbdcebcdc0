"""Attention with masks and rotary positions.

Mirror: aef_jax/model/attention.py.
"""

import numpy as np
import torch
from einops import rearrange
from jaxtyping import Bool, Float
from torch import Tensor, nn

from aef_torch.model.layers import Linear, at_least_float32


class Attention(nn.Module):
    """Multi-head self-attention over the axis before the last.

    The key has no bias, because its gradient is exactly zero.

    Args:
        width: channels.
        heads: number of heads.
    """

    def __init__(self, width: int, heads: int):
        super().__init__()
        self.heads = heads
        self.query = Linear(width, width)
        self.key = Linear(width, width, bias=False)
        self.value = Linear(width, width)
        self.out = Linear(width, width)

    def forward(
        self,
        x: Float[Tensor, "*B N C"],
        key_mask: Bool[Tensor, "*B N"] | None = None,
        angles: Float[np.ndarray, "N A"] | None = None,
    ) -> Float[Tensor, "*B N C"]:
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


def masked_softmax(logits: Float[Tensor, "*B N"], mask: Bool[Tensor, "*#B N"] | None) -> Float[Tensor, "*B N"]:
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
        logits = torch.where(mask, logits, torch.finfo(logits.dtype).min)
    weights = torch.exp(logits - logits.amax(-1, keepdim=True).detach())
    if mask is not None:
        weights = torch.where(mask, weights, 0)
    total = weights.sum(-1, keepdim=True)
    return (weights / torch.where(total < 1, 1, total)).to(dtype)


def rotate(x: Float[Tensor, "*B N E"], angles: Float[np.ndarray, "N A"]) -> Float[Tensor, "*B N E"]:
    """Rotate channel pair (a, a + A) of element n by `angles[n, a]`.

    Products of two rotated vectors depend only on the difference of their angles.

    Args:
        x: queries or keys.
        angles: rotary angles, in radians.

    Returns:
        The rotated vectors.
    """
    cosine, sine = torch.as_tensor(np.cos(angles)).to(x), torch.as_tensor(np.sin(angles)).to(x)
    first, second = torch.chunk(x, 2, dim=-1)
    return torch.cat([first * cosine - second * sine, second * cosine + first * sine], dim=-1)
