"""The weights of a Flax NNX module as PyTorch's tensors, and back, for any two models that a ModelMap relates.

What is stacked in JAX (`encoder.blocks.<leaf>`, N blocks on a leading axis) is N tensors in PyTorch
(`encoder.blocks.<i>.<leaf>`). Structures may be abstract: `nnx.eval_shape` gives one without a single number.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np
from flax import nnx, traverse_util
from jaxtyping import Shaped

from parity.mapping.layout import Layout, layouts_of
from parity.mapping.model_map import AS_NAMED, ModelMap, Path, dotted
from parity.mapping.nnx_modules import modules
from parity.mapping.sequentials import with_sequentials
from parity.mapping.spec import Spec, WeightsError, check_specs

WEIGHTS = nnx.Any(nnx.Param, nnx.BatchStat)
"""The variables that are weights: what is learned, and the running statistics of norms."""


@dataclass(frozen=True)
class ParamLink:
    """One PyTorch tensor, or a part of it, and where its numbers are in JAX.

    That is the array at `path`, at `index` of its stacked axes.
    """

    name: str
    spec: Spec
    """Of the whole tensor, where this is a part of it."""
    path: Path
    index: tuple[int, ...]
    layout: Layout

    def select(self, array: Shaped[np.ndarray, "..."]) -> Shaped[np.ndarray, "..."]:
        """A view of the one block, of the array at `path`; an array of a scalar, too."""
        return array[(*self.index, ...)]


def param_links(structure: nnx.Module, mapping: ModelMap = AS_NAMED, of: Any = WEIGHTS) -> list[ParamLink]:
    """Every PyTorch tensor of `structure`'s weights, or of those that the filter `of` lets through.

    They are in the order of their JAX paths. Raises WeightsError, with a line for each that no rule covers.
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
    """The weights of `structure` by PyTorch's names and in its layout, as views where that is possible.

    `state` (or its pure dictionary) gives the numbers where `structure` is abstract. Raises WeightsError where it does
    not fit `structure`, or a weight has no layout.
    """
    expected = nnx.state(structure, of)
    state = expected if state is None else state
    check_specs(state_specs(state), state_specs(expected))
    host = {path: np.asarray(array) for path, array in _flat(state).items()}
    tensors: dict[str, np.ndarray] = {}
    for link in param_links(structure, mapping, of):
        array = link.layout.to_torch(link.select(host[link.path]))
        if link.layout.torch_part:
            whole = tensors.setdefault(link.name, np.empty(link.spec.shape, link.spec.dtype))
            link.layout.torch_part.select(whole)[...] = array
        else:
            tensors[link.name] = array
    return tensors


def to_jax(
    structure: nnx.Module, tensors: Mapping[str, Shaped[np.ndarray, "..."]], mapping: ModelMap = AS_NAMED
) -> nnx.State:
    """The state of `structure`'s weights, of NumPy arrays, filled from PyTorch's tensors.

    Raises WeightsError where `tensors` are not exactly those that `structure` has, and those that `mapping` ignores.
    """
    links = param_links(structure, mapping)
    given = {name: Spec.of(tensor) for name, tensor in tensors.items() if not mapping.is_ignored(name)}
    check_specs(given, {link.name: link.spec for link in links})
    state = nnx.state(structure, WEIGHTS)
    filled = {path: np.empty(leaf.shape, leaf.dtype) for path, leaf in _flat(state).items()}
    for link in links:
        array, part = link.select(filled[link.path]), link.layout.jax_part
        (part.select(array) if part else array)[...] = link.layout.to_jax(tensors[link.name])
    nnx.replace_by_pure_dict(state, traverse_util.unflatten_dict(filled))
    return state


def load_jax(
    module: nnx.Module, tensors: Mapping[str, Shaped[np.ndarray, "..."]], mapping: ModelMap = AS_NAMED
) -> None:
    """Puts PyTorch's tensors into `module`, on the devices where its weights lie.

    Raises as `to_jax`, and changes nothing then.
    """
    state = to_jax(module, tensors, mapping)
    with jax.enable_x64(True):  # or float64 would silently arrive as float32
        placed = jax.tree.map(lambda new, old: jax.device_put(new, old.sharding), state, nnx.state(module, WEIGHTS))
    nnx.update(module, placed)


def state_specs(state: nnx.State | Mapping[str, Any]) -> dict[str, Spec]:
    """What a state, or its pure dictionary, consists of, by JAX's paths joined with dots."""
    return {dotted(path): Spec.of(leaf) for path, leaf in _flat(state).items()}


def _links_of(path: Path, leaf: Any, layers: Mapping[Path, nnx.Module], mapping: ModelMap) -> list[ParamLink]:
    """By the rule of the outermost module that has one for this leaf; none where no rule, or no stack, fits."""
    for depth in range(len(path)):
        layer = layers.get(path[:depth])
        layouts = () if layer is None else layouts_of(layer, dotted(path[depth:]), mapping.rules)
        if layouts:
            return [link for layout in layouts for link in _at_each_index(layout, path, depth, leaf, mapping)]
    return []


def _at_each_index(layout: Layout, path: Path, depth: int, leaf: Any, mapping: ModelMap) -> Iterator[ParamLink]:
    """The twins of a leaf of the module at `path[:depth]`: one, or one for each index of the stacks that it lies in."""
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
