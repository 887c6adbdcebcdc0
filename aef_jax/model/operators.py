"""The three operators of a Space Time Precision block (paper, Fig. 2D).

Mirror: aef_torch/model/operators.py.
"""

import jax.numpy as jnp
from einops import rearrange
from flax import nnx
from jaxtyping import Array, Bool, Float

from aef_jax.model.attention import Attention
from aef_jax.model.layers import Conv, LayerNorm, Linear, Mlp, gelu
from aef_jax.sharding.mesh import constrain
from configs.encodings.rotary import grid_angles


class SpaceOperator(nnx.Module):
    """Self-attention among the cells of one frame, at L/16 (paper: "ViT-like"; rotary positions are ours).

    Args:
        width: channels.
        heads: number of heads.
        mlp_ratio: hidden width of the MLP, as a multiple of the channels.
        rngs: source of the random initial parameters.
    """

    def __init__(self, width: int, heads: int, mlp_ratio: int, *, rngs: nnx.Rngs):
        self.norm_attention = LayerNorm(width, rngs=rngs)
        self.attention = Attention(width, heads, rngs=rngs)
        self.norm_mlp = LayerNorm(width, rngs=rngs)
        self.mlp = Mlp(width, mlp_ratio * width, width, rngs=rngs)

    def __call__(self, x: Float[Array, "B T H W C"]) -> Float[Array, "B T H W C"]:
        """Update the space state of each frame.

        Args:
            x: the space state.

        Returns:
            The updated state.
        """
        height, width, channels = x.shape[-3:]
        angles = grid_angles(height, width, head_width=channels // self.attention.heads)
        cells = rearrange(x, "b t h w c -> b t (h w) c")
        cells = cells + self.attention(self.norm_attention(cells), angles=angles)
        cells = cells + self.mlp(self.norm_mlp(cells))
        return rearrange(cells, "b t (h w) c -> b t h w c", h=height)


class TimeOperator(nnx.Module):
    """Self-attention along time at each cell of the L/8 grid.

    Each frame is conditioned on its timecode. No frame attends to an absent one. If frames are split over devices, the
    devices exchange frames for rows of cells, and back.

    Args:
        width: channels.
        heads: number of heads.
        mlp_ratio: hidden width of the MLP, as a multiple of the channels.
        timecode: width of a timecode.
        rngs: source of the random initial parameters.
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
        """Update the time state of all frames.

        Args:
            x: the time state.
            timecodes: acquisition times of the frames.
            present: frames that exist.

        Returns:
            The updated state.
        """
        series = constrain(rearrange(x, "b t h w c -> b h w t c"), "sequence", "row")
        series = series + self.condition(timecodes)[:, None, None]
        key_mask = jnp.broadcast_to(present[:, None, None], series.shape[:-1])
        series = series + self.attention(self.norm_attention(series), key_mask)
        series = constrain(series + self.mlp(self.norm_mlp(series)), "sequence", "row")
        return constrain(rearrange(series, "b h w t c -> b t h w c"), "sequence", "frame")


class PrecisionOperator(nnx.Module):
    """3x3 convolutions on each frame, at L/2. They keep detail that the coarser operators cannot resolve.

    Args:
        width: channels.
        rngs: source of the random initial parameters.
    """

    def __init__(self, width: int, *, rngs: nnx.Rngs):
        self.norm = LayerNorm(width, rngs=rngs)
        self.first = Conv(width, width, rngs=rngs)
        self.second = Conv(width, width, rngs=rngs)

    def __call__(self, x: Float[Array, "B T H W C"]) -> Float[Array, "B T H W C"]:
        """Update the precision state of each frame.

        Args:
            x: the precision state.

        Returns:
            The updated state.
        """
        return x + self.second(gelu(self.first(self.norm(x))))
