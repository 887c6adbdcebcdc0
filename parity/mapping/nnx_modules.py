"""Visit the sub-modules of a Flax NNX module."""

from collections.abc import Iterator
from typing import Any, cast

from flax import nnx

from parity.mapping.model_map import Path


def modules(root: nnx.Module) -> Iterator[tuple[Path, nnx.Module]]:
    """Visit a module and all its sub-modules.

    Args:
        root: The module.

    Yields:
        Each module with its path; the root's path is empty.
    """
    for path, module in nnx.iter_modules(root):
        yield cast(Path, path), module


def child(module: Any, part: str | int) -> Any:
    """Return an attribute of a module, or an entry of a container.

    Args:
        module: A module, nnx.List or nnx.Dict.
        part: The attribute, index or key.

    Returns:
        The sub-module or array.
    """
    children: Any = module if isinstance(module, nnx.List | nnx.Dict) else vars(module)
    return children[part]
