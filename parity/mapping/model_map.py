"""Describe how two models correspond, beyond what the layout rules of their layers say."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any

from parity.mapping.rules import RULES, Rules

Path = tuple[str | int, ...]
"""A module's attributes from the root on. An integer is an index into a list or of a stacked block."""


@dataclass(frozen=True)
class ModelMap:
    """How a Flax NNX model corresponds to a PyTorch model. The defaults fit models with the same attribute names."""

    rules: Rules = field(default_factory=lambda: RULES)
    """The layouts of arrays, by type of layer (parity/mapping/rules.py)."""
    stacks: Collection[str] = ("blocks",)
    """JAX attributes that may hold equal modules stacked on a leading axis; PyTorch has them in a list."""
    renames: Mapping[str, str] = field(default_factory=dict)
    """PyTorch's dotted path by a module's path in JAX; modules below it follow. `*` matches one attribute or index:
    `{"layers.*.attention": "encoder.layer.*.attention.self"}`. The longest pattern that matches applies.
    """
    channels_first: Mapping[str, int] = field(default_factory=dict)
    """Rank of the activations that have channels on axis 1 in PyTorch and last in JAX, by a pattern of PyTorch's module
    paths: `{"*": 4}`. The root's path is empty.
    """
    ignored: Collection[str] = ("*num_batches_tracked",)
    """Patterns of PyTorch's tensors that have no counterpart in JAX."""
    functions: Mapping[str, str] = field(default_factory=dict)
    """Functions that are compared like modules: where JAX looks one up, and where PyTorch does, each as
    `package.module.name`.
    """
    float32: Collection[str] = ()
    """Labels of functions that get float32 while everything else is computed in bfloat16."""
    calls: Mapping[str, Callable[..., Any]] = field(default_factory=dict)
    """How to call a JAX module with PyTorch's arguments and keywords, by a pattern of PyTorch's path:
    `{"*.attention": lambda module, q, k, v, **_: module(q, k, v)}`. The root's path is empty. Without an entry the JAX
    module gets the same arguments and keywords.
    """

    def torch_path(self, path: Path) -> Path:
        """Find PyTorch's path of a module.

        Args:
            path: The path in JAX.

        Returns:
            The path in PyTorch.
        """
        best: tuple[int, Path] = (-1, path)
        for jax_pattern, torch_pattern in self.renames.items():
            pattern = _parts(jax_pattern)
            matched = _matched(pattern, path)
            if matched is not None and len(pattern) > best[0]:
                rest = iter(matched)
                named = tuple(next(rest) if part == "*" else part for part in _parts(torch_pattern))
                best = len(pattern), (*named, *path[len(pattern) :])
        return tuple(int(part) if isinstance(part, str) and part.isdecimal() else part for part in best[1])

    def channel_rank(self, torch_path: str) -> int | None:
        """Find the rank of activations that are channels-first at a module.

        Args:
            torch_path: The module's dotted path in PyTorch.

        Returns:
            The rank; None if no pattern matches.
        """
        return _first(self.channels_first, torch_path)

    def caller(self, torch_path: str) -> Callable[..., Any] | None:
        """Find how the JAX counterpart of a PyTorch module is called.

        Args:
            torch_path: The module's dotted path in PyTorch.

        Returns:
            The entry of `calls`; None if no pattern matches.
        """
        return _first(self.calls, torch_path)

    def is_ignored(self, tensor: str) -> bool:
        """Tell whether a PyTorch tensor needs no counterpart.

        Args:
            tensor: The tensor's name.

        Returns:
            True if a pattern of `ignored` matches.
        """
        return any(fnmatchcase(tensor, pattern) for pattern in self.ignored)


AS_NAMED = ModelMap()
"""The map of two models with the same attribute names."""


def dotted(path: Path) -> str:
    """Write a path with dots.

    Args:
        path: The attributes and indices.

    Returns:
        The text.
    """
    return ".".join(map(str, path))


def _parts(text: str) -> tuple[str, ...]:
    return tuple(text.split(".")) if text else ()


def _matched(pattern: tuple[str, ...], path: Path) -> list[str | int] | None:
    """Return what the stars of a pattern match at the start of a path; None if it does not match."""
    if len(pattern) > len(path):
        return None
    pairs = list(zip(pattern, path, strict=False))
    fits = all(part in ("*", str(name)) for part, name in pairs)
    return [name for part, name in pairs if part == "*"] if fits else None


def _first(table: Mapping[str, Any], path: str) -> Any:
    return next((value for pattern, value in table.items() if fnmatchcase(path, pattern)), None)
