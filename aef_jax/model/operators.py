"""The three operators of a Space Time Precision block (paper, Fig. 2D; mirror: aef_torch/model/operators.py)."""

import jax.numpy as jnp
from einops import rearrange
from flax import nnx
from jaxtyping import Array, Bool, Float

from aef_jax.model.attention import Attention
from aef_jax.model.layers import Conv, LayerNorm, Linear, Mlp, gelu
from aef_jax.sharding.mesh import constrain
from configs.encodings.rotary import grid_angles


class SpaceOperator(nnx.Module):
    """Self-attention among the cells of one frame, at L/16 (paper: "ViT-like"; rotary positions are ours)."""

    def __init__(self, width: int, heads: int, mlp_ratio: int, *, rngs: nnx.Rngs):
        self.norm_attention = LayerNorm(width, rngs=rngs)
        self.attention = Attention(width, heads, rngs=rngs)
        self.norm_mlp = LayerNorm(width, rngs=rngs)
        self.mlp = Mlp(width, mlp_ratio * width, width, rngs=rngs)

    def __call__(self, x: Float[Array, "B T H W C"]) -> Float[Array, "B T H W C"]:
        height, width, channels = x.shape[-3:]
        angles = grid_angles(height, width, head_width=channels // self.attention.heads)
        cells = rearrange(x, "b t h w c -> b t (h w) c")
        cells = cells + self.attention(self.norm_attention(cells), angles=angles)
        cells = cells + self.mlp(self.norm_mlp(cells))
        return rearrange(cells, "b t (h w) c -> b t h w c", h=height)


class TimeOperator(nnx.Module):
    """Self-attention along time at each pixel of the L/8 grid.

    Each element is conditioned on the timecode of its acquisition. An absent element is attended to by nobody. Where
    frames lie on several devices, these swap frames for rows of pixels, and back.
    """

    def __init__(self, width: int, heads: int, mlp_ratio: int, timecode: int, *, rngs: nnx.Rngs):
        self.condition = Linear(timecode, width, rngs=rngs)
        self.norm_attention = LayerNorm(width, rngs=rngs)
        self.attention = Attention(width, heads, rngs=rngs)
        self.norm_mlp = LayerNorm(width, rngs=rngs)
        self.mlp = Mlp(width, mlp_ratio * width, width, rngs=rngs)

    def __call__(
        self,
        x: Float[Array, "B T H W C"],
        timecodes: Float[Array, "B T K"],
        present: Bool[Array, "B T"],
    ) -> Float[Array, "B T H W C"]:
        series = constrain(rearrange(x, "b t h w c -> b h w t c"), "sequence", "row")
        series = series + self.condition(timecodes)[:, None, None]
        key_mask = jnp.broadcast_to(present[:, None, None], series.shape[:-1])
        series = series + self.attention(self.norm_attention(series), key_mask)
        series = constrain(series + self.mlp(self.norm_mlp(series)), "sequence", "row")
        return constrain(rearrange(series, "b h w t c -> b t h w c"), "sequence", "frame")


class PrecisionOperator(nnx.Module):
    """3x3 convolutions on each frame, at L/2: keeps what the coarser operators cannot resolve."""

    def __init__(self, width: int, *, rngs: nnx.Rngs):
        self.norm = LayerNorm(width, rngs=rngs)
        self.first = Conv(width, width, rngs=rngs)
        self.second = Conv(width, width, rngs=rngs)

    def __call__(self, x: Float[Array, "B T H W C"]) -> Float[Array, "B T H W C"]:
        return x + self.second(gelu(self.first(self.norm(x))))
