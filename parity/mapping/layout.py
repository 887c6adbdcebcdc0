"""Describe how one array is stored in JAX and in PyTorch, and convert it."""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from einops import rearrange
from jaxtyping import Shaped


@dataclass(frozen=True)
class Part:
    """One of `of` equal parts along an axis, for a tensor that is fused in one framework and split in the other."""

    index: int
    of: int
    axis: int = 0

    def select(self, array: Shaped[np.ndarray, "..."]) -> Shaped[np.ndarray, "..."]:
        """Return a view of this part.

        Args:
            array: The fused array.

        Returns:
            The part.

        Raises:
            ValueError: If the axis does not divide into `of` parts.
        """
        return np.split(array, self.of, self.axis)[self.index]

    def shape(self, shape: tuple[int, ...], whole: bool) -> tuple[int, ...]:
        """Convert the shape of the part to that of the whole, or back.

        Args:
            shape: The shape of the part or of the whole.
            whole: Whether the whole's shape is asked for.

        Returns:
            The other shape.
        """
        sides = list(shape)
        sides[self.axis] = sides[self.axis] * self.of if whole else sides[self.axis] // self.of
        return tuple(sides)


@dataclass(frozen=True)
class Layout:
    """The PyTorch name of a JAX array and the order of its axes there. Numbers are moved; only summands change them."""

    name: str
    """The name in PyTorch, relative to the module that the rule is for."""
    axes: str
    """JAX's axes and PyTorch's in einops notation: `i o -> o i`. Axes merged on the right need their `sizes`."""
    sizes: Mapping[str, int] = field(default_factory=dict)
    flipped: str = ""
    """JAX's axes that PyTorch stores in reverse order."""
    torch_part: Part | None = None
    """Which part of the PyTorch tensor this is, if that tensor is fused."""
    jax_part: Part | None = None
    """Which part of the JAX array this is, if that array is fused."""
    summand: int | None = None
    """The PyTorch tensor's place among those whose sum the JAX array is. The first gets all of it, the others zeros."""

    @property
    def rank(self) -> int:
        """The number of JAX's axes, without those on which blocks are stacked."""
        return len(self._jax_axes)

    def shape(self, jax_shape: tuple[int, ...]) -> tuple[int, ...]:
        """Compute the shape of the whole PyTorch tensor.

        Args:
            jax_shape: The shape of the JAX array.

        Returns:
            The shape in PyTorch.
        """
        if self.jax_part:
            jax_shape = self.jax_part.shape(jax_shape, whole=False)
        sides = dict(zip(self._jax_axes, jax_shape, strict=True))
        merged = re.findall(r"\((.*?)\)|(\S+)", self.axes.split("->")[1])
        shape = tuple(math.prod(sides[axis] for axis in (group or single).split()) for group, single in merged)
        return self.torch_part.shape(shape, whole=True) if self.torch_part else shape

    def to_torch(self, array: Shaped[np.ndarray, "*JAX"]) -> Shaped[np.ndarray, "*TORCH"]:
        """Convert a JAX array to PyTorch's layout, as a view if possible.

        Args:
            array: The array in JAX's layout.

        Returns:
            The tensor's numbers; only the part of this layout if the PyTorch tensor is fused.
        """
        if self.jax_part:
            array = self.jax_part.select(array)
        return rearrange(self._flipped(array), self.axes)

    def to_jax(self, array: Shaped[np.ndarray, "*TORCH"]) -> Shaped[np.ndarray, "*JAX"]:
        """Convert a whole PyTorch tensor to JAX's layout, as a view if possible.

        Args:
            array: The tensor in PyTorch's layout.

        Returns:
            The array; only the part of this layout if the JAX array is fused.
        """
        if self.torch_part:
            array = self.torch_part.select(array)
        jax_axes, torch_axes = self.axes.split("->")
        return self._flipped(rearrange(array, f"{torch_axes} -> {jax_axes}", **self.sizes))

    @property
    def _jax_axes(self) -> list[str]:
        return self.axes.split("->")[0].split()

    def _flipped(self, array: np.ndarray) -> np.ndarray:
        axes = tuple(self._jax_axes.index(axis) for axis in self.flipped.split())
        return np.flip(array, axes) if axes else array  # np.flip over no axes would turn a 0-d array into a number
