"""How the arrays of a layer lie in JAX and in PyTorch: one rule per type of layer, none per name.

A rule covers subclasses, and what it says of a module holds for all that lies in it: a rule of an attention goes before
those of its projections. For layers of one's own, extend the table:

    RULES | {MyConv: lambda layer: convolution(2), MyTokens: lambda layer: {"token": same("cls_token", rank=3)}}
"""

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType

import numpy as np
from einops import rearrange
from flax import nnx
from jaxtyping import Shaped


@dataclass(frozen=True)
class Part:
    """One of `of` equal parts along an axis: what is fused in one framework and split in the other."""

    index: int
    of: int
    axis: int = 0

    def select(self, array: Shaped[np.ndarray, "..."]) -> Shaped[np.ndarray, "..."]:
        """A view of this part. Raises ValueError where the axis does not divide."""
        return np.split(array, self.of, self.axis)[self.index]

    def shape(self, shape: tuple[int, ...], whole: bool) -> tuple[int, ...]:
        """Of the whole, given a part's; or of a part, given the whole's."""
        sides = list(shape)
        sides[self.axis] = sides[self.axis] * self.of if whole else sides[self.axis] // self.of
        return tuple(sides)


@dataclass(frozen=True)
class Layout:
    """What a JAX array is called and how its axes lie in PyTorch; both directions only move numbers, bit for bit."""

    name: str
    """In PyTorch, from the module that the rule is of."""
    axes: str
    """JAX's axes and PyTorch's, as einops has them: `i o -> o i`. What is merged on the right has its `sizes`."""
    sizes: Mapping[str, int] = field(default_factory=dict)
    flipped: str = ""
    """JAX's axes that run the other way in PyTorch."""
    torch_part: Part | None = None
    """Which part of the PyTorch tensor it is, where that is fused."""
    jax_part: Part | None = None
    """Which part of the JAX array it is, where that is fused."""

    @property
    def rank(self) -> int:
        """Axes in JAX, without those on which blocks are stacked."""
        return len(self._jax_axes)

    def shape(self, jax_shape: tuple[int, ...]) -> tuple[int, ...]:
        """The shape of the whole PyTorch tensor, for a JAX array of `jax_shape`."""
        if self.jax_part:
            jax_shape = self.jax_part.shape(jax_shape, whole=False)
        sides = dict(zip(self._jax_axes, jax_shape, strict=True))
        merged = re.findall(r"\((.*?)\)|(\S+)", self.axes.split("->")[1])
        shape = tuple(math.prod(sides[axis] for axis in (group or single).split()) for group, single in merged)
        return self.torch_part.shape(shape, whole=True) if self.torch_part else shape

    def to_torch(self, array: Shaped[np.ndarray, "*JAX"]) -> Shaped[np.ndarray, "*TORCH"]:
        """`array` in PyTorch's layout, as a view where that is possible; a part, where PyTorch's tensor is fused."""
        if self.jax_part:
            array = self.jax_part.select(array)
        return rearrange(self._flipped(array), self.axes)

    def to_jax(self, array: Shaped[np.ndarray, "*TORCH"]) -> Shaped[np.ndarray, "*JAX"]:
        """PyTorch's whole tensor in JAX's layout, as a view where that is possible; a part, where JAX's is fused."""
        if self.torch_part:
            array = self.torch_part.select(array)
        jax_axes, torch_axes = self.axes.split("->")
        return self._flipped(rearrange(array, f"{torch_axes} -> {jax_axes}", **self.sizes))

    @property
    def _jax_axes(self) -> list[str]:
        return self.axes.split("->")[0].split()

    def _flipped(self, array: np.ndarray) -> np.ndarray:
        axes = tuple(self._jax_axes.index(axis) for axis in self.flipped.split())
        return np.flip(array, axes) if axes else array  # of no axes it would make a number of a scalar


LayerLayouts = Mapping[str, Layout]
"""The layout of each of a module's arrays, by its dotted name in JAX."""
SplitLayouts = Mapping[str, tuple[Layout, ...]]
"""The same, where PyTorch splits what JAX fuses."""
Rules = Mapping[type[nnx.Module], Callable[..., LayerLayouts | SplitLayouts]]
"""What gives the layouts of a module of a type or any subclass of it; called with the module, maybe an abstract one."""

BIAS = Layout("bias", "o -> o")
_KERNEL_AXES = "x y z"


def same(name: str, rank: int) -> Layout:
    """An array of `rank` axes that lies the same way in both."""
    axes = " ".join(f"a{axis}" for axis in range(rank))
    return Layout(name, f"{axes} -> {axes}")


def linear() -> LayerLayouts:
    return {"kernel": Layout("weight", "i o -> o i"), "bias": BIAS}


def linear_general(inputs: tuple[int, ...], outputs: tuple[int, ...]) -> LayerLayouts:
    """Several axes in and out in JAX, each side merged into one in PyTorch."""
    ins, outs = ([f"{side}{axis}" for axis in range(len(sizes))] for side, sizes in (("i", inputs), ("o", outputs)))
    sizes = dict(zip((*ins, *outs), (*inputs, *outputs), strict=True))
    i, o = " ".join(ins), " ".join(outs)
    bias_sizes = {axis: sizes[axis] for axis in outs}
    return {
        "kernel": Layout("weight", f"{i} {o} -> ({o}) ({i})", sizes),
        "bias": Layout("bias", f"{o} -> ({o})", bias_sizes),
    }


def norm() -> LayerLayouts:
    """Scale and bias; and the running statistics, where it has them."""
    names = {"scale": "weight", "bias": "bias", "mean": "running_mean", "var": "running_var"}
    return {jax_name: Layout(torch_name, "o -> o") for jax_name, torch_name in names.items()}


def embedding() -> LayerLayouts:
    return {"embedding": same("weight", rank=2)}


def convolution(spatial: int) -> LayerLayouts:
    """Over `spatial` axes: (*kernel, in, out) in JAX, (out, in, *kernel) in PyTorch."""
    kernel = _KERNEL_AXES[: 2 * spatial - 1]
    return {"kernel": Layout("weight", f"{kernel} i o -> o i {kernel}"), "bias": BIAS}


def transposed_convolution(spatial: int, transpose_kernel: bool) -> LayerLayouts:
    """Over `spatial` axes: (in, out, *kernel) in PyTorch, and the gradient of a convolution.

    So is JAX's with `transpose_kernel`, where the kernel is (*kernel, out, in). Without, JAX convolves the dilated
    input with (*kernel, in, out) as it stands, which is PyTorch's kernel run backwards.
    """
    kernel = _KERNEL_AXES[: 2 * spatial - 1]
    if transpose_kernel:
        return {"kernel": Layout("weight", f"{kernel} o i -> i o {kernel}"), "bias": BIAS}
    return {"kernel": Layout("weight", f"{kernel} i o -> i o {kernel}", flipped=kernel), "bias": BIAS}


def attention(
    layer: nnx.MultiHeadAttention, query: str = "", key: str = "", value: str = "", out: str = "out_proj"
) -> LayerLayouts:
    """Flax's attention, whose projections have heads on an axis of their own.

    PyTorch's own keeps query, key and value in one fused `in_proj_weight`; where they are split, say what they are
    called: `lambda layer: attention(layer, "q", "k", "v", "proj")`.
    """
    layouts = {}
    for index, (part, name) in enumerate({"query": query, "key": key, "value": value, "out": out}.items()):
        projection = getattr(layer, part)
        for leaf, layout in linear_general(projection.in_features, projection.out_features).items():
            fused = replace(layout, name=f"in_proj_{layout.name}", torch_part=Part(index, of=3))
            layouts[f"{part}.{leaf}"] = replace(layout, name=f"{name}.{layout.name}") if name else fused
    return layouts


def fused(layouts: LayerLayouts, names: tuple[str, ...]) -> SplitLayouts:
    """One layer in JAX whose outputs are those of several in PyTorch: `fused(linear(), ("q", "k", "v"))`."""
    return {
        leaf: tuple(
            replace(layout, name=f"{name}.{layout.name}", jax_part=Part(index, len(names), axis=-1))
            for index, name in enumerate(names)
        )
        for leaf, layout in layouts.items()
    }


RULES: Rules = MappingProxyType(
    {
        nnx.Linear: lambda layer: linear(),
        nnx.LinearGeneral: lambda layer: linear_general(layer.in_features, layer.out_features),
        nnx.Conv: lambda layer: convolution(len(layer.kernel_size)),
        nnx.ConvTranspose: lambda layer: transposed_convolution(len(layer.kernel_size), layer.transpose_kernel),
        nnx.LayerNorm: lambda layer: norm(),
        nnx.GroupNorm: lambda layer: norm(),
        nnx.RMSNorm: lambda layer: norm(),
        nnx.BatchNorm: lambda layer: norm(),
        nnx.InstanceNorm: lambda layer: norm(),
        nnx.Embed: lambda layer: embedding(),
        nnx.MultiHeadAttention: attention,
    }
)
"""The layers of Flax that PyTorch has too."""


def layouts_of(layer: nnx.Module, leaf: str, rules: Rules = RULES) -> tuple[Layout, ...]:
    """The layouts of the array of dotted name `leaf` in `layer`, by the rule of the nearest of its types; or none."""
    for kind in type(layer).__mro__:
        if kind in rules:
            layouts = rules[kind](layer).get(leaf, ())
            return (layouts,) if isinstance(layouts, Layout) else layouts
    return ()
