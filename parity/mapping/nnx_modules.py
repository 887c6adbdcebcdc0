"""The sub-modules of a Flax NNX module by path, and by one attribute after the other."""

from collections.abc import Iterator
from typing import Any, cast

from flax import nnx

from parity.mapping.model_map import Path


def modules(root: nnx.Module) -> Iterator[tuple[Path, nnx.Module]]:
    """The root, whose path is empty, and all below it."""
    for path, module in nnx.iter_modules(root):
        yield cast(Path, path), module


def child(module: Any, part: str | int) -> Any:
    """What lies under an attribute, or under a key or index of a container."""
    children: Any = module if isinstance(module, nnx.List | nnx.Dict) else vars(module)
    return children[part]
