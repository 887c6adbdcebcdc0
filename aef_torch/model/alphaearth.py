"""AlphaEarth Foundations: encode frames to embedding fields, and decode embeddings to observations (paper, S2).

The letters of the shapes are those of configs/batch.py. Mirror: aef_jax/model/alphaearth.py.
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
    """Features of all frames. Any number of valid periods can be summarized from them."""

    features: Float[Tensor, "B T H/2 W/2 CP"]
    timecodes: Float[Tensor, "B T K"]
    present: Bool[Tensor, "B T"]


class AlphaEarth(nn.Module):
    """The whole model. It computes in `config.model.compute_dtype`; embeddings are in at least float32.

    Args:
        config: the model's sizes and its sources.
    """

    def __init__(self, config: Config):
        super().__init__()
        self.dtype = getattr(torch, config.model.compute_dtype)
        self.inputs = tuple(source.name for source in config.input_sources)
        self.source_encoders = nn.ModuleDict(
            {s.name: SourceEncoder(s.channels, config.model) for s in config.input_sources}
        )
        self.encoder = STPEncoder(config.model)
        self.summary = TemporalSummary(config.model)
        self.decoders = nn.ModuleDict({s.name: Decoder(s, config.model) for s in config.decoded_sources})
        self.text_head = TextHead(config.model) if config.has_text else None

    def forward(self, frames: dict[str, Frames], periods: Float[Tensor, "B P K2"]) -> Float[Tensor, "B P H W D"]:
        """Compute one embedding field for each valid period.

        Args:
            frames: frames of any subset of the input sources, by source name.
            periods: codes of the valid periods.

        Returns:
            Fields of unit vectors, in the order of the periods.

        Raises:
            ValueError: there is no input source, or the side of the tile is not a multiple of 16.
        """
        return self.summarize(self.encode(frames), periods)

    def encode(self, frames: dict[str, Frames]) -> Encoded:
        """Encode the frames of any subset of the input sources. Absent frames have no influence.

        Args:
            frames: frames by source name, in any order.

        Returns:
            The features of all frames.

        Raises:
            ValueError: there is no input source, or the side of the tile is not a multiple of 16.
        """
        sources = [name for name in self.inputs if name in frames]
        validate_frames(frames, self.inputs)
        features = [self.source_encoders[name](*self._cast(frames[name])) for name in sources]
        present = torch.cat([frames[name].present for name in sources], dim=1)
        timecodes = torch.cat([frames[name].timecodes for name in sources], dim=1).to(self.dtype)
        timecodes = torch.where(present[..., None], timecodes, 0)
        encoded = self.encoder(torch.cat(features, dim=1), timecodes, present)
        return Encoded(encoded, timecodes, present)

    def summarize(self, encoded: Encoded, periods: Float[Tensor, "B P K2"]) -> Float[Tensor, "B P H W D"]:
        """Compute the mean directions mu of several valid periods at once.

        Args:
            encoded: features of all frames.
            periods: codes of the valid periods.

        Returns:
            Fields of unit vectors, in the order of the periods.
        """
        return self.summary(*encoded, periods.to(self.dtype))

    def decode(
        self,
        source: str,
        sample: Float[Tensor, "B H W D"],
        time_code: Float[Tensor, "B R"],
        metadata: Float[Tensor, "B M"],
    ) -> Float[Tensor, "B H W O"]:
        """Predict what a source observed.

        Args:
            source: name of a decoded source.
            sample: embeddings; in training, samples around mu.
            time_code: relative timecode of the observation in its period.
            metadata: metadata of the observation.

        Returns:
            Scaled and z-scored bands, or logits of classes, in at least float32.
        """
        return at_least_float32(self.decoders[source](*(x.to(self.dtype) for x in (sample, time_code, metadata))))

    def embed_text(self, sentence: Float[Tensor, "B S"], period: Float[Tensor, "B K2"]) -> Float[Tensor, "B D"]:
        """Embed a text that describes a place during a period.

        Args:
            sentence: embedding of the text by a frozen sentence encoder.
            period: code of the period.

        Returns:
            Unit vectors.

        Raises:
            ValueError: the config has no source of kind 'text'.
        """
        if self.text_head is None:
            raise ValueError("the model has no text head: the config has no source of kind 'text'")
        return self.text_head(sentence.to(self.dtype), period.to(self.dtype))

    def _cast(self, frames: Frames) -> tuple[Float[Tensor, "B N H W C"], Bool[Tensor, "B N"], Bool[Tensor, "B N C"]]:
        return frames.pixels.to(self.dtype), frames.present, frames.bands
