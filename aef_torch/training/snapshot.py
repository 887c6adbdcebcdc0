"""All that a step changes as plain tensors by name: what is written, read, and carried to JAX and back."""

from dataclasses import dataclass, replace

import torch
from jaxtyping import Shaped
from torch import Tensor

from aef_torch.model.alphaearth import AlphaEarth
from aef_torch.training.step import TrainState, init_state
from configs.config import Config

Tensors = dict[str, Shaped[Tensor, "..."]]
"""By the name of a parameter in the model's state_dict."""


@dataclass(frozen=True)
class Snapshot:
    """A training state, in tensors of its own."""

    params: Tensors
    exp_avg: Tensors
    """Adam's first moments; optax calls them mu."""
    exp_avg_sq: Tensors
    """Adam's second moments; optax calls them nu."""
    step: int = 0
    skipped: int = 0
    """Steps of `step` that changed nothing. Adam and the learning rate count the others."""
    consecutive_skips: int = 0

    @classmethod
    def beginning(cls, params: Tensors) -> "Snapshot":
        """Before the first step: moments of 0."""
        exp_avg, exp_avg_sq = ({name: torch.zeros_like(p) for name, p in params.items()} for _ in range(2))
        return cls(params, exp_avg, exp_avg_sq)

    def to(self, dtype: torch.dtype) -> "Snapshot":
        """The same in another floating dtype."""
        params, exp_avg, exp_avg_sq = (
            {name: tensor.to(dtype) for name, tensor in tensors.items()}
            for tensors in (self.params, self.exp_avg, self.exp_avg_sq)
        )
        return replace(self, params=params, exp_avg=exp_avg, exp_avg_sq=exp_avg_sq)


def snapshot(state: TrainState) -> Snapshot:
    """A copy of what `state` is now."""
    params = {name: p.detach().clone() for name, p in state.model.named_parameters()}
    moments = Snapshot.beginning(params)  # before its first step the optimiser has none
    for name, parameter in state.model.named_parameters():
        for kind, tensors in (("exp_avg", moments.exp_avg), ("exp_avg_sq", moments.exp_avg_sq)):
            if parameter in state.optimizer.state:
                tensors[name] = state.optimizer.state[parameter][kind].clone()
    return Snapshot(params, moments.exp_avg, moments.exp_avg_sq, state.step, state.skipped, state.consecutive_skips)


def restored(saved: Snapshot, config: Config) -> TrainState:
    """The state that goes on where `saved` was taken, in its dtype and on its device, with nothing shared.

    Raises RuntimeError, with a list, where names or shapes are not those of the config's model.
    """
    with torch.device("meta"):
        model = AlphaEarth(config)
    model.load_state_dict({name: tensor.clone() for name, tensor in saved.params.items()}, assign=True)
    state = init_state(model, config)
    state.step, state.skipped, state.consecutive_skips = saved.step, saved.skipped, saved.consecutive_skips
    for name, parameter in model.named_parameters():
        state.optimizer.state[parameter] = {
            "step": torch.tensor(float(saved.step - saved.skipped)),
            "exp_avg": saved.exp_avg[name].clone(),
            "exp_avg_sq": saved.exp_avg_sq[name].clone(),
        }
    return state
