"""Trees of arrays, as modules take and return them: dictionaries, tuples and NamedTuples, with other things among them.

Compared are the arrays; None, numbers and what else a module is called with is handed on as it is.
"""

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, fields, is_dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import torch

Arrays = dict[str, np.ndarray]
"""The arrays of a tree by where they are in it."""


@dataclass(frozen=True, eq=False)
class Constant:
    """An array of NumPy's that is no tensor in PyTorch either, such as a table of angles."""

    array: np.ndarray

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Constant) and self._key == other._key

    def __hash__(self) -> int:
        return hash(self._key)

    @property
    def _key(self) -> tuple:
        return self.array.dtype, self.array.shape, self.array.tobytes()


def unwrap_constant(leaf: Any) -> Any:
    """The array of a constant; anything else as it is."""
    return leaf.array if isinstance(leaf, Constant) else leaf


def is_array(leaf: Any) -> bool:
    """Whether it is an array of NumPy, JAX or PyTorch."""
    return isinstance(leaf, np.ndarray | jax.Array | torch.Tensor)


def is_real(array: Any) -> bool:
    """Whether it holds real numbers, which have gradients."""
    return (
        array.dtype.is_floating_point if isinstance(array, torch.Tensor) else jnp.issubdtype(array.dtype, jnp.floating)
    )


def map_arrays(function: Callable[[Any], Any], tree: Any) -> Any:
    """The tree with `function` of each array in it."""
    return jax.tree.map(lambda leaf: function(leaf) if is_array(leaf) else leaf, tree)


def named_arrays(tree: Any) -> dict[str, Any]:
    """The arrays of a tree, by name."""
    leaves = jax.tree_util.tree_leaves_with_path(tree)
    return {jax.tree_util.keystr(path): leaf for path, leaf in leaves if is_array(leaf)}


def numpy_inputs(tree: Any) -> Any:
    """The tree with NumPy's arrays in the place of JAX's and PyTorch's."""
    return map_arrays(lambda x: x.detach().cpu().numpy() if isinstance(x, torch.Tensor) else np.asarray(x), tree)


def copy_tensors(tree: Any) -> Any:
    """The tree with copies of PyTorch's tensors, each of its own in the graph, which nothing done in place changes."""
    return map_arrays(lambda x: x.clone() if isinstance(x, torch.Tensor) else x, tree)


def expand_dataclasses(tree: Any) -> Any:
    """The tree with dataclasses, which some modules of PyTorch return, as dictionaries in the order of their fields."""

    def expand(leaf: Any) -> Any:
        if not is_dataclass(leaf):
            return leaf
        return expand_dataclasses(OrderedDict((field.name, getattr(leaf, field.name)) for field in fields(leaf)))

    return jax.tree.map(expand, tree)


def cast(tree: Any, dtype: str) -> Any:
    """Real arrays of NumPy in another precision; all else as it is."""
    return map_arrays(lambda array: array.astype(jnp.dtype(dtype)) if is_real(array) else array, tree)


def move_axis(tree: Any, rank: int | None, source: int, target: int) -> Any:
    """Arrays of `rank` axes with axis `source` at `target`."""
    if rank is None:
        return tree
    return map_arrays(lambda array: np.moveaxis(array, source, target) if array.ndim == rank else array, tree)


def random_like(arrays: dict[str, Any], seed: int = 0) -> Arrays:
    """Standard normal numbers that float32 has, of the shapes of real arrays; the same for the same names and seed."""
    generator = np.random.default_rng(seed)
    return {name: generator.standard_normal(tuple(a.shape), np.float32) for name, a in arrays.items() if is_real(a)}
