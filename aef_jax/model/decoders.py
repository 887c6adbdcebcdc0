"""The parts that read an embedding: a decoder for each target source, and the text head.

Mirror: aef_torch/model/decoders.py.
"""

import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float

from aef_jax.model.layers import Linear, gelu, unit
from configs.encodings.timecode import PERIOD_CODE_WIDTH, RELATIVE_TIMECODE_WIDTH
from configs.model import ModelConfig
from configs.source import Source


class Decoder(nnx.Module):
    """MLP with two hidden layers at each pixel of [sample, time in the period, metadata] (paper, S2).

    The first layer has separate weights for the embedding and for the conditions. The conditions are the same at every
    pixel, so they are multiplied once per tile.

    Args:
        source: the source to decode.
        config: the model's sizes.
        rngs: source of the random initial parameters.
    """

    def __init__(self, source: Source, config: ModelConfig, *, rngs: nnx.Rngs):
        width = config.decoder_width
        conditions = condition_width(source)
        # a unit vector's numbers are small: unscaled, the time would outweigh them, and learning would be slow (ours)
        self.scale = config.embed_dim**0.5
        self.embedding = Linear(config.embed_dim, width, rngs=rngs)
        self.conditions = Linear(conditions, width, bias=False, rngs=rngs) if conditions else None
        self.hidden = Linear(width, width, rngs=rngs)
        self.out = Linear(width, source.decoder_outputs, rngs=rngs)

    def __call__(
        self,
        sample: Float[Array, "B H W D"],
        time_code: Float[Array, "B R"],
        metadata: Float[Array, "B M"],
    ) -> Float[Array, "B H W O"]:
        """Predict the observation at each pixel.

        Args:
            sample: embeddings.
            time_code: relative timecode of the observation in its period.
            metadata: metadata of the observation.

        Returns:
            Bands or logits of classes.
        """
        x = self.embedding(sample * self.scale)
        if self.conditions is not None:
            x = x + self.conditions(jnp.concatenate([time_code, metadata], axis=-1))[:, None, None]
        return self.out(gelu(self.hidden(gelu(x))))


def condition_width(source: Source) -> int:
    """Count the numbers that a decoder gets beside the embedding.

    Args:
        source: the source to decode.

    Returns:
        M, plus R unless the source is static.
    """
    return RELATIVE_TIMECODE_WIDTH * source.timed + source.metadata_width


class TextHead(nnx.Module):
    """MLP from a frozen sentence embedding and its summary period to a unit embedding.

    Args:
        config: the model's sizes.
        rngs: source of the random initial parameters.
    """

    def __init__(self, config: ModelConfig, *, rngs: nnx.Rngs):
        width = config.decoder_width
        self.first = Linear(config.text_width + PERIOD_CODE_WIDTH, width, rngs=rngs)
        self.hidden = Linear(width, width, rngs=rngs)
        self.out = Linear(width, config.embed_dim, rngs=rngs)

    def __call__(self, sentence: Float[Array, "B S"], period: Float[Array, "B K2"]) -> Float[Array, "B D"]:
        """Embed sentences.

        Args:
            sentence: embeddings of a frozen sentence encoder.
            period: codes of the summary periods.

        Returns:
            Unit vectors.
        """
        x = gelu(self.first(jnp.concatenate([sentence, period], axis=-1)))
        return unit(self.out(gelu(self.hidden(x))))
