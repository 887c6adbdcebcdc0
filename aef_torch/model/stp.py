"""The Space Time Precision encoder: frames of all sources in, features at L/2 out (paper, S2).

Only the time operator combines frames. All other parts process each frame alone, so frames can be split over devices
everywhere else. Mirror: aef_jax/model/stp.py.
"""

from functools import partial

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from aef_torch.model.layers import Conv, Down, gelu
from aef_torch.model.operators import PrecisionOperator, SpaceOperator, TimeOperator
from aef_torch.model.pyramid import Analysis, Exchange, Synthesis
from configs.encodings.timecode import TIMECODE_WIDTH
from configs.model import ModelConfig


class MissingBands(nn.Linear):
    """A learned vector for each band, which is added to the features of a frame that lacks the band (ours).

    The vectors begin as zero, and stay zero for bands that no frame lacks.

    Args:
        channels: bands of the source.
        width: channels of the features.
    """

    def __init__(self, channels: int, width: int):
        super().__init__(channels, width, bias=False)

    def reset_parameters(self):
        """Set the vectors to zero."""
        nn.init.zeros_(self.weight)

    def forward(  # pyright: ignore[reportIncompatibleMethodOverride]
        self, features: Float[Tensor, "B N H W CP"], missing: Bool[Tensor, "B N C"]
    ) -> Float[Tensor, "B N H W CP"]:
        """Add the vectors of the missing bands at all pixels.

        Args:
            features: features of each frame.
            missing: bands that each frame lacks.

        Returns:
            The features, in their dtype.
        """
        vectors = super().forward(missing.to(self.weight.dtype))
        return features + vectors[:, :, None, None].to(features.dtype)


class SourceEncoder(nn.Module):
    """Projection of one source's frames to L/2 and the precision width, whatever its bands (paper: input projector).

    Args:
        channels: bands of the source.
        config: the model's sizes and architecture.
    """

    def __init__(self, channels: int, config: ModelConfig):
        super().__init__()
        self.project = Down(channels, config.d_precision)
        self.missing_bands = MissingBands(channels, config.d_precision) if config.architecture > 1 else None
        self.refine = Conv(config.d_precision, config.d_precision)

    def forward(
        self, pixels: Float[Tensor, "B N H W C"], present: Bool[Tensor, "B N"], bands: Bool[Tensor, "B N C"]
    ) -> Float[Tensor, "B N H/2 W/2 CP"]:
        """Project the frames.

        Args:
            pixels: scaled and z-scored pixels; those of absent frames may be anything.
            present: frames that exist.
            bands: bands of which a frame has data; those of absent frames may be anything.

        Returns:
            Features of each frame.
        """
        # an absent frame may contain NaN, and NaN times a weight of zero is NaN
        features = self.project(torch.where(present[:, :, None, None, None], pixels, 0))
        if self.missing_bands is not None:
            features = self.missing_bands(features, present[..., None] & ~bands)
        return self.refine(gelu(features))


class STPBlock(nn.Module):
    """The three operators side by side, each at its own resolution, followed by the exchange.

    Args:
        config: the model's sizes.
    """

    def __init__(self, config: ModelConfig):
        super().__init__()
        self.precision = PrecisionOperator(config.d_precision)
        self.time = TimeOperator(config.d_time, config.heads_time, config.mlp_ratio, TIMECODE_WIDTH)
        self.space = SpaceOperator(config.d_space, config.heads_space, config.mlp_ratio)
        self.exchange = Exchange(config)

    def forward(
        self,
        precision: Float[Tensor, "B T H W CP"],
        time: Float[Tensor, "B T H/4 W/4 CT"],
        space: Float[Tensor, "B T H/8 W/8 CS"],
        timecodes: Float[Tensor, "B T K"],
        present: Bool[Tensor, "B T"],
    ) -> tuple[Float[Tensor, "B T H W CP"], Float[Tensor, "B T H/4 W/4 CT"], Float[Tensor, "B T H/8 W/8 CS"]]:
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
        return self.exchange(self.precision(precision), self.time(time, timecodes, present), self.space(space))


class STPEncoder(nn.Module):
    """All blocks, between the pyramid that starts the three states and the one that joins them at L/2.

    Args:
        config: the model's sizes.
    """

    def __init__(self, config: ModelConfig):
        super().__init__()
        self.analysis = Analysis(config)
        self.blocks = nn.ModuleList(STPBlock(config) for _ in range(config.num_blocks))
        self.synthesis = Synthesis(config)
        # config.block_loop is for XLA; here the blocks run one after another
        self.remat = config.remat

    def forward(
        self,
        precision: Float[Tensor, "B T H W CP"],
        timecodes: Float[Tensor, "B T K"],
        present: Bool[Tensor, "B T"],
    ) -> Float[Tensor, "B T H W CP"]:
        """Encode the frames of all sources.

        Args:
            precision: frames of all sources, from their source encoders.
            timecodes: acquisition times of the frames.
            present: frames that exist.

        Returns:
            Features of each frame.
        """
        state = precision, *self.analysis(precision)
        precision, time, space = self._run_blocks(state, timecodes, present)
        return self.synthesis(precision, None, time, space)[0]

    def _run_blocks(self, state, timecodes, present):
        for block in self.blocks:
            state = _rematerialized(block, self.remat)(*state, timecodes, present)
        return state


def _rematerialized(block, remat: str):
    if remat == "none":
        return block
    # "dots" recomputes whole blocks too: remat changes memory and time, never a number
    return partial(checkpoint, block, use_reentrant=False, preserve_rng_state=False)
