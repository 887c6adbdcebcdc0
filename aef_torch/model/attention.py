"""Attention with masks and positions.

Mirror: aef_jax/model/attention.py.
"""

import numpy as np
import torch
from einops import rearrange
from jaxtyping import Bool, Float
from torch import Tensor, nn

from aef_torch.model.layers import Linear, at_least_float32


class Attention(nn.Module):
    """Multi-head self-attention over axis -2. No key bias: its gradient is exactly zero.

    `key_mask` says which elements may be attended to; `angles` turns queries and keys by their positions.
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
        q, k, v = (
            rearrange(p(x), "... n (h d) -> ... h n d", h=self.heads) for p in (self.query, self.key, self.value)
        )
        if angles is not None:
            q, k = rotate(q, angles), rotate(k, angles)
        mask = None if key_mask is None else key_mask[..., None, None, :]
        weights = masked_softmax(q @ k.mT * q.shape[-1] ** -0.5, mask)
        return self.out(rearrange(weights @ v, "... h n d -> ... n (h d)"))


def masked_softmax(logits: Float[Tensor, "*B N"], mask: Bool[Tensor, "*B N"] | None) -> Float[Tensor, "*B N"]:
    """Softmax over the last axis where `mask` holds, in at least float32; all zeros where it holds nowhere.

    The largest weight is exactly 1 before normalising, so a sum below 1 means that nothing was there.
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
    """Turns channel pair (a, a + A) of element n by `angles[n, a]`: products of two turned vectors see distances."""
    cosine, sine = torch.as_tensor(np.cos(angles)).to(x), torch.as_tensor(np.sin(angles)).to(x)
    first, second = torch.chunk(x, 2, dim=-1)
    return torch.cat([first * cosine - second * sine, second * cosine + first * sine], dim=-1)
