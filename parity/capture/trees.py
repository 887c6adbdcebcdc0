"""Handle trees of arrays as modules take and return them: dictionaries, tuples and NamedTuples, also with other leaves.

Only arrays are compared. None, numbers and other arguments are passed on unchanged.
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
"""The arrays of a tree by their position in it."""


@dataclass(frozen=True, eq=False)
class Constant:
    """A NumPy array that is not a tensor in PyTorch either, such as a table of angles."""

    array: np.ndarray

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Constant) and self._key == other._key

    def __hash__(self) -> int:
        return hash(self._key)

    @property
    def _key(self) -> tuple:
        return self.array.dtype, self.array.shape, self.array.tobytes()


def unwrap_constant(leaf: Any) -> Any:
    """Return the array of a constant.

    Args:
        leaf: A constant or anything else.

    Returns:
        The array, or the leaf itself.
    """
    return leaf.array if isinstance(leaf, Constant) else leaf


def is_array(leaf: Any) -> bool:
    """Tell whether a leaf is an array of NumPy, JAX or PyTorch.

    Args:
        leaf: Anything.

    Returns:
        Whether it is.
    """
    return isinstance(leaf, np.ndarray | jax.Array | torch.Tensor)


def is_real(array: Any) -> bool:
    """Tell whether an array holds real numbers, which have gradients.

    Args:
        array: An array of NumPy, JAX or PyTorch.

    Returns:
        Whether its dtype is a floating-point type.
    """
    return (
        array.dtype.is_floating_point if isinstance(array, torch.Tensor) else jnp.issubdtype(array.dtype, jnp.floating)
    )


def map_arrays(function: Callable[[Any], Any], tree: Any) -> Any:
    """Apply a function to each array of a tree.

    Args:
        function: Takes an array.
        tree: The tree; other leaves are unchanged.

    Returns:
        The new tree.
    """
    return jax.tree.map(lambda leaf: function(leaf) if is_array(leaf) else leaf, tree)


def named_arrays(tree: Any) -> dict[str, Any]:
    """Collect the arrays of a tree.

    Args:
        tree: The tree.

    Returns:
        The arrays by their position in the tree.
    """
    leaves = jax.tree_util.tree_leaves_with_path(tree)
    return {jax.tree_util.keystr(path): leaf for path, leaf in leaves if is_array(leaf)}


def numpy_inputs(tree: Any) -> Any:
    """Convert the arrays of a tree to NumPy.

    Args:
        tree: The tree.

    Returns:
        The new tree.
    """
    return map_arrays(lambda x: x.detach().cpu().numpy() if isinstance(x, torch.Tensor) else np.asarray(x), tree)


def copy_tensors(tree: Any) -> Any:
    """Copy PyTorch's tensors in a tree, so that later in-place changes do not affect them.

    Args:
        tree: The tree.

    Returns:
        The tree with copies, which are part of the graph.
    """
    return map_arrays(lambda x: x.clone() if isinstance(x, torch.Tensor) else x, tree)


def expand_dataclasses(tree: Any) -> Any:
    """Replace dataclasses, which some PyTorch modules return, by dictionaries in the order of their fields.

    Args:
        tree: The tree.

    Returns:
        The new tree.
    """

    def expand(leaf: Any) -> Any:
        if not is_dataclass(leaf):
            return leaf
        return expand_dataclasses(OrderedDict((field.name, getattr(leaf, field.name)) for field in fields(leaf)))

    return jax.tree.map(expand, tree)


def cast(tree: Any, dtype: str) -> Any:
    """Cast the real NumPy arrays of a tree.

    Args:
        tree: The tree; other leaves are unchanged.
        dtype: The dtype's name.

    Returns:
        The new tree.
    """
    return map_arrays(lambda array: array.astype(jnp.dtype(dtype)) if is_real(array) else array, tree)


def move_axis(tree: Any, rank: int | None, source: int, target: int) -> Any:
    """Move an axis of the arrays that have `rank` axes.

    Args:
        tree: The tree.
        rank: Which arrays to change; None for none.
        source: The axis.
        target: Its new position.

    Returns:
        The new tree.
    """
    if rank is None:
        return tree
    return map_arrays(lambda array: np.moveaxis(array, source, target) if array.ndim == rank else array, tree)


def random_like(arrays: dict[str, Any], seed: int = 0) -> Arrays:
    """Draw standard normal numbers, exact in float32, the same for the same names and seed.

    Args:
        arrays: Arrays by name, for names and shapes; those that are not real are skipped.
        seed: The seed.

    Returns:
        Arrays by name.
    """
    generator = np.random.default_rng(seed)
    return {name: generator.standard_normal(tuple(a.shape), np.float32) for name, a in arrays.items() if is_real(a)}
