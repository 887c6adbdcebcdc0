"""The summary: from the features of all frames to one embedding field for each valid period (paper, S2).

Mirror: aef_jax/model/summary.py.
"""

import torch
from einops import rearrange
from jaxtyping import Bool, Float
from torch import Tensor, nn

from aef_torch.model.attention import masked_softmax
from aef_torch.model.layers import LayerNorm, Linear, Mlp, SmoothUp, unit
from configs.encodings.timecode import PERIOD_CODE_WIDTH, TIMECODE_WIDTH
from configs.model import ModelConfig


class TemporalSummary(nn.Module):
    """Attention pooling along time at each cell, with one query computed from the code of the valid period.

    Keys and values are computed once for any number of periods. Query and keys share the weights that project times, so
    that frames near a period have the largest weights from the start. The query is added to the pooled values. A tile
    without frames therefore has an embedding, and a period outside all frames is not a copy of the nearest one.

    Args:
        config: the model's sizes.
    """

    def __init__(self, config: ModelConfig):
        super().__init__()
        width = config.d_precision
        self.heads = config.heads_summary
        self.time = Linear(TIMECODE_WIDTH, width, bias=False)
        self.norm = LayerNorm(width)
        self.query = Mlp(PERIOD_CODE_WIDTH, config.mlp_ratio * width, width)
        self.key = Linear(width, width, bias=False)
        self.value = Linear(width, width)
        self.out = Linear(width, width)
        self.norm_mlp = LayerNorm(width)
        self.mlp = Mlp(width, config.mlp_ratio * width, width)
        self.upsample = SmoothUp(width, config.embed_dim)

    def forward(
        self,
        features: Float[Tensor, "B T H W CP"],
        timecodes: Float[Tensor, "B T K"],
        present: Bool[Tensor, "B T"],
        periods: Float[Tensor, "B P 2*K"],
    ) -> Float[Tensor, "B P 2*H 2*W D"]:
        """Summarize the frames over valid periods.

        Args:
            features: features of all frames.
            timecodes: acquisition times of the frames.
            present: frames that exist.
            periods: codes of the valid periods.

        Returns:
            Fields of unit vectors, at the resolution of the pixels.
        """
        features = self.norm(features)
        start, end = periods.chunk(2, dim=-1)
        query = self.time(start) + self.time(end) + self.query(periods)
        q = rearrange(query, "b p (h d) -> b p h d", h=self.heads)
        k = self.key(features) + self.time(timecodes)[:, :, None, None]
        k, v = (rearrange(x, "b t y x (h d) -> b t y x h d", h=self.heads) for x in (k, self.value(features)))
        logits = torch.einsum("b p h d, b t y x h d -> b p h y x t", q, k) * q.shape[-1] ** -0.5
        weights = masked_softmax(logits, present[:, None, None, None, None])
        pooled = torch.einsum("b p h y x t, b t y x h d -> b p y x h d", weights, v)
        field = self.out(rearrange(pooled, "b p y x h d -> b p y x (h d)")) + query[:, :, None, None]
        field = field + self.mlp(self.norm_mlp(field))
        return unit(self.upsample(field))
