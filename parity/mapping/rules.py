"""Convert the arrays of a layer between JAX's and PyTorch's layout, with one rule per type of layer.

A rule also applies to subclasses. The rule of an outer module takes precedence over the rules of the modules inside
it: a rule for an attention replaces those of its projections. Extend the table for layers of your own:

    RULES | {MyConv: lambda layer: convolution(2), MyTokens: lambda layer: {"token": same("cls_token", rank=3)}}
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from types import MappingProxyType

from flax import nnx

from parity.mapping import recurrent
from parity.mapping.layout import Layout, Part

LayerLayouts = Mapping[str, Layout]
"""The layout of each array of a module, by its dotted name in JAX."""
SplitLayouts = Mapping[str, tuple[Layout, ...]]
"""The same for arrays that JAX fuses and PyTorch splits, or sums up."""
Rules = Mapping[type[nnx.Module], Callable[..., LayerLayouts | SplitLayouts]]
"""By type of module, a function that returns its layouts. It is called with the module, which may be abstract."""

BIAS = Layout("bias", "o -> o")
_KERNEL_AXES = "x y z"


def same(name: str, rank: int) -> Layout:
    """Make the layout of an array that is the same in both frameworks.

    Args:
        name: The name in PyTorch.
        rank: The number of axes.

    Returns:
        The layout.
    """
    axes = " ".join(f"a{axis}" for axis in range(rank))
    return Layout(name, f"{axes} -> {axes}")


def linear() -> LayerLayouts:
    """Return the layouts of a linear layer.

    Returns:
        Layouts by JAX's names.
    """
    return {"kernel": Layout("weight", "i o -> o i"), "bias": BIAS}


def linear_general(inputs: tuple[int, ...], outputs: tuple[int, ...]) -> LayerLayouts:
    """Return the layouts of a linear layer with several input and output axes, merged into one each in PyTorch.

    Args:
        inputs: Sizes of JAX's input axes.
        outputs: Sizes of JAX's output axes.

    Returns:
        Layouts by JAX's names.
    """
    ins, outs = ([f"{side}{axis}" for axis in range(len(sizes))] for side, sizes in (("i", inputs), ("o", outputs)))
    sizes = dict(zip((*ins, *outs), (*inputs, *outputs), strict=True))
    i, o = " ".join(ins), " ".join(outs)
    bias_sizes = {axis: sizes[axis] for axis in outs}
    return {
        "kernel": Layout("weight", f"{i} {o} -> ({o}) ({i})", sizes),
        "bias": Layout("bias", f"{o} -> ({o})", bias_sizes),
    }


def norm() -> LayerLayouts:
    """Return the layouts of a norm: scale, bias, and running statistics.

    Returns:
        Layouts by JAX's names.
    """
    names = {"scale": "weight", "bias": "bias", "mean": "running_mean", "var": "running_var"}
    return {jax_name: Layout(torch_name, "o -> o") for jax_name, torch_name in names.items()}


def embedding() -> LayerLayouts:
    """Return the layouts of an embedding table.

    Returns:
        Layouts by JAX's names.
    """
    return {"embedding": same("weight", rank=2)}


def convolution(spatial: int) -> LayerLayouts:
    """Return the layouts of a convolution: (*kernel, in, out) in JAX, (out, in, *kernel) in PyTorch.

    Args:
        spatial: The number of spatial axes, 1 to 3.

    Returns:
        Layouts by JAX's names.
    """
    kernel = _KERNEL_AXES[: 2 * spatial - 1]
    return {"kernel": Layout("weight", f"{kernel} i o -> o i {kernel}"), "bias": BIAS}


def transposed_convolution(spatial: int, transpose_kernel: bool) -> LayerLayouts:
    """Return the layouts of a transposed convolution: (in, out, *kernel) in PyTorch.

    With `transpose_kernel`, JAX also computes the gradient of a convolution, with a kernel (*kernel, out, in). Without
    it, JAX convolves the dilated input with (*kernel, in, out) as it is, which is PyTorch's kernel in reverse order.

    Args:
        spatial: The number of spatial axes, 1 to 3.
        transpose_kernel: The layer's setting of that name.

    Returns:
        Layouts by JAX's names.
    """
    kernel = _KERNEL_AXES[: 2 * spatial - 1]
    if transpose_kernel:
        return {"kernel": Layout("weight", f"{kernel} o i -> i o {kernel}"), "bias": BIAS}
    return {"kernel": Layout("weight", f"{kernel} i o -> i o {kernel}", flipped=kernel), "bias": BIAS}


def attention(
    layer: nnx.MultiHeadAttention, query: str = "", key: str = "", value: str = "", out: str = "out_proj"
) -> LayerLayouts:
    """Return the layouts of Flax's attention, whose projections have a separate axis for the heads.

    PyTorch's own attention keeps query, key and value in a fused `in_proj_weight`. If they are split, name them:
    `lambda layer: attention(layer, "q", "k", "v", "proj")`.

    Args:
        layer: The attention, maybe abstract.
        query: PyTorch's name of the query projection; empty if it is fused.
        key: The same for the key.
        value: The same for the value.
        out: PyTorch's name of the output projection.

    Returns:
        Layouts by JAX's names.
    """
    layouts = {}
    for index, (part, name) in enumerate({"query": query, "key": key, "value": value, "out": out}.items()):
        projection = getattr(layer, part)
        for leaf, layout in linear_general(projection.in_features, projection.out_features).items():
            fused = replace(layout, name=f"in_proj_{layout.name}", torch_part=Part(index, of=3))
            layouts[f"{part}.{leaf}"] = replace(layout, name=f"{name}.{layout.name}") if name else fused
    return layouts


def fused(layouts: LayerLayouts, names: tuple[str, ...]) -> SplitLayouts:
    """Return the layouts of one JAX layer whose outputs belong to several PyTorch layers.

    `fused(linear(), ("q", "k", "v"))` is a fused projection of three.

    Args:
        layouts: The layouts of the layer if it were not fused.
        names: PyTorch's names of the layers, in the order of the outputs.

    Returns:
        Layouts by JAX's names.
    """
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
        **recurrent.CELLS,
        nnx.RNN: recurrent.sequence,
        nnx.Bidirectional: recurrent.bidirectional,
    }
)
"""The layers of Flax that PyTorch also has."""


def layouts_of(layer: nnx.Module, leaf: str, rules: Rules = RULES) -> tuple[Layout, ...]:
    """Find the layouts of one array of a layer, with the rule of the nearest of its types.

    Args:
        layer: The module.
        leaf: The dotted name of the array in it.
        rules: The rules by type.

    Returns:
        The layouts; empty if no rule covers the array.
    """
    for kind in type(layer).__mro__:
        if kind in rules:
            layouts = rules[kind](layer).get(leaf, ())
            return (layouts,) if isinstance(layouts, Layout) else layouts
    return ()
