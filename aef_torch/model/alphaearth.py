"""AlphaEarth Foundations: from frames to embedding fields, and from embeddings to what they must explain (paper, S2).

Mirror: aef_jax/model/alphaearth.py. The letters of the shapes are those of configs/batch.py.
"""

from typing import NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from aef_torch.model.decoders import Decoder, TextHead
from aef_torch.model.layers import at_least_float32
from aef_torch.model.stp import SourceEncoder, STPEncoder
from aef_torch.model.summary import TemporalSummary
from configs.batch import Frames, validate_frames
from configs.config import Config


class Encoded(NamedTuple):
    """Features of all frames: what any number of valid periods can be summarised from."""

    features: Float[Tensor, "B T H/2 W/2 CP"]
    timecodes: Float[Tensor, "B T K"]
    present: Bool[Tensor, "B T"]


class AlphaEarth(nn.Module):
    """The whole model. It computes in `config.model.compute_dtype`; embeddings come out in at least float32."""

    def __init__(self, config: Config):
        super().__init__()
        self.dtype = getattr(torch, config.model.compute_dtype)
        self.inputs = tuple(source.name for source in config.input_sources)
        self.source_encoders = nn.ModuleDict(
            {s.name: SourceEncoder(s.channels, config.model.d_precision) for s in config.input_sources}
        )
        self.encoder = STPEncoder(config.model)
        self.summary = TemporalSummary(config.model)
        self.decoders = nn.ModuleDict({s.name: Decoder(s, config.model) for s in config.decoded_sources})
        self.text_head = TextHead(config.model) if config.has_text else None

    def forward(self, frames: dict[str, Frames], periods: Float[Tensor, "B P 2K"]) -> Float[Tensor, "B P H W D"]:
        """The embedding fields of `periods`, unit vectors."""
        return self.summarise(self.encode(frames), periods)

    def encode(self, frames: dict[str, Frames]) -> Encoded:
        """Encodes the frames of any subset of the input sources, in any order; absent frames have no influence.

        Raises ValueError where no input source is given, or a tile side is no multiple of 16.
        """
        sources = [name for name in self.inputs if name in frames]
        validate_frames(frames, self.inputs)
        features = [self.source_encoders[name](*self._cast(frames[name])) for name in sources]
        present = torch.cat([frames[name].present for name in sources], dim=1)
        timecodes = torch.cat([frames[name].timecodes for name in sources], dim=1).to(self.dtype)
        timecodes = torch.where(present[..., None], timecodes, 0)
        encoded = self.encoder(torch.cat(features, dim=1), timecodes, present)
        return Encoded(encoded, timecodes, present)

    def summarise(self, encoded: Encoded, periods: Float[Tensor, "B P 2K"]) -> Float[Tensor, "B P H W D"]:
        """The mean directions mu of P valid periods at once."""
        return self.summary(*encoded, periods.to(self.dtype))

    def decode(
        self,
        source: str,
        sample: Float[Tensor, "B H W D"],
        time_code: Float[Tensor, "B R"],
        metadata: Float[Tensor, "B M"],
    ) -> Float[Tensor, "B H W O"]:
        """What `source` would have observed: scaled bands, or logits of classes; at least float32."""
        return at_least_float32(self.decoders[source](*(x.to(self.dtype) for x in (sample, time_code, metadata))))

    def embed_text(self, sentence: Float[Tensor, "B S"], period: Float[Tensor, "B 2K"]) -> Float[Tensor, "B D"]:
        """The direction of a text that describes a place over a period.

        Raises ValueError where the configuration has no text.
        """
        if self.text_head is None:
            raise ValueError("there is no text head, expected a source of kind 'text' in the configuration")
        return self.text_head(sentence.to(self.dtype), period.to(self.dtype))

    def _cast(self, frames: Frames) -> tuple[Float[Tensor, "B N H W C"], Bool[Tensor, "B N"]]:
        return frames.pixels.to(self.dtype), frames.present
