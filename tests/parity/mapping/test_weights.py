"""Converted layers compute the same in both frameworks, and conversions preserve every bit."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from flax import nnx
from torch import nn

from configs.presets import DEBUG
from parity.aef.model import abstract_jax, abstract_torch
from parity.capture.tensors import load_torch, torch_arrays, torch_specs
from parity.mapping.model_map import ModelMap
from parity.mapping.rules import RULES, convolution, same
from parity.mapping.spec import WeightsError
from parity.mapping.weights import load_jax, param_links, to_jax, to_torch

SMALLEST = replace(
    DEBUG,
    model=replace(DEBUG.model, d_precision=4, d_exchange=6, d_time=8, d_space=8, block_loop="scan", num_blocks=3),
)
F64 = {"param_dtype": jnp.float64}
GRID = {"strides": 2, "padding": 1, **F64}
UP = {"strides": 2, "padding": "VALID", **F64}
# name: (Flax, PyTorch, shape of the input, channels last)
LAYERS = {
    "linear": (lambda r: nnx.Linear(3, 5, rngs=r, **F64), lambda: nn.Linear(3, 5), (2, 3)),
    "linear without bias": (
        lambda r: nnx.Linear(3, 5, use_bias=False, rngs=r, **F64),
        lambda: nn.Linear(3, 5, bias=False),
        (2, 3),
    ),
    "conv 1d": (
        lambda r: nnx.Conv(4, 6, 3, rngs=r, **GRID),
        lambda: nn.Conv1d(4, 6, 3, stride=2, padding=1),
        (2, 7, 4),
    ),
    "conv 2d": (
        lambda r: nnx.Conv(4, 6, (3, 2), rngs=r, **GRID),
        lambda: nn.Conv2d(4, 6, (3, 2), stride=2, padding=1),
        (2, 7, 6, 4),
    ),
    "conv 2d in groups": (
        lambda r: nnx.Conv(4, 6, (3, 2), feature_group_count=2, rngs=r, **GRID),
        lambda: nn.Conv2d(4, 6, (3, 2), stride=2, padding=1, groups=2),
        (2, 7, 6, 4),
    ),
    "conv 3d": (
        lambda r: nnx.Conv(2, 3, (3, 2, 4), rngs=r, **GRID),
        lambda: nn.Conv3d(2, 3, (3, 2, 4), stride=2, padding=1),
        (2, 5, 4, 6, 2),
    ),
    "transposed conv 1d": (
        lambda r: nnx.ConvTranspose(4, 6, 3, transpose_kernel=True, rngs=r, **UP),
        lambda: nn.ConvTranspose1d(4, 6, 3, stride=2),
        (2, 5, 4),
    ),
    "transposed conv 2d": (
        lambda r: nnx.ConvTranspose(4, 6, (3, 2), transpose_kernel=True, rngs=r, **UP),
        lambda: nn.ConvTranspose2d(4, 6, (3, 2), stride=2),
        (2, 5, 3, 4),
    ),
    "flipped transposed conv 1d": (
        lambda r: nnx.ConvTranspose(4, 6, 3, rngs=r, **UP),
        lambda: nn.ConvTranspose1d(4, 6, 3, stride=2),
        (2, 5, 4),
    ),
    "flipped transposed conv 2d": (
        lambda r: nnx.ConvTranspose(4, 6, (3, 2), rngs=r, **UP),
        lambda: nn.ConvTranspose2d(4, 6, (3, 2), stride=2),
        (2, 5, 3, 4),
    ),
    "layer norm": (
        lambda r: nnx.LayerNorm(6, epsilon=1e-5, use_fast_variance=False, rngs=r, **F64),
        lambda: nn.LayerNorm(6),
        (4, 6),
    ),
    "group norm": (
        lambda r: nnx.GroupNorm(6, num_groups=2, epsilon=1e-5, use_fast_variance=False, rngs=r, **F64),
        lambda: nn.GroupNorm(2, 6),
        (2, 4, 3, 6),
    ),
    "rms norm": (
        lambda r: nnx.RMSNorm(6, epsilon=1e-5, rngs=r, **F64),
        lambda: nn.RMSNorm(6, eps=1e-5),
        (4, 6),
    ),
}


class Block(nnx.Module):
    def __init__(self, rngs):
        self.inner = nnx.Dict(project=nnx.Linear(3, 3, rngs=rngs), norm=nnx.LayerNorm(3, rngs=rngs))


class Stacked(nnx.Module):
    def __init__(self, rngs, block=Block):
        self.first = nnx.Linear(2, 3, rngs=rngs)
        self.blocks = nnx.vmap(block)(rngs.split(4))


class Listed(nnx.Module):
    def __init__(self, rngs):
        self.first = nnx.Linear(2, 3, rngs=rngs)
        self.blocks = nnx.List([Block(rngs) for _ in range(4)])


class TorchTower(nn.Module):
    def __init__(self):
        super().__init__()
        self.first = nn.Linear(2, 3)
        self.blocks = nn.ModuleList()
        for _ in range(4):
            block = nn.Module()
            block.inner = nn.ModuleDict({"project": nn.Linear(3, 3), "norm": nn.LayerNorm(3)})
            self.blocks.append(block)


def random_arrays(specs):
    rng = np.random.default_rng(0)
    return {name: rng.normal(size=spec.shape).astype(spec.dtype) for name, spec in specs.items()}


def assert_same_bits(actual, expected):
    assert actual.keys() == expected.keys()
    for name, array in expected.items():
        assert actual[name].dtype == array.dtype, name
        assert actual[name].shape == array.shape, name
        assert actual[name].tobytes() == array.tobytes(), name


@pytest.mark.slow
@pytest.mark.parametrize("layer", LAYERS)
def test_both_layers_compute_the_same(layer):
    make_jax, make_torch, shape = LAYERS[layer]
    x = np.random.default_rng(1).normal(size=shape)
    with jax.enable_x64(True):
        jax_module, torch_module = make_jax(nnx.Rngs(0)), make_torch().double()
        arrays = random_arrays(torch_specs(torch_module))
        load_jax(jax_module, arrays)
        load_torch(torch_module, arrays)
        actual = np.asarray(jax_module(jnp.asarray(x)))
    expected = torch_module(torch.from_numpy(np.moveaxis(x, -1, 1))).detach().numpy()
    np.testing.assert_allclose(np.moveaxis(actual, -1, 1), expected, rtol=1e-12, atol=1e-13)
    assert_same_bits(to_torch(jax_module), arrays)


def test_both_embeddings_look_up_the_same():
    jax_module, torch_module = nnx.Embed(7, 3, rngs=nnx.Rngs(0)), nn.Embedding(7, 3)
    load_torch(torch_module, to_torch(jax_module))
    index = np.array([[0, 6], [3, 3]])
    np.testing.assert_array_equal(jax_module(index), torch_module(torch.from_numpy(index)).detach().numpy())


@pytest.mark.slow
@pytest.mark.parametrize("tower", [Stacked, Listed])
def test_blocks_stacked_or_listed_are_the_same_tensors(tower):
    jax_module, torch_module = tower(nnx.Rngs(0)), TorchTower()
    arrays = random_arrays(torch_specs(torch_module))
    load_jax(jax_module, arrays)
    assert_same_bits(to_torch(jax_module), arrays)
    kernel = arrays["blocks.2.inner.project.weight"].T
    blocks = jax_module.blocks
    actual = blocks.inner.project.kernel[2] if tower is Stacked else blocks[2].inner.project.kernel[...]
    np.testing.assert_array_equal(actual, kernel)


def test_nested_stacks():
    outer = nnx.eval_shape(lambda: Stacked(nnx.Rngs(0), block=lambda rngs: Stacked(rngs)))
    names = {link.name for link in param_links(outer)}
    assert {"blocks.3.first.weight", "blocks.3.blocks.2.inner.norm.weight"} <= names
    assert len(names) == 2 + 4 * (2 + 4 * 4)
    arrays = random_arrays({link.name: link.spec for link in param_links(outer)})
    assert_same_bits(to_torch(outer, to_jax(outer, arrays)), arrays)


@pytest.mark.slow
@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64"])
def test_round_trips_keep_every_bit(dtype):
    torch_module = TorchTower().to(getattr(torch, dtype))
    arrays = torch_arrays(torch_module)
    bits = arrays["first.weight"].reshape(-1).view(f"u{arrays['first.weight'].itemsize}")
    bits[:4] = [1, ~bits.dtype.type(0), ~bits.dtype.type(1), 1 << (8 * bits.itemsize - 1)]  # subnormal, NaNs, -0
    with jax.enable_x64(True):
        jax_module = Stacked(nnx.Rngs(0))
        nnx.update(jax_module, jax.tree.map(lambda a: a.astype(dtype), nnx.state(jax_module, nnx.Param)))
    load_jax(jax_module, arrays)
    returned = TorchTower().to(getattr(torch, dtype))
    load_torch(returned, to_torch(jax_module))
    assert_same_bits(torch_arrays(returned), arrays)


@pytest.mark.slow
def test_the_whole_model_mirrors_and_round_trips():
    jax_module, torch_module = abstract_jax(SMALLEST), torch_specs(abstract_torch(SMALLEST))
    assert {link.name: link.spec for link in param_links(jax_module)} == torch_module
    arrays = random_arrays(torch_module)
    state = to_jax(jax_module, arrays)
    assert_same_bits(to_torch(jax_module, state), arrays)
    there_and_back = to_jax(jax_module, to_torch(jax_module, nnx.to_pure_dict(state)))
    for actual, expected in zip(jax.tree.leaves(there_and_back), jax.tree.leaves(state), strict=True):
        assert actual.tobytes() == expected.tobytes()


def misfit():
    arrays = random_arrays(torch_specs(TorchTower()))
    del arrays["first.bias"], arrays["blocks.1.inner.norm.weight"]
    arrays["blocks.4.inner.norm.weight"] = np.zeros(3, np.float32)
    arrays["first.weight"] = arrays["first.weight"].T
    arrays["blocks.0.inner.project.bias"] = arrays["blocks.0.inner.project.bias"].astype(np.float16)
    return arrays


@pytest.mark.slow
@pytest.mark.parametrize("framework", ["jax", "torch"])
def test_all_misfits_are_listed_and_nothing_changes(framework):
    jax_module, torch_module = Stacked(nnx.Rngs(0)), TorchTower()
    load_torch(torch_module, to_torch(jax_module))
    before = {name: array.copy() for name, array in torch_arrays(torch_module).items()}
    with pytest.raises(WeightsError) as error:
        load_jax(jax_module, misfit()) if framework == "jax" else load_torch(torch_module, misfit())
    assert str(error.value).splitlines() == [
        "5 tensors do not fit the model:",
        "  missing: blocks.1.inner.norm.weight, expected float32 (3,)",
        "  missing: first.bias, expected float32 (3,)",
        "  unexpected: blocks.4.inner.norm.weight, found float32 (3,)",
        "  wrong shape: first.weight, expected float32 (3, 2), found float32 (2, 3)",
        "  wrong dtype: blocks.0.inner.project.bias, expected float32 (3,), found float16 (3,)",
    ]
    assert_same_bits(to_torch(jax_module), before)
    assert_same_bits(torch_arrays(torch_module), before)


def test_a_state_of_another_model_is_refused():
    tower = Stacked(nnx.Rngs(0))
    shorter = jax.tree.map(lambda array: array[:1], nnx.state(tower, nnx.Param))
    with pytest.raises(WeightsError, match=r"wrong shape: blocks.inner.norm.bias, expected float32 \(4, 3\)"):
        to_torch(tower, shorter)


class OwnConv(nnx.Module):
    def __init__(self):
        self.kernel = nnx.Param(np.zeros((3, 2, 4, 6), np.float32))
        self.gain = nnx.Param(np.zeros(1, np.float32))


class Own(nnx.Module):
    def __init__(self):
        self.first, self.second = OwnConv(), OwnConv()


def test_all_parameters_without_a_rule_are_listed():
    with pytest.raises(WeightsError) as error:
        param_links(Own())
    assert str(error.value).count("no layout:") == 4
    assert "no layout: second.gain of OwnConv, float32 (1,)" in str(error.value)


def test_custom_layers_extend_the_rules():
    rules = RULES | {OwnConv: lambda layer: {**convolution(2), "gain": same("gain", rank=1)}}
    assert {link.name: link.spec.shape for link in param_links(Own(), ModelMap(rules))} == {
        "first.weight": (6, 4, 3, 2),
        "first.gain": (1,),
        "second.weight": (6, 4, 3, 2),
        "second.gain": (1,),
    }


def test_a_stack_missing_from_the_map_is_refused():
    with pytest.raises(WeightsError, match=r"no layout: blocks.inner.norm.bias of LayerNorm, float32 \(4, 3\)"):
        param_links(Stacked(nnx.Rngs(0)), ModelMap(stacks=()))
