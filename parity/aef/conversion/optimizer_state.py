"""Where, in the flat list as which a checkpoint keeps the optimiser's state, its moments and its counters are."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np
import optax
from flax import nnx, traverse_util

from aef_jax.training.optimizer import make_optimizer
from configs.config import Config
from parity.mapping.model_map import dotted
from parity.mapping.spec import Spec

MOMENTS = {"exp_avg": "mu", "exp_avg_sq": "nu"}
"""PyTorch's names of Adam's moments, and optax's."""


@dataclass(frozen=True)
class OptimizerState:
    """Positions in the list of leaves."""

    leaves: list[Spec]
    moments: dict[str, dict[str, int]]
    """By PyTorch's name of the moment, then by the JAX path of the parameter, joined with dots."""
    counters: dict[str, int]
    """By optax's names: `ScaleByAdamState.count`, how often Adam has been applied, and so on."""

    @classmethod
    def of(cls, config: Config, structure: nnx.Module) -> "OptimizerState":
        """Of the optimiser that a config asks for. Raises ValueError where its state is not one of Adam."""
        state = jax.eval_shape(make_optimizer(config.training).init, nnx.state(structure, nnx.Param))
        leaves, tree = jax.tree.flatten(state)
        positions = tree.unflatten(range(len(leaves)))
        adams = [node for node in jax.tree.leaves(positions, is_leaf=_is_adam) if _is_adam(node)]
        moments = {
            name: {dotted(path): place for path, place in _flat(getattr(adam, field)).items()}
            for name, field in MOMENTS.items()
            for adam in adams
        }
        counters = dict(_counters(positions))
        named = sum(map(len, moments.values())) + len(counters)
        if len(adams) != 1 or named != len(leaves) or any(leaves[place].shape for place in counters.values()):
            raise ValueError("the optimiser's state is not that of one Adam and of counters: it has no map to PyTorch")
        return cls([Spec.of(leaf) for leaf in leaves], moments, counters)

    def counter(self, name: str, value: Any) -> np.ndarray:
        """A counter's value as its array. Raises ValueError where it cannot be one."""
        dtype = self.leaves[self.counters[name]].dtype
        try:
            array = np.asarray(value, dtype)
        except (OverflowError, TypeError, ValueError):
            array = np.empty(1)
        if array.shape or array.item() != value:
            raise ValueError(f"the optimiser's {name} is {value!r}, expected a number of type {dtype}")
        return array


def _is_adam(node: Any) -> bool:
    return isinstance(node, optax.ScaleByAdamState)


def _flat(moments: Any) -> dict[tuple, Any]:
    return traverse_util.flatten_dict(nnx.to_pure_dict(moments))


def _counters(node: Any) -> Iterator[tuple[str, int]]:
    for field, child in zip(getattr(node, "_fields", range(len(node))), node, strict=True):
        if isinstance(child, int):
            yield f"{type(node).__name__}.{field}", child
        elif isinstance(child, tuple | list):
            yield from _counters(child)
