"""How the arrays of a layer lie in JAX and in PyTorch: one rule per type of layer, none per name.

A rule covers subclasses. For layers of one's own, extend the table:

    RULES | {MyConv: lambda layer: convolution(2)}
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from flax import nnx
from jaxtyping import Shaped


@dataclass(frozen=True)
class Layout:
    """What a JAX array is called and how its axes lie in PyTorch; both directions only move numbers, bit for bit."""

    name: str
    axes: tuple[int, ...]
    """PyTorch's axis i is JAX's axis `axes[i]`; without the axes on which blocks are stacked."""
    flipped: tuple[int, ...] = ()
    """JAX's axes that run the other way in PyTorch."""

    def shape(self, jax_shape: tuple[int, ...]) -> tuple[int, ...]:
        """The PyTorch shape of an array of `jax_shape`."""
        return tuple(jax_shape[axis] for axis in self.axes)

    def to_torch(self, array: Shaped[np.ndarray, "*JAX"]) -> Shaped[np.ndarray, "*TORCH"]:
        """A view of `array` in PyTorch's layout."""
        return np.flip(array, self.flipped).transpose(self.axes)

    def to_jax(self, array: Shaped[np.ndarray, "*TORCH"]) -> Shaped[np.ndarray, "*JAX"]:
        """A view of `array` in JAX's layout."""
        return np.flip(array.transpose(np.argsort(self.axes)), self.flipped)


LayerLayouts = Mapping[str, Layout]
"""The layout of each array of one layer, by its attribute name in JAX."""
Rules = Mapping[type[nnx.Module], Callable[..., LayerLayouts]]
"""What gives the layouts of a layer of a type or any subclass of it; called with the layer, which may be abstract."""

BIAS = Layout("bias", (0,))


def linear() -> LayerLayouts:
    return {"kernel": Layout("weight", (1, 0)), "bias": BIAS}


def norm() -> LayerLayouts:
    return {"scale": Layout("weight", (0,)), "bias": BIAS}


def embedding() -> LayerLayouts:
    return {"embedding": Layout("weight", (0, 1))}


def convolution(spatial: int) -> LayerLayouts:
    """Over `spatial` axes: (*kernel, in, out) in JAX, (out, in, *kernel) in PyTorch."""
    return {"kernel": Layout("weight", (spatial + 1, spatial, *range(spatial))), "bias": BIAS}


def transposed_convolution(spatial: int, transpose_kernel: bool) -> LayerLayouts:
    """Over `spatial` axes: (in, out, *kernel) in PyTorch, and the gradient of a convolution.

    So is JAX's with `transpose_kernel`, where the kernel is (*kernel, out, in). Without, JAX convolves the dilated
    input with (*kernel, in, out) as it stands, which is PyTorch's kernel run backwards.
    """
    kernel = tuple(range(spatial))
    if transpose_kernel:
        return {"kernel": Layout("weight", (spatial + 1, spatial, *kernel)), "bias": BIAS}
    return {"kernel": Layout("weight", (spatial, spatial + 1, *kernel), flipped=kernel), "bias": BIAS}


RULES: Rules = MappingProxyType(
    {
        nnx.Linear: lambda layer: linear(),
        nnx.Conv: lambda layer: convolution(len(layer.kernel_size)),
        nnx.ConvTranspose: lambda layer: transposed_convolution(len(layer.kernel_size), layer.transpose_kernel),
        nnx.LayerNorm: lambda layer: norm(),
        nnx.GroupNorm: lambda layer: norm(),
        nnx.RMSNorm: lambda layer: norm(),
        nnx.Embed: lambda layer: embedding(),
    }
)
"""The layers of Flax that PyTorch has too."""


def layout_of(layer: nnx.Module, leaf: str, rules: Rules = RULES) -> Layout | None:
    """The layout of `layer`'s array `leaf`, by the rule of the nearest of its types; None where no rule covers it."""
    for kind in type(layer).__mro__:
        if kind in rules:
            return rules[kind](layer).get(leaf)
    return None
