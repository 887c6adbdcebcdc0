"""Convert the weights of a Flax NNX module to PyTorch's tensors and back, for any two models that a ModelMap relates.

An array stacked in JAX (`encoder.blocks.<leaf>`, N blocks on a leading axis) is N tensors in PyTorch
(`encoder.blocks.<i>.<leaf>`). Structures may be abstract: `nnx.eval_shape` builds one without any numbers.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np
from flax import nnx, traverse_util
from jaxtyping import Shaped

from parity.mapping.layout import Layout
from parity.mapping.model_map import AS_NAMED, ModelMap, Path, dotted
from parity.mapping.nnx_modules import modules
from parity.mapping.rules import layouts_of
from parity.mapping.sequentials import with_sequentials
from parity.mapping.spec import Spec, WeightsError, check_specs

WEIGHTS = nnx.Any(nnx.Param, nnx.BatchStat)
"""The variables that are weights: learned parameters and the running statistics of norms."""


@dataclass(frozen=True)
class ParamLink:
    """One PyTorch tensor, or a part of it, and its place in JAX: `index` on the stacked axes of the array at `path`."""

    name: str
    spec: Spec
    """Shape and dtype of the whole PyTorch tensor, also if this is a part of it."""
    path: Path
    index: tuple[int, ...]
    layout: Layout

    def select(self, array: Shaped[np.ndarray, "..."]) -> Shaped[np.ndarray, "..."]:
        """Select this block.

        Args:
            array: The array at `path`.

        Returns:
            A view of one block; an array also if it is a scalar.
        """
        return array[(*self.index, ...)]


def param_links(structure: nnx.Module, mapping: ModelMap = AS_NAMED, of: Any = WEIGHTS) -> list[ParamLink]:
    """List every PyTorch tensor of a model's weights, in the order of their JAX paths.

    Args:
        structure: The JAX model, maybe abstract.
        mapping: How the models correspond.
        of: Which variables to list, an NNX filter.

    Returns:
        The links.

    Raises:
        WeightsError: With a line for each weight that no rule covers.
    """
    layers, mapping = dict(modules(structure)), with_sequentials(mapping, structure)
    links, uncovered = [], []
    for path, leaf in _flat(nnx.state(structure, of)).items():
        of_leaf = _links_of(path, leaf, layers, mapping)
        links += of_leaf
        if not of_leaf:
            uncovered.append(f"no layout: {dotted(path)} of {type(layers[path[:-1]]).__name__}, {Spec.of(leaf)}")
    if uncovered:
        raise WeightsError("\n  ".join(["parameters have no layout in PyTorch:", *uncovered]))
    return links


def to_torch(
    structure: nnx.Module,
    state: nnx.State | Mapping[str, Any] | None = None,
    mapping: ModelMap = AS_NAMED,
    of: Any = WEIGHTS,
) -> dict[str, Shaped[np.ndarray, "..."]]:
    """Convert weights to PyTorch's names and layout, as views if possible.

    Args:
        structure: The JAX model, maybe abstract.
        state: The weights, or their pure dictionary; needed if `structure` is abstract.
        mapping: How the models correspond.
        of: Which variables to convert, an NNX filter.

    Returns:
        Arrays by PyTorch's names.

    Raises:
        WeightsError: If the state does not fit the structure, or a weight has no layout.
    """
    expected = nnx.state(structure, of)
    state = expected if state is None else state
    check_specs(state_specs(state), state_specs(expected))
    host = {path: np.asarray(array) for path, array in _flat(state).items()}
    tensors: dict[str, np.ndarray] = {}
    for link in param_links(structure, mapping, of):
        array = link.layout.to_torch(link.select(host[link.path]))
        if link.layout.summand:
            array = np.zeros_like(array)
        if link.layout.torch_part:
            whole = tensors.setdefault(link.name, np.empty(link.spec.shape, link.spec.dtype))
            link.layout.torch_part.select(whole)[...] = array
        else:
            tensors[link.name] = array
    return tensors


def to_jax(
    structure: nnx.Module, tensors: Mapping[str, Shaped[np.ndarray, "..."]], mapping: ModelMap = AS_NAMED
) -> nnx.State:
    """Convert PyTorch's tensors to the state of a JAX model's weights.

    Args:
        structure: The JAX model, maybe abstract.
        tensors: Arrays by PyTorch's names.
        mapping: How the models correspond.

    Returns:
        The state, of NumPy arrays.

    Raises:
        WeightsError: If the tensors are not exactly the structure's, apart from those that the map ignores.
    """
    links = param_links(structure, mapping)
    given = {name: Spec.of(tensor) for name, tensor in tensors.items() if not mapping.is_ignored(name)}
    check_specs(given, {link.name: link.spec for link in links})
    state = nnx.state(structure, WEIGHTS)
    filled = {path: np.empty(leaf.shape, leaf.dtype) for path, leaf in _flat(state).items()}
    for link in links:  # the summands of an array in their order
        array, part = link.select(filled[link.path]), link.layout.jax_part
        target, values = part.select(array) if part else array, link.layout.to_jax(tensors[link.name])
        target[...] = target + values if link.layout.summand else values
    nnx.replace_by_pure_dict(state, traverse_util.unflatten_dict(filled))
    return state


def load_jax(
    module: nnx.Module, tensors: Mapping[str, Shaped[np.ndarray, "..."]], mapping: ModelMap = AS_NAMED
) -> None:
    """Load PyTorch's tensors into a JAX model, with the sharding of its present weights.

    If they do not fit, nothing changes.

    Args:
        module: The JAX model.
        tensors: Arrays by PyTorch's names.
        mapping: How the models correspond.

    Raises:
        WeightsError: If the tensors are not exactly the model's, apart from those that the map ignores.
    """
    state = to_jax(module, tensors, mapping)
    with jax.enable_x64(True):  # without it float64 would silently become float32
        placed = jax.tree.map(lambda new, old: jax.device_put(new, old.sharding), state, nnx.state(module, WEIGHTS))
    nnx.update(module, placed)


def state_specs(state: nnx.State | Mapping[str, Any]) -> dict[str, Spec]:
    """Describe the arrays of a state.

    Args:
        state: A state, or its pure dictionary.

    Returns:
        Shapes and dtypes by JAX's dotted paths.
    """
    return {dotted(path): Spec.of(leaf) for path, leaf in _flat(state).items()}


def _links_of(path: Path, leaf: Any, layers: Mapping[Path, nnx.Module], mapping: ModelMap) -> list[ParamLink]:
    """Apply the rule of the outermost module that covers this leaf. Empty if no rule, or no stack, fits."""
    for depth in range(len(path)):
        layer = layers.get(path[:depth])
        layouts = () if layer is None else layouts_of(layer, dotted(path[depth:]), mapping.rules)
        if layouts:
            return [link for layout in layouts for link in _at_each_index(layout, path, depth, leaf, mapping)]
    return []


def _at_each_index(layout: Layout, path: Path, depth: int, leaf: Any, mapping: ModelMap) -> Iterator[ParamLink]:
    """Yield the links of a leaf of the module at `path[:depth]`: one, or one per index of the stacks around it."""
    stacked, shape = leaf.shape[: leaf.ndim - layout.rank], leaf.shape[leaf.ndim - layout.rank :]
    may_be = [i for i in range(depth) if path[i] in mapping.stacks and not isinstance(path[i + 1], int)]
    places = may_be if stacked else []
    if leaf.ndim < layout.rank or len(places) != len(stacked):
        return
    spec = Spec(layout.shape(shape), np.dtype(leaf.dtype))
    for index in np.ndindex(*stacked):
        owner = mapping.torch_path(tuple(_inserted(path[:depth], places, index)))
        yield ParamLink(dotted((*owner, layout.name)), spec, path, index, layout)


def _inserted(layer: Path, places: list[int], index: tuple[int, ...]) -> Iterator[str | int]:
    numbers = dict(zip(places, index, strict=True))
    for i, part in enumerate(layer):
        yield part
        if i in numbers:
            yield numbers[i]


def _flat(state: nnx.State | Mapping[str, Any]) -> dict[Path, Any]:
    return traverse_util.flatten_dict(nnx.to_pure_dict(state) if isinstance(state, nnx.State) else dict(state))
