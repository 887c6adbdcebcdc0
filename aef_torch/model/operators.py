"""The three operators of a Space Time Precision block (paper, Fig. 2D).

Mirror: aef_jax/model/operators.py.
"""

from einops import rearrange
from jaxtyping import Bool, Float
from torch import Tensor, nn

from aef_torch.model.attention import Attention
from aef_torch.model.layers import Conv, LayerNorm, Linear, Mlp, gelu
from configs.encodings.rotary import grid_angles


class SpaceOperator(nn.Module):
    """Self-attention among the cells of one frame, at L/16 (paper: "ViT-like"; rotary positions are ours).

    Args:
        width: channels.
        heads: number of heads.
        mlp_ratio: hidden width of the MLP, as a multiple of the channels.
    """

    def __init__(self, width: int, heads: int, mlp_ratio: int):
        super().__init__()
        self.norm_attention = LayerNorm(width)
        self.attention = Attention(width, heads)
        self.norm_mlp = LayerNorm(width)
        self.mlp = Mlp(width, mlp_ratio * width, width)

    def forward(self, x: Float[Tensor, "B T H W C"]) -> Float[Tensor, "B T H W C"]:
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


class TimeOperator(nn.Module):
    """Self-attention along time at each cell of the L/8 grid.

    Each frame is conditioned on its timecode. No frame attends to an absent one.

    Args:
        width: channels.
        heads: number of heads.
        mlp_ratio: hidden width of the MLP, as a multiple of the channels.
        timecode: width of a timecode.
    """

    def __init__(self, width: int, heads: int, mlp_ratio: int, timecode: int):
        super().__init__()
        self.condition = Linear(timecode, width)
        self.norm_attention = LayerNorm(width)
        self.attention = Attention(width, heads)
        self.norm_mlp = LayerNorm(width)
        self.mlp = Mlp(width, mlp_ratio * width, width)

    def forward(
        self,
        x: Float[Tensor, "B T H W C"],
        timecodes: Float[Tensor, "B T K"],
        present: Bool[Tensor, "B T"],
    ) -> Float[Tensor, "B T H W C"]:
        """Update the time state of all frames.

        Args:
            x: the time state.
            timecodes: acquisition times of the frames.
            present: frames that exist.

        Returns:
            The updated state.
        """
        x = x + self.condition(timecodes)[:, :, None, None]
        series = rearrange(x, "b t h w c -> b h w t c")
        key_mask = present[:, None, None].expand(series.shape[:-1])
        series = series + self.attention(self.norm_attention(series), key_mask)
        series = series + self.mlp(self.norm_mlp(series))
        return rearrange(series, "b h w t c -> b t h w c")


class PrecisionOperator(nn.Module):
    """3x3 convolutions on each frame, at L/2. They keep detail that the coarser operators cannot resolve.

    Args:
        width: channels.
    """

    def __init__(self, width: int):
        super().__init__()
        self.norm = LayerNorm(width)
        self.first = Conv(width, width)
        self.second = Conv(width, width)

    def forward(self, x: Float[Tensor, "B T H W C"]) -> Float[Tensor, "B T H W C"]:
        """Update the precision state of each frame.

        Args:
            x: the precision state.

        Returns:
            The updated state.
        """
        return x + self.second(gelu(self.first(self.norm(x))))
