"""A training state as plain tensors by name, to be written, read, and converted to JAX and back."""

from dataclasses import dataclass, replace

import torch
from jaxtyping import Shaped
from torch import Tensor

from aef_torch.model.alphaearth import AlphaEarth
from aef_torch.training.step import TrainState, init_state
from configs.config import Config

Tensors = dict[str, Shaped[Tensor, "..."]]
"""Tensors by the name of a parameter in the model's state_dict."""


@dataclass(frozen=True)
class Snapshot:
    """A training state, in tensors that nothing else shares."""

    params: Tensors
    exp_avg: Tensors
    """Adam's first moments; optax calls them mu."""
    exp_avg_sq: Tensors
    """Adam's second moments; optax calls them nu."""
    step: int = 0
    skipped: int = 0
    """How many of `step` steps changed nothing. Adam and the learning rate count only the others."""
    consecutive_skips: int = 0

    @classmethod
    def beginning(cls, params: Tensors) -> "Snapshot":
        """Make the state before the first step, with moments of 0.

        Args:
            params: the parameters.

        Returns:
            The snapshot.
        """
        exp_avg, exp_avg_sq = ({name: torch.zeros_like(p) for name, p in params.items()} for _ in range(2))
        return cls(params, exp_avg, exp_avg_sq)

    def to(self, dtype: torch.dtype) -> "Snapshot":
        """Convert all tensors to another floating dtype.

        Args:
            dtype: the dtype.

        Returns:
            The converted snapshot.
        """
        params, exp_avg, exp_avg_sq = (
            {name: tensor.to(dtype) for name, tensor in tensors.items()}
            for tensors in (self.params, self.exp_avg, self.exp_avg_sq)
        )
        return replace(self, params=params, exp_avg=exp_avg, exp_avg_sq=exp_avg_sq)


def snapshot(state: TrainState) -> Snapshot:
    """Copy a training state.

    Args:
        state: the state.

    Returns:
        The copy, which later steps do not change.
    """
    params = {name: p.detach().clone() for name, p in state.model.named_parameters()}
    moments = Snapshot.beginning(params)  # the optimizer has none before its first step
    for name, parameter in state.model.named_parameters():
        for kind, tensors in (("exp_avg", moments.exp_avg), ("exp_avg_sq", moments.exp_avg_sq)):
            if parameter in state.optimizer.state:
                tensors[name] = state.optimizer.state[parameter][kind].clone()
    return Snapshot(params, moments.exp_avg, moments.exp_avg_sq, state.step, state.skipped, state.consecutive_skips)


def restored(saved: Snapshot, config: Config) -> TrainState:
    """Make a training state from a snapshot, in its dtype and on its device, without sharing tensors.

    Args:
        saved: the snapshot.
        config: the config of the run.

    Returns:
        The state, which continues where the snapshot was taken.

    Raises:
        RuntimeError: names or shapes differ from the config's model; the message lists them.
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
