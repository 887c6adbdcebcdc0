"""The parts that read an embedding: a decoder for each target source, and the text head.

Mirror: aef_jax/model/decoders.py.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from aef_torch.model.layers import Linear, gelu, unit
from configs.encodings.timecode import PERIOD_CODE_WIDTH, RELATIVE_TIMECODE_WIDTH
from configs.model import ModelConfig
from configs.source import Source


class Decoder(nn.Module):
    """MLP with two hidden layers at each pixel of [sample, time in the period, metadata] (paper, S2).

    The first layer has separate weights for the embedding and for the conditions. The conditions are the same at every
    pixel, so they are multiplied once per tile.

    Args:
        source: the source to decode.
        config: the model's sizes.
    """

    def __init__(self, source: Source, config: ModelConfig):
        super().__init__()
        width = config.decoder_width
        conditions = condition_width(source)
        # a unit vector's numbers are small: unscaled, the time would outweigh them, and learning would be slow (ours)
        self.scale = config.embed_dim**0.5
        self.embedding = Linear(config.embed_dim, width)
        self.conditions = Linear(conditions, width, bias=False) if conditions else None
        self.hidden = Linear(width, width)
        self.out = Linear(width, source.decoder_outputs)

    def forward(
        self,
        sample: Float[Tensor, "B H W D"],
        time_code: Float[Tensor, "B R"],
        metadata: Float[Tensor, "B M"],
    ) -> Float[Tensor, "B H W O"]:
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
            x = x + self.conditions(torch.cat([time_code, metadata], dim=-1))[:, None, None]
        return self.out(gelu(self.hidden(gelu(x))))


def condition_width(source: Source) -> int:
    """Count the numbers that a decoder gets beside the embedding.

    Args:
        source: the source to decode.

    Returns:
        M, plus R unless the source is static.
    """
    return RELATIVE_TIMECODE_WIDTH * source.timed + source.metadata_width


class TextHead(nn.Module):
    """MLP from a frozen sentence embedding and its summary period to a unit embedding.

    Args:
        config: the model's sizes.
    """

    def __init__(self, config: ModelConfig):
        super().__init__()
        width = config.decoder_width
        self.first = Linear(config.text_width + PERIOD_CODE_WIDTH, width)
        self.hidden = Linear(width, width)
        self.out = Linear(width, config.embed_dim)

    def forward(self, sentence: Float[Tensor, "B S"], period: Float[Tensor, "B K2"]) -> Float[Tensor, "B D"]:
        """Embed sentences.

        Args:
            sentence: embeddings of a frozen sentence encoder.
            period: codes of the summary periods.

        Returns:
            Unit vectors.
        """
        x = gelu(self.first(torch.cat([sentence, period], dim=-1)))
        return unit(self.out(gelu(self.hidden(x))))
