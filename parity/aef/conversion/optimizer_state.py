"""The optimizer state of a run by name, and which of its parts have a name in PyTorch."""

from dataclasses import dataclass
from typing import Any

import jax
import numpy as np
import optax
from flax import nnx

from aef_jax.run.optimizer_tree import MU, NU, optimizer_tree
from aef_jax.training.optimizer import make_optimizer
from configs.config import Config
from parity.mapping.spec import Spec
from parity.mapping.weights import state_specs

MOMENTS = {"exp_avg": MU, "exp_avg_sq": NU}
"""PyTorch's names of Adam's moments, and those in a checkpoint of JAX."""


@dataclass(frozen=True)
class OptimizerState:
    """Shapes and dtypes of an optimizer state."""

    abstract: optax.OptState
    """In optax's own types."""
    moments: dict[str, dict[str, Spec]]
    """By PyTorch's name of the moment, then by the JAX path of the parameter, joined with dots."""
    counters: dict[str, Spec]
    """Scalars, such as `count`: how often Adam has been applied."""

    @classmethod
    def of(cls, config: Config, structure: nnx.Module) -> "OptimizerState":
        """Describe the state of the optimizer that a config asks for.

        Args:
            config: a run's config.
            structure: its abstract model.

        Returns:
            The description.

        Raises:
            ValueError: the state is not that of one Adam and of scalars.
        """
        state = jax.eval_shape(make_optimizer(config.training).init, nnx.state(structure, nnx.Param))
        tree = optimizer_tree(state)
        counters = {name: Spec.of(leaf) for name, leaf in tree.items() if name not in MOMENTS.values()}
        if not tree.keys() >= set(MOMENTS.values()) or any(spec.shape for spec in counters.values()):
            raise ValueError("the optimizer state is not that of one Adam and of scalars: it has no map to PyTorch")
        return cls(state, {name: state_specs(tree[saved]) for name, saved in MOMENTS.items()}, counters)

    def counter(self, name: str, value: Any) -> np.ndarray:
        """Convert a counter's value to its array.

        Args:
            name: the counter.
            value: a number.

        Returns:
            A scalar array.

        Raises:
            ValueError: the counter's dtype does not hold the value.
        """
        dtype = self.counters[name].dtype
        try:
            array = np.asarray(value, dtype)
        except (OverflowError, TypeError, ValueError):
            array = np.empty(1)
        if array.shape or array.item() != value:
            raise ValueError(f"the optimizer's {name} is {value!r}, expected a number of type {dtype}")
        return array
