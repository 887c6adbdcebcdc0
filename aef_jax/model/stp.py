"""The Space Time Precision encoder: frames of all sources in, features at L/2 out (paper, S2).

Only the time operator combines frames. All other parts process each frame alone, so frames can be split over devices
everywhere else. Mirror: aef_torch/model/stp.py.
"""

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Bool, Float

from aef_jax.model.layers import Conv, Down, gelu
from aef_jax.model.operators import PrecisionOperator, SpaceOperator, TimeOperator
from aef_jax.model.pyramid import Analysis, Exchange, Synthesis
from aef_jax.sharding.mesh import constrain
from configs.encodings.timecode import TIMECODE_WIDTH
from configs.model import ModelConfig


class MissingBands(nnx.Linear):
    """A learned vector for each band, which is added to the features of a frame that lacks the band (ours).

    The vectors begin as zero, and stay zero for bands that no frame lacks.

    Args:
        channels: bands of the source.
        width: channels of the features.
    """

    def __init__(self, channels: int, width: int):
        # zeros take no random numbers from the model's, so all other parameters begin as in architecture 1
        super().__init__(channels, width, use_bias=False, kernel_init=nnx.initializers.zeros, rngs=nnx.Rngs(0))

    def __call__(  # pyright: ignore[reportIncompatibleMethodOverride]
        self, features: Float[Array, "B N H W CP"], missing: Bool[Array, "B N C"]
    ) -> Float[Array, "B N H W CP"]:
        """Add the vectors of the missing bands at all pixels.

        Args:
            features: features of each frame.
            missing: bands that each frame lacks.

        Returns:
            The features, in their dtype.
        """
        vectors = missing.astype(self.kernel.dtype) @ self.kernel[...]
        # broadcast before the cast, as a bias is, so that the gradient is summed in float32
        return features + jnp.broadcast_to(vectors[:, :, None, None], features.shape).astype(features.dtype)


class SourceEncoder(nnx.Module):
    """Projection of one source's frames to L/2 and the precision width, whatever its bands (paper: input projector).

    Args:
        channels: bands of the source.
        config: the model's sizes and architecture.
        rngs: source of the random initial parameters.
    """

    def __init__(self, channels: int, config: ModelConfig, *, rngs: nnx.Rngs):
        self.project = Down(channels, config.d_precision, rngs=rngs)
        self.missing_bands = MissingBands(channels, config.d_precision) if config.architecture > 1 else None
        self.refine = Conv(config.d_precision, config.d_precision, rngs=rngs)

    def __call__(
        self, pixels: Float[Array, "B N H W C"], present: Bool[Array, "B N"], bands: Bool[Array, "B N C"]
    ) -> Float[Array, "B N H/2 W/2 CP"]:
        """Project the frames.

        Args:
            pixels: scaled and z-scored pixels; those of absent frames may be anything.
            present: frames that exist.
            bands: bands of which a frame has data; those of absent frames may be anything.

        Returns:
            Features of each frame.
        """
        # an absent frame may contain NaN, and NaN times a weight of zero is NaN
        features = self.project(jnp.where(present[:, :, None, None, None], pixels, 0))
        if self.missing_bands is not None:
            features = self.missing_bands(features, present[..., None] & ~bands)
        return constrain(self.refine(gelu(features)), "sequence", "frame")


class STPBlock(nnx.Module):
    """The three operators side by side, each at its own resolution, followed by the exchange.

    Args:
        config: the model's sizes.
        rngs: source of the random initial parameters.
    """

    def __init__(self, config: ModelConfig, *, rngs: nnx.Rngs):
        self.precision = PrecisionOperator(config.d_precision, rngs=rngs)
        self.time = TimeOperator(config.d_time, config.heads_time, config.mlp_ratio, TIMECODE_WIDTH, rngs=rngs)
        self.space = SpaceOperator(config.d_space, config.heads_space, config.mlp_ratio, rngs=rngs)
        self.exchange = Exchange(config, rngs=rngs)

    def __call__(
        self,
        precision: Float[Array, "B T H W CP"],
        time: Float[Array, "B T H/4 W/4 CT"],
        space: Float[Array, "B T H/8 W/8 CS"],
        timecodes: Float[Array, "B T K"],
        present: Bool[Array, "B T"],
    ) -> tuple[Float[Array, "B T H W CP"], Float[Array, "B T H/4 W/4 CT"], Float[Array, "B T H/8 W/8 CS"]]:
        """Update the three states.

        Args:
            precision: the precision state.
            time: the time state.
            space: the space state.
            timecodes: acquisition times of the frames.
            present: frames that exist.

        Returns:
            The three updated states.
        """
        # the names of configs/flops.py, by which profiles and `aef compile` attribute cost
        with jax.named_scope("precision"):
            precision = self.precision(precision)
        with jax.named_scope("time"):
            time = self.time(time, timecodes, present)
        with jax.named_scope("space"):
            space = self.space(space)
        with jax.named_scope("exchange"):
            return self.exchange(precision, time, space)


class STPEncoder(nnx.Module):
    """All blocks, between the pyramid that starts the three states and the one that joins them at L/2.

    Args:
        config: the model's sizes.
        rngs: source of the random initial parameters.
    """

    def __init__(self, config: ModelConfig, *, rngs: nnx.Rngs):
        self.analysis = Analysis(config, rngs=rngs)
        self.blocks = _stacked_blocks(config, rngs.split(config.num_blocks))
        self.synthesis = Synthesis(config, rngs=rngs)
        self.loop = config.block_loop
        self.remat = config.remat

    def __call__(
        self,
        precision: Float[Array, "B T H W CP"],
        timecodes: Float[Array, "B T K"],
        present: Bool[Array, "B T"],
    ) -> Float[Array, "B T H W CP"]:
        """Encode the frames of all sources.

        Args:
            precision: frames of all sources, from their source encoders.
            timecodes: acquisition times of the frames.
            present: frames that exist.

        Returns:
            Features of each frame.
        """
        precision = constrain(precision, "sequence", "frame")
        with jax.named_scope("pyramid"):
            state = precision, *self.analysis(precision)
        precision, time, space = self._run_blocks(state, timecodes, present)
        with jax.named_scope("pyramid"):
            return constrain(self.synthesis(precision, None, time, space)[0], "sequence", "frame")

    def _run_blocks(self, state, timecodes, present):
        """Run all blocks, scanned or unrolled, with parameters stacked on a leading axis."""
        graph, stacked = nnx.split(self.blocks)

        def body(state: tuple[Array, Array, Array], parameters: nnx.State):
            state = jax.tree.map(lambda x: constrain(x, "sequence", "frame"), state)
            return nnx.merge(graph, parameters)(*state, timecodes, present), None

        body = _rematerialized(body, self.remat)
        if self.loop == "scan":
            return jax.lax.scan(body, state, stacked)[0]
        # unstack's gradient is one stack; indexing's would be a sum of zero-padded copies, one per block
        leaves, tree = jax.tree.flatten(stacked)
        for leaves_of_block in zip(*(jnp.unstack(leaf) for leaf in leaves), strict=True):
            # without this, XLA's CPU backend sums the gradients of all later blocks again at every use of the sum
            state, _ = body(jax.lax.optimization_barrier(state), jax.tree.unflatten(tree, leaves_of_block))
        return state


@nnx.vmap(in_axes=(None, 0), out_axes=0)
def _stacked_blocks(config: ModelConfig, rngs: nnx.Rngs) -> STPBlock:
    return STPBlock(config, rngs=rngs)


def _rematerialized(body, remat: str):
    if remat == "none":
        return body
    return jax.checkpoint(body, policy=_is_product if remat == "dots" else None, prevent_cse=False)


def _is_product(primitive, *arguments, **parameters) -> bool:
    """Keep convolutions and dense layers. Attention's own products are cheap, and its weights are large."""
    dense = jax.checkpoint_policies.dots_with_no_batch_dims_saveable
    return primitive is jax.lax.conv_general_dilated_p or dense(primitive, *arguments, **parameters)
