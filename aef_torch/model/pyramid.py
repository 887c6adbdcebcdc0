"""The learned Laplacian pyramid over L/2, L/4, L/8 and L/16, in steps of x2.

The paper names the exchange without details; this form is ours. No grid is resized by interpolation.

Mirror: aef_jax/model/pyramid.py.
"""

from jaxtyping import Float
from torch import Tensor, nn

from aef_torch.model.layers import Down, LayerNorm, Up, gelu
from configs.model import ModelConfig


class Analysis(nn.Module):
    """Initial time and space states, computed down the pyramid from the precision state.

    Args:
        config: the model's sizes.
    """

    def __init__(self, config: ModelConfig):
        super().__init__()
        self.norm = LayerNorm(config.d_precision)
        self.to_exchange = Down(config.d_precision, config.d_exchange)
        self.to_time = Down(config.d_exchange, config.d_time)
        self.to_space = Down(config.d_time, config.d_space)

    def forward(
        self, precision: Float[Tensor, "B T H W C"]
    ) -> tuple[Float[Tensor, "B T H/4 W/4 CT"], Float[Tensor, "B T H/8 W/8 CS"]]:
        """Compute the initial states.

        Args:
            precision: the precision state.

        Returns:
            The time state and the space state.
        """
        time = self.to_time(gelu(self.to_exchange(self.norm(precision))))
        return time, self.to_space(gelu(time))


class Exchange(nn.Module):
    """Exchange of the three operators' states: one sweep down the pyramid, then one sweep up.

    Going down, each state receives the finer ones; going up, each receives the coarser ones. The sweep up adds at L/4
    what the sweep down left there (the pyramid's lateral connection).

    Args:
        config: the model's sizes.
    """

    def __init__(self, config: ModelConfig):
        super().__init__()
        self.norm_precision = LayerNorm(config.d_precision)
        self.to_exchange = Down(config.d_precision, config.d_exchange)
        self.to_time = Down(config.d_exchange, config.d_time)
        self.norm_time = LayerNorm(config.d_time)
        self.to_space = Down(config.d_time, config.d_space)
        self.synthesis = Synthesis(config)

    def forward(
        self,
        precision: Float[Tensor, "B T H W CP"],
        time: Float[Tensor, "B T H/4 W/4 CT"],
        space: Float[Tensor, "B T H/8 W/8 CS"],
    ) -> tuple[Float[Tensor, "B T H W CP"], Float[Tensor, "B T H/4 W/4 CT"], Float[Tensor, "B T H/8 W/8 CS"]]:
        """Add to each state what the other two contain.

        Args:
            precision: the precision state.
            time: the time state.
            space: the space state.

        Returns:
            The three updated states.
        """
        lateral = self.to_exchange(self.norm_precision(precision))
        time = time + self.to_time(gelu(lateral))
        space = space + self.to_space(self.norm_time(time))
        precision, time = self.synthesis(precision, lateral, time, space)
        return precision, time, space


class Synthesis(nn.Module):
    """Sweep up the pyramid, from the space state to the precision state, that also updates the time state.

    Args:
        config: the model's sizes.
    """

    def __init__(self, config: ModelConfig):
        super().__init__()
        self.norm_space = LayerNorm(config.d_space)
        self.to_time = Up(config.d_space, config.d_time)
        self.norm_time = LayerNorm(config.d_time)
        self.to_exchange = Up(config.d_time, config.d_exchange)
        self.to_precision = Up(config.d_exchange, config.d_precision)

    def forward(
        self,
        precision: Float[Tensor, "B T H W CP"],
        lateral: Float[Tensor, "B T H/2 W/2 CX"] | None,
        time: Float[Tensor, "B T H/4 W/4 CT"],
        space: Float[Tensor, "B T H/8 W/8 CS"],
    ) -> tuple[Float[Tensor, "B T H W CP"], Float[Tensor, "B T H/4 W/4 CT"]]:
        """Add the coarser states to the finer ones.

        Args:
            precision: the precision state.
            lateral: what the sweep down left at L/4; None if there was no such sweep.
            time: the time state.
            space: the space state.

        Returns:
            The updated precision and time states.
        """
        time = time + self.to_time(self.norm_space(space))
        exchange = self.to_exchange(self.norm_time(time))
        exchange = exchange if lateral is None else exchange + lateral
        return precision + self.to_precision(gelu(exchange)), time
