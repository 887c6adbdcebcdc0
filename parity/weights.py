"""The weights of a Flax NNX module as PyTorch's tensors, and back, for any two modules whose paths mirror each other.

What is stacked in JAX (`encoder.blocks.<leaf>`, N blocks on a leading axis) is N tensors in PyTorch
(`encoder.blocks.<i>.<leaf>`). Structures may be abstract: `nnx.eval_shape` gives one without a single number.
"""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np
from flax import nnx, traverse_util
from jaxtyping import Shaped

from parity.layout import RULES, Layout, Rules, layout_of
from parity.mismatch import Spec, WeightsError, check

Path = tuple[str | int, ...]
STACKS = ("blocks",)
"""Attributes under which modules may lie stacked on a leading axis."""


@dataclass(frozen=True)
class Twin:
    """One PyTorch tensor and where its numbers are in JAX: the array at `path`, at `index` of its stacked axes."""

    name: str
    spec: Spec
    path: Path
    index: tuple[int, ...]
    layout: Layout


def twins(structure: nnx.Module, rules: Rules = RULES, stacks: Collection[str] = STACKS) -> list[Twin]:
    """Every PyTorch tensor of `structure`'s parameters, in the order of their JAX paths.

    Raises WeightsError, with a line for each parameter that no rule covers.
    """
    layers = dict(nnx.iter_modules(structure))
    found, uncovered = [], []
    for path, leaf in _flat(nnx.state(structure, nnx.Param)).items():
        layer = layers[path[:-1]]
        layout = layout_of(layer, str(path[-1]), rules)
        indices = None if layout is None else _stacked(path, leaf.shape[: leaf.ndim - len(layout.axes)], stacks)
        if layout is None or indices is None:
            uncovered.append(f"no layout: {_dotted(path)} of {type(layer).__name__}, {Spec.of(leaf)}")
            continue
        spec = Spec(layout.shape(leaf.shape[leaf.ndim - len(layout.axes) :]), np.dtype(leaf.dtype))
        found += [Twin(_dotted((*prefix, layout.name)), spec, path, index, layout) for index, prefix in indices.items()]
    if uncovered:
        raise WeightsError("\n  ".join(["parameters have no layout in PyTorch:", *uncovered]))
    return found


def to_torch(
    structure: nnx.Module,
    state: nnx.State | Mapping[str, Any] | None = None,
    rules: Rules = RULES,
    stacks: Collection[str] = STACKS,
) -> dict[str, Shaped[np.ndarray, "..."]]:
    """The parameters of `structure` by PyTorch's names and in its layout, as views where that is possible.

    `state` (or its pure dictionary) gives the numbers where `structure` is abstract. Raises WeightsError where it does
    not fit `structure`, or a parameter has no layout.
    """
    expected = nnx.state(structure, nnx.Param)
    state = expected if state is None else state
    check(state_specs(state), state_specs(expected))
    host = {path: np.asarray(array) for path, array in _flat(state).items()}
    return {twin.name: twin.layout.to_torch(host[twin.path][twin.index]) for twin in twins(structure, rules, stacks)}


def to_jax(
    structure: nnx.Module,
    tensors: Mapping[str, Shaped[np.ndarray, "..."]],
    rules: Rules = RULES,
    stacks: Collection[str] = STACKS,
) -> nnx.State:
    """The parameter state of `structure`, of NumPy arrays, filled from PyTorch's tensors.

    Raises WeightsError where `tensors` are not exactly those that `structure` has.
    """
    pairs = twins(structure, rules, stacks)
    check({name: Spec.of(tensor) for name, tensor in tensors.items()}, {twin.name: twin.spec for twin in pairs})
    state = nnx.state(structure, nnx.Param)
    filled = {path: np.empty(leaf.shape, leaf.dtype) for path, leaf in _flat(state).items()}
    for twin in pairs:
        filled[twin.path][twin.index] = twin.layout.to_jax(tensors[twin.name])
    nnx.replace_by_pure_dict(state, traverse_util.unflatten_dict(filled))
    return state


def load_jax(
    module: nnx.Module,
    tensors: Mapping[str, Shaped[np.ndarray, "..."]],
    rules: Rules = RULES,
    stacks: Collection[str] = STACKS,
) -> None:
    """Puts PyTorch's tensors into `module`, on the devices where its parameters lie.

    Raises as `to_jax`, and changes nothing then.
    """
    state = to_jax(module, tensors, rules, stacks)
    with jax.enable_x64(True):  # or float64 would silently arrive as float32
        placed = jax.tree.map(lambda new, old: jax.device_put(new, old.sharding), state, nnx.state(module, nnx.Param))
    nnx.update(module, placed)


def state_specs(state: nnx.State | Mapping[str, Any]) -> dict[str, Spec]:
    """What a state, or its pure dictionary, consists of, by JAX's paths joined with dots."""
    return {_dotted(path): Spec.of(leaf) for path, leaf in _flat(state).items()}


def _stacked(path: Path, lengths: tuple[int, ...], stacks: Collection[str]) -> dict[tuple[int, ...], Path] | None:
    """The PyTorch path of the layer for each index of the stacked axes; None where path and axes do not agree."""
    layer = path[:-1]
    if not lengths:
        return {(): layer}
    places = [i for i, part in enumerate(layer) if part in stacks and not isinstance(path[i + 1], int)]
    if len(places) != len(lengths):
        return None
    return {index: tuple(_inserted(layer, places, index)) for index in np.ndindex(*lengths)}


def _inserted(layer: Path, places: list[int], index: tuple[int, ...]) -> Iterator[str | int]:
    numbers = dict(zip(places, index, strict=True))
    for i, part in enumerate(layer):
        yield part
        if i in numbers:
            yield numbers[i]


def _flat(state: nnx.State | Mapping[str, Any]) -> dict[Path, Any]:
    return traverse_util.flatten_dict(nnx.to_pure_dict(state) if isinstance(state, nnx.State) else dict(state))


def _dotted(path: Path) -> str:
    return ".".join(map(str, path))
