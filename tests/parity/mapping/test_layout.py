"""Every layout rule gives PyTorch's shapes and moves numbers in both directions, bit for bit."""

import numpy as np
import pytest
from flax import nnx
from torch import nn

from parity.capture.tensors import torch_arrays
from parity.mapping.layout import Layout
from parity.mapping.model_map import ModelMap
from parity.mapping.rules import (
    RULES,
    attention,
    convolution,
    embedding,
    fused,
    layouts_of,
    linear,
    linear_general,
    norm,
    same,
    transposed_convolution,
)
from parity.mapping.weights import to_jax, to_torch

LAYOUTS = {
    "same": ({"leaf": same("leaf", 3)}, {"leaf": (2, 3, 4)}),
    "linear": (linear(), {"kernel": (3, 5), "bias": (5,)}),
    "linear general": (linear_general((2, 3), (4, 5)), {"kernel": (2, 3, 4, 5), "bias": (4, 5)}),
    "norm": (norm(), {"scale": (3,), "bias": (3,), "mean": (3,), "var": (3,)}),
    "embedding": (embedding(), {"embedding": (7, 3)}),
    **{f"convolution {n}d": (convolution(n), {"kernel": (*(5, 4, 3)[:n], 2, 6), "bias": (6,)}) for n in (1, 2, 3)},
    **{
        f"transposed convolution {n}d, {t}": (transposed_convolution(n, t), {"kernel": (*(5, 4, 3)[:n], 2, 6)})
        for n in (1, 2, 3)
        for t in (False, True)
    },
}
SHAPES = {
    "linear": {"kernel": (5, 3), "bias": (5,)},
    "linear general": {"kernel": (20, 6), "bias": (20,)},
    "convolution 3d": {"kernel": (6, 2, 5, 4, 3), "bias": (6,)},
    "transposed convolution 3d, False": {"kernel": (2, 6, 5, 4, 3)},
    "transposed convolution 3d, True": {"kernel": (6, 2, 5, 4, 3)},
}


def numbered(shape, dtype=np.float32):
    return np.arange(np.prod(shape)).reshape(shape).astype(dtype)


@pytest.mark.parametrize("rule", LAYOUTS)
def test_round_trips_are_exact(rule):
    layouts, shapes = LAYOUTS[rule]
    for leaf, shape in shapes.items():
        layout, array = layouts[leaf], numbered(shape)
        converted = layout.to_torch(array)
        assert converted.shape == layout.shape(shape) == SHAPES.get(rule, {}).get(leaf, converted.shape)
        assert layout.rank == len(shape)
        np.testing.assert_array_equal(layout.to_jax(converted), array)
        assert sorted(converted.flat) == sorted(array.flat)


def test_transposed_kernel_is_flipped_unless_transpose_kernel():
    kernel = numbered((3, 2, 2))
    np.testing.assert_array_equal(transposed_convolution(1, True)["kernel"].to_torch(kernel)[0, 0], kernel[:, 0, 0])
    np.testing.assert_array_equal(transposed_convolution(1, False)["kernel"].to_torch(kernel)[0, 0], kernel[::-1, 0, 0])


SPLIT = {nnx.MultiHeadAttention: lambda layer: attention(layer, "q", "k", "v", "proj")}


class SplitAttention(nn.Module):
    def __init__(self):
        super().__init__()
        self.q, self.k, self.v, self.proj = (nn.Linear(6, 6) for _ in range(4))


@pytest.mark.parametrize(
    ("torch_module", "rules"),
    [(lambda: nn.MultiheadAttention(6, 2), RULES), (SplitAttention, RULES | SPLIT)],
    ids=["fused in PyTorch", "split in both"],
)
def test_attention(torch_module, rules):
    jax_module, arrays = nnx.MultiHeadAttention(2, 6, decode=False, rngs=nnx.Rngs(0)), torch_arrays(torch_module())
    for name, array in arrays.items():
        array[...] = numbered(array.shape) + len(name) * 1000
    state = to_jax(jax_module, arrays, ModelMap(rules))
    returned = to_torch(jax_module, state, ModelMap(rules))
    assert returned.keys() == arrays.keys()
    for name, array in arrays.items():
        np.testing.assert_array_equal(returned[name], array)
    key = arrays["in_proj_weight"][6:12] if "in_proj_weight" in arrays else arrays["k.weight"]
    np.testing.assert_array_equal(state["key"]["kernel"][...].reshape(6, 6), key.T)


class Fused(nnx.Module):
    def __init__(self, rngs):
        self.qkv = nnx.Linear(4, 6, rngs=rngs)


def test_fused_in_jax_and_split_in_pytorch():
    layouts = fused(linear(), ("q", "k", "v"))
    mapping = ModelMap(RULES | {Fused: lambda layer: {f"qkv.{name}": parts for name, parts in layouts.items()}})
    jax_module = Fused(nnx.Rngs(0))
    tensors = to_torch(jax_module, None, mapping)
    assert {name: tensor.shape for name, tensor in tensors.items()} == {
        f"{part}.{name}": shape for part in "qkv" for name, shape in (("weight", (2, 4)), ("bias", (2,)))
    }
    np.testing.assert_array_equal(tensors["k.weight"], jax_module.qkv.kernel[:, 2:4].T)
    returned = to_jax(jax_module, tensors, mapping)
    np.testing.assert_array_equal(returned["qkv"]["kernel"][...], jax_module.qkv.kernel[...])


def test_the_rule_of_the_nearest_type_applies():
    class Own(nnx.Linear):
        pass

    rules = RULES | {Own: lambda layer: {"kernel": same("own", rank=2)}}
    layer = Own(2, 3, rngs=nnx.Rngs(0))
    assert layouts_of(layer, "kernel", rules) == (same("own", rank=2),)
    assert layouts_of(layer, "kernel") == (Layout("weight", "i o -> o i"),)
    assert layouts_of(layer, "nothing") == ()
