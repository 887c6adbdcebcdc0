"""The summary: from the features of all frames to one embedding field for each valid period (paper, S2).

Mirror: aef_torch/model/summary.py.
"""

import jax.numpy as jnp
from einops import rearrange
from flax import nnx
from jaxtyping import Array, Bool, Float

from aef_jax.model.attention import masked_softmax
from aef_jax.model.layers import LayerNorm, Linear, Mlp, SmoothUp, unit
from aef_jax.sharding.mesh import constrain
from configs.encodings.timecode import PERIOD_CODE_WIDTH, TIMECODE_WIDTH
from configs.model import ModelConfig


class TemporalSummary(nnx.Module):
    """Attention pooling along time at each cell, with one query computed from the code of the valid period.

    Keys and values are computed once for any number of periods. Query and keys share the weights that project times, so
    that frames near a period have the largest weights from the start. The query is added to the pooled values. A tile
    without frames therefore has an embedding, and a period outside all frames is not a copy of the nearest one.

    Args:
        config: the model's sizes.
        rngs: source of the random initial parameters.
    """

    def __init__(self, config: ModelConfig, *, rngs: nnx.Rngs):
        width = config.d_precision
        self.heads = config.heads_summary
        self.time = Linear(TIMECODE_WIDTH, width, bias=False, rngs=rngs)
        self.norm = LayerNorm(width, rngs=rngs)
        self.query = Mlp(PERIOD_CODE_WIDTH, config.mlp_ratio * width, width, rngs=rngs)
        self.key = Linear(width, width, bias=False, rngs=rngs)
        self.value = Linear(width, width, rngs=rngs)
        self.out = Linear(width, width, rngs=rngs)
        self.norm_mlp = LayerNorm(width, rngs=rngs)
        self.mlp = Mlp(width, config.mlp_ratio * width, width, rngs=rngs)
        self.upsample = SmoothUp(width, config.embed_dim, rngs=rngs)

    def __call__(
        self,
        features: Float[Array, "B T H W CP"],
        timecodes: Float[Array, "B T K"],
        present: Bool[Array, "B T"],
        periods: Float[Array, "B P 2*K"],
    ) -> Float[Array, "B P 2*H 2*W D"]:
        """Summarize the frames over valid periods.

        Args:
            features: features of all frames.
            timecodes: acquisition times of the frames.
            present: frames that exist.
            periods: codes of the valid periods.

        Returns:
            Fields of unit vectors, at the resolution of the pixels.
        """
        # rows are split over devices from here on, not frames
        features = self.norm(constrain(features, "sequence", None, "row"))
        start, end = jnp.split(periods, 2, axis=-1)
        query = self.time(start) + self.time(end) + self.query(periods)
        q = rearrange(query, "b p (h d) -> b p h d", h=self.heads)
        k = self.key(features) + self.time(timecodes)[:, :, None, None]
        k, v = (rearrange(x, "b t y x (h d) -> b t y x h d", h=self.heads) for x in (k, self.value(features)))
        logits = jnp.einsum("b p h d, b t y x h d -> b p h y x t", q, k) * q.shape[-1] ** -0.5
        weights = masked_softmax(logits, present[:, None, None, None, None])
        pooled = jnp.einsum("b p h y x t, b t y x h d -> b p y x h d", weights, v)
        field = self.out(rearrange(pooled, "b p y x h d -> b p y x (h d)")) + query[:, :, None, None]
        field = field + self.mlp(self.norm_mlp(field))
        return constrain(unit(self.upsample(field)), "sequence", None, "row")
