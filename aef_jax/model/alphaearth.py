"""AlphaEarth Foundations: encode frames to embedding fields, and decode embeddings to observations (paper, S2).

The letters of the shapes are those of configs/batch.py. Mirror: aef_torch/model/alphaearth.py.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Bool, Float

from aef_jax.model.decoders import Decoder, TextHead
from aef_jax.model.layers import at_least_float32
from aef_jax.model.stp import SourceEncoder, STPEncoder
from aef_jax.model.summary import TemporalSummary
from aef_jax.sharding.frames import join_frames
from aef_jax.sharding.mesh import constrain
from configs.batch import Frames, validate_frames
from configs.config import Config


class Encoded(NamedTuple):
    """Features of all frames. Any number of valid periods can be summarized from them."""

    features: Float[Array, "B T H/2 W/2 CP"]
    timecodes: Float[Array, "B T K"]
    present: Bool[Array, "B T"]


class AlphaEarth(nnx.Module):
    """The whole model. It computes in `config.model.compute_dtype`; embeddings are in at least float32.

    Args:
        config: the model's sizes and its sources.
        rngs: source of the random initial parameters.
    """

    def __init__(self, config: Config, *, rngs: nnx.Rngs):
        self.dtype = jnp.dtype(config.model.compute_dtype)
        self.inputs = tuple(source.name for source in config.input_sources)
        self.source_encoders = nnx.Dict(
            {s.name: SourceEncoder(s.channels, config.model, rngs=rngs) for s in config.input_sources}
        )
        self.encoder = STPEncoder(config.model, rngs=rngs)
        self.summary = TemporalSummary(config.model, rngs=rngs)
        self.decoders = nnx.Dict({s.name: Decoder(s, config.model, rngs=rngs) for s in config.decoded_sources})
        self.text_head = TextHead(config.model, rngs=rngs) if config.has_text else None

    def __call__(self, frames: dict[str, Frames], periods: Float[Array, "B P K2"]) -> Float[Array, "B P H W D"]:
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
        with jax.named_scope("source encoders"):
            features = [self.source_encoders[name](*self._cast(frames[name])) for name in sources]
        # masks and times of frames are small: every device has all of them
        present = constrain(join_frames([frames[name].present for name in sources]), "sequence")
        timecodes = constrain(join_frames([frames[name].timecodes for name in sources]), "sequence")
        timecodes = jnp.where(present[..., None], timecodes.astype(self.dtype), 0)
        encoded = self.encoder(join_frames(features), timecodes, present)
        return Encoded(encoded, timecodes, present)

    def summarize(self, encoded: Encoded, periods: Float[Array, "B P K2"]) -> Float[Array, "B P H W D"]:
        """Compute the mean directions mu of several valid periods at once.

        Args:
            encoded: features of all frames.
            periods: codes of the valid periods.

        Returns:
            Fields of unit vectors, in the order of the periods.
        """
        with jax.named_scope("summary"):
            return self.summary(*encoded, periods.astype(self.dtype))

    def decode(
        self,
        source: str,
        sample: Float[Array, "B H W D"],
        time_code: Float[Array, "B R"],
        metadata: Float[Array, "B M"],
    ) -> Float[Array, "B H W O"]:
        """Predict what a source observed.

        Args:
            source: name of a decoded source.
            sample: embeddings; in training, samples around mu.
            time_code: relative timecode of the observation in its period.
            metadata: metadata of the observation.

        Returns:
            Scaled and z-scored bands, or logits of classes, in at least float32.
        """
        with jax.named_scope("decoders"):
            return at_least_float32(
                self.decoders[source](*(x.astype(self.dtype) for x in (sample, time_code, metadata)))
            )

    def embed_text(self, sentence: Float[Array, "B S"], period: Float[Array, "B K2"]) -> Float[Array, "B D"]:
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
        return self.text_head(sentence.astype(self.dtype), period.astype(self.dtype))

    def _cast(self, frames: Frames) -> tuple[Float[Array, "B N H W C"], Bool[Array, "B N"], Bool[Array, "B N C"]]:
        return frames.pixels.astype(self.dtype), frames.present, frames.bands
