"""From features of all frames to one embedding field per valid period (paper, S2).

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
    """Attention pooling along time at each pixel, with a single query computed from the valid period's code.

    Keys and values are computed once: P periods cost P queries. Query and keys see times through the same weights, so
    that from the start the frames near a period weigh most in it. The query itself joins what it pooled, so that a tile
    without any frame still has an embedding, and a period outside all frames is more than a copy of the nearest one.
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
        periods: Float[Tensor, "B P 2K"],
    ) -> Float[Tensor, "B P 2H 2W D"]:
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
