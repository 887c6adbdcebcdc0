"""What must be said of two models for them to be compared: what the rules of their layers do not tell."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any

from parity.mapping.layout import RULES, Rules

Path = tuple[str | int, ...]
"""A module's attributes from the root on; an integer is an index into a list, or of a stacked block."""


@dataclass(frozen=True)
class ModelMap:
    """How a Flax NNX model corresponds to a PyTorch one; where both have the same attribute names, the default does."""

    rules: Rules = field(default_factory=lambda: RULES)
    """How the arrays of layers lie, by the type of layer (parity/mapping/layout.py)."""
    stacks: Collection[str] = ("blocks",)
    """Attributes in JAX under which equal modules may lie stacked on a leading axis, which PyTorch has in a list."""
    renames: Mapping[str, str] = field(default_factory=dict)
    """PyTorch's dotted path for a module's in JAX; what lies below comes along. `*` is any one attribute or index:
    `{"layers.*.attention": "encoder.layer.*.attention.self"}`. Of several that fit, the longest counts."""
    channels_first: Mapping[str, int] = field(default_factory=dict)
    """Rank of the activations that have their channels on axis 1 in PyTorch and last in JAX, by a pattern of PyTorch's
    module paths: `{"*": 4}`; the root's path is empty."""
    ignored: Collection[str] = ("*num_batches_tracked",)
    """Patterns of PyTorch's tensors that have no twin in JAX."""
    functions: Mapping[str, str] = field(default_factory=dict)
    """Functions that are compared as if they were modules: where JAX looks one up, and where PyTorch does, each as
    `package.module.name`."""
    float32: Collection[str] = ()
    """Labels of functions that are given float32 where all else is computed in bfloat16."""
    calls: Mapping[str, Callable[..., Any]] = field(default_factory=dict)
    """How a JAX module, by a pattern of PyTorch's path, is called with PyTorch's arguments and keywords; the root's is
    empty, others are called by themselves:
    `{"*.attention": lambda module, q, k, v, **_: module(q, k, v)}`. Without one, with just these."""

    def torch_path(self, path: Path) -> Path:
        """PyTorch's path of the module that is at `path` in JAX."""
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
        """The rank of what has its channels on axis 1 at a module, if anything has."""
        return _first(self.channels_first, torch_path)

    def caller(self, torch_path: str) -> Callable[..., Any] | None:
        """How the JAX twin of a PyTorch module is called, where that was said."""
        return _first(self.calls, torch_path)

    def is_ignored(self, tensor: str) -> bool:
        """Whether a PyTorch tensor needs no twin."""
        return any(fnmatchcase(tensor, pattern) for pattern in self.ignored)


AS_NAMED = ModelMap()
"""Both models have the same attribute names."""


def dotted(path: Path) -> str:
    """A path as it is written."""
    return ".".join(map(str, path))


def _parts(text: str) -> tuple[str, ...]:
    return tuple(text.split(".")) if text else ()


def _matched(pattern: tuple[str, ...], path: Path) -> list[str | int] | None:
    """What the stars of a pattern stand for at the start of a path; None where it does not fit."""
    if len(pattern) > len(path):
        return None
    pairs = list(zip(pattern, path, strict=False))
    fits = all(part in ("*", str(name)) for part, name in pairs)
    return [name for part, name in pairs if part == "*"] if fits else None


def _first(table: Mapping[str, Any], path: str) -> Any:
    return next((value for pattern, value in table.items() if fnmatchcase(path, pattern)), None)
