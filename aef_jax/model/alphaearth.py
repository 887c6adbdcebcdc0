"""AlphaEarth Foundations: from frames to embedding fields, and from embeddings to what they must explain (paper, S2).

Mirror: aef_torch/model/alphaearth.py. The letters of the shapes are those of configs/batch.py.
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
from aef_jax.sharding.mesh import constrain, join_frames
from configs.batch import Frames, validate_frames
from configs.config import Config


class Encoded(NamedTuple):
    """Features of all frames: what any number of valid periods can be summarised from."""

    features: Float[Array, "B T H/2 W/2 CP"]
    timecodes: Float[Array, "B T K"]
    present: Bool[Array, "B T"]


class AlphaEarth(nnx.Module):
    """The whole model. It computes in `config.model.compute_dtype`; embeddings come out in at least float32."""

    def __init__(self, config: Config, *, rngs: nnx.Rngs):
        self.dtype = jnp.dtype(config.model.compute_dtype)
        self.inputs = tuple(source.name for source in config.input_sources)
        self.source_encoders = nnx.Dict(
            {s.name: SourceEncoder(s.channels, config.model.d_precision, rngs=rngs) for s in config.input_sources}
        )
        self.encoder = STPEncoder(config.model, rngs=rngs)
        self.summary = TemporalSummary(config.model, rngs=rngs)
        self.decoders = nnx.Dict({s.name: Decoder(s, config.model, rngs=rngs) for s in config.decoded_sources})
        self.text_head = TextHead(config.model, rngs=rngs) if config.has_text else None

    def __call__(self, frames: dict[str, Frames], periods: Float[Array, "B P 2K"]) -> Float[Array, "B P H W D"]:
        """The embedding fields of `periods`, unit vectors."""
        return self.summarise(self.encode(frames), periods)

    def encode(self, frames: dict[str, Frames]) -> Encoded:
        """Encodes the frames of any subset of the input sources, in any order; absent frames have no influence.

        Raises ValueError where no input source is given, or a tile side is no multiple of 16.
        """
        sources = [name for name in self.inputs if name in frames]
        validate_frames(frames, self.inputs)
        with jax.named_scope("source encoders"):
            features = [self.source_encoders[name](*self._cast(frames[name])) for name in sources]
        # what says which frames there are, and when, is small: whole on each device
        present = constrain(join_frames([frames[name].present for name in sources]), "sequence")
        timecodes = constrain(join_frames([frames[name].timecodes for name in sources]), "sequence")
        timecodes = jnp.where(present[..., None], timecodes.astype(self.dtype), 0)
        encoded = self.encoder(join_frames(features), timecodes, present)
        return Encoded(encoded, timecodes, present)

    def summarise(self, encoded: Encoded, periods: Float[Array, "B P 2K"]) -> Float[Array, "B P H W D"]:
        """The mean directions mu of P valid periods at once."""
        with jax.named_scope("summary"):
            return self.summary(*encoded, periods.astype(self.dtype))

    def decode(
        self,
        source: str,
        sample: Float[Array, "B H W D"],
        time_code: Float[Array, "B R"],
        metadata: Float[Array, "B M"],
    ) -> Float[Array, "B H W O"]:
        """What `source` would have observed: scaled bands, or logits of classes; at least float32."""
        with jax.named_scope("decoders"):
            return at_least_float32(
                self.decoders[source](*(x.astype(self.dtype) for x in (sample, time_code, metadata)))
            )

    def embed_text(self, sentence: Float[Array, "B S"], period: Float[Array, "B 2K"]) -> Float[Array, "B D"]:
        """The direction of a text that describes a place over a period.

        Raises ValueError where the configuration has no text.
        """
        if self.text_head is None:
            raise ValueError("there is no text head, expected a source of kind 'text' in the configuration")
        return self.text_head(sentence.astype(self.dtype), period.astype(self.dtype))

    def _cast(self, frames: Frames) -> tuple[Float[Array, "B N H W C"], Bool[Array, "B N"]]:
        return frames.pixels.astype(self.dtype), frames.present
