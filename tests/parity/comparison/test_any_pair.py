"""Compare models as users write them: state under transforms, scalars, complex numbers, keywords; and failures."""

from collections import OrderedDict

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from flax import linen, nnx
from torch import nn

from parity import ModelMap, assert_parity, compare
from parity.capture.calls import WHOLE, Call
from parity.capture.torch_side import TorchSide, cast_copies
from parity.mapping.rules import RULES, same

X = np.random.default_rng(0).standard_normal((3, 4), np.float32)
ONCE = {"dtypes": ("float64",)}


class TorchDrop(nn.Module):
    def __init__(self):
        super().__init__()
        self.linear, self.drop, self.norm = nn.Linear(4, 4), nn.Dropout(0.5), nn.BatchNorm1d(4)

    def forward(self, x):
        return self.norm(self.drop(self.linear(x)))


class UnbiasedBatchNorm(nnx.BatchNorm):
    """It keeps the unbiased variance, as PyTorch does."""

    def __call__(self, x, **options):
        decayed = self.momentum * self.var[...]
        y = super().__call__(x, **options)
        if not self.use_running_average:
            self.var[...] = decayed + (self.var[...] - decayed) * len(x) / (len(x) - 1)
        return y


class Drop(nnx.Module):
    def __init__(self, rngs, norm=UnbiasedBatchNorm, momentum=0.9):
        self.linear, self.drop = nnx.Linear(4, 4, rngs=rngs), nnx.Dropout(0.5, rngs=rngs)
        self.norm = norm(4, epsilon=1e-5, momentum=momentum, rngs=rngs)
        self.calls = nnx.Variable(jnp.zeros((), jnp.int32))

    def body(self, x):
        self.calls[...] += 1
        return self.norm(self.drop(self.linear(x)))

    def __call__(self, x):
        return self.body(x)


class Remat(Drop):
    def __call__(self, x):
        return nnx.remat(Drop.body)(self, x)


class Jitted(Drop):
    def __call__(self, x):
        return nnx.jit(Drop.body)(self, x)


@pytest.mark.slow
@pytest.mark.parametrize("kind", [Drop, Remat, Jitted])
def test_state_under_flax_transforms(kind):
    comparison = compare(TorchDrop(), kind(nnx.Rngs(0)), (X,), **ONCE)
    assert comparison.passed, comparison.failed


class Biased(Drop):
    def body(self, x):
        linear = self.linear(x)
        if not self.norm.use_running_average:
            linear = linear + 0.1 * linear**2
        return self.norm(linear)


@pytest.mark.slow
@pytest.mark.parametrize("kind", [Drop, Remat])
def test_norms_in_training_mode(kind):
    torch_module = TorchDrop()
    torch_module.drop.p = 0.0
    jax_module = kind(nnx.Rngs(0))
    jax_module.drop.rate = 0.0
    comparison = compare(torch_module, jax_module, (X,), training=True, **ONCE)
    assert comparison.passed, comparison.failed
    assert torch_module.norm.running_mean.abs().max() == 0, "the modules are not changed"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("norm", "momentum", "named"),
    [(nnx.BatchNorm, 0.9, "norm.running_var"), (UnbiasedBatchNorm, 0.99, "norm.running_mean")],
)
def test_other_running_statistics_fail(norm, momentum, named):
    """Users' cases, row 4: the outputs of a step agree, those in evaluation mode do not after it."""
    torch_module = TorchDrop()
    torch_module.drop.p = 0.0
    jax_module = Drop(nnx.Rngs(0), norm, momentum)
    jax_module.drop.rate = 0.0
    comparison = compare(torch_module, jax_module, (X,), training=True, **ONCE)
    assert {group.label for group in comparison.failed} == {"", "norm"}
    assert f"updated state {named}" in comparison.failed[0].failure
    assert [(culprit.call.label, culprit.forward) for culprit in comparison.culprits] == [("norm", True)]
    assert compare(torch_module, jax_module, (X,), **ONCE).passed


def test_a_call_that_fails_leaves_the_state_as_it_was():
    """Of every kind: the number of batches decides by how much `momentum=None` changes the statistics."""
    module = nn.Sequential(nn.BatchNorm1d(4, momentum=None), nn.Linear(3, 3))
    side = TorchSide(cast_copies(module, training=True), ModelMap())
    call = Call(WHOLE, 0, (), -1, (X,), {}, {}, {})
    with pytest.raises(RuntimeError, match="shapes cannot be multiplied"):
        side.compute(call, "float64")
    norm = side.at("float64")[0]
    assert norm.num_batches_tracked == 0
    assert norm.running_mean.abs().max() == 0


@pytest.mark.slow
def test_a_difference_only_in_training_mode_fails():
    torch_module = TorchDrop()
    torch_module.drop.p = 0.0
    assert compare(torch_module, Biased(nnx.Rngs(0)), (X,), **ONCE).passed
    assert not compare(torch_module, Biased(nnx.Rngs(0)), (X,), training=True, **ONCE).passed


class TorchScale(nn.Module):
    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.tensor(1.5))

    def forward(self, x, *, by=1.0):
        return x * self.scale * by


class Scale(nnx.Module):
    def __init__(self):
        self.scale = nnx.Param(jnp.asarray(1.5))

    def __call__(self, x, *, by=1.0):
        return x * self.scale * by


SCALAR = ModelMap(rules=RULES | {Scale: lambda layer: {"scale": same("scale", rank=0)}})


def test_a_scalar_parameter_and_keywords():
    comparison = compare(TorchScale(), Scale(), (X,), SCALAR, keywords={"by": torch.tensor(3.0)})
    assert comparison.passed, comparison.failed
    assert {m.kind for m in comparison.whole} == {"output", "gradient of parameter", "gradient of input"}
    gradient = next(m for m in comparison.whole if m.kind == "gradient of parameter")
    assert gradient.tensor.shape == ()


class TrainFlag(Scale):
    def __call__(self, x, *, train, by=1.0):
        assert not train
        return super().__call__(x, by=by)


def test_the_map_can_call_the_whole_differently():
    calls = {"": lambda module, x, **keywords: module(x, train=False, **keywords)}
    mapping = ModelMap(rules=RULES | {TrainFlag: lambda layer: {"scale": same("scale", rank=0)}}, calls=calls)
    assert compare(TorchScale(), TrainFlag(), (X,), mapping, **ONCE).passed


class TorchSpectrum(nn.Module):
    def forward(self, x):
        return torch.fft.rfft(x)


class TorchWave(nn.Module):
    def __init__(self):
        super().__init__()
        self.spectrum = TorchSpectrum()

    def forward(self, x):
        return self.spectrum(x).abs()


class Spectrum(nnx.Module):
    def __call__(self, x):
        return jnp.fft.rfft(x)


class Conjugate(nnx.Module):
    def __call__(self, x):
        return jnp.fft.rfft(x).conj()


class Wave(nnx.Module):
    def __init__(self, spectrum):
        self.spectrum = spectrum

    def __call__(self, x):
        return jnp.abs(self.spectrum(x))


def test_complex_numbers_differ_in_their_imaginary_parts_too():
    assert compare(TorchWave(), Wave(Spectrum()), (X,), **ONCE).passed
    comparison = compare(TorchWave(), Wave(Conjugate()), (X,), **ONCE)
    assert [group.label for group in comparison.failed] == ["spectrum"]


class TorchTwo(nn.Module):
    def forward(self, x):
        return OrderedDict(second=2 * x, first=x)


def two(**names):
    class Two(nnx.Module):
        def __call__(self, x):
            return {name: x * by for name, by in names.items()}

    return Two()


def test_outputs_are_paired_by_name():
    assert compare(TorchTwo(), two(first=1, second=2), (X,), **ONCE).passed
    with pytest.raises(ValueError, match=r"it returns \['first'\], \['other'\] in JAX and \['second'\], \['first'\]"):
        compare(TorchTwo(), two(first=1, other=2), (X,), **ONCE)


def test_a_mask_of_another_type_is_reported():
    class TorchMask(nn.Module):
        def forward(self, x):
            return (x > 0).to(x.dtype)

    class TorchMasked(nn.Module):
        def __init__(self):
            super().__init__()
            self.mask = TorchMask()

        def forward(self, x):
            return x * self.mask(x)

    class Mask(nnx.Module):
        def __call__(self, x):
            return x > 0

    class Masked(nnx.Module):
        def __init__(self):
            self.mask = Mask()

        def __call__(self, x):
            return x * self.mask(x)

    comparison = compare(TorchMasked(), Masked(), (X,), **ONCE)
    assert comparison.passed, comparison.failed
    assert comparison.not_alone.keys() == {"mask"}


def test_changed_code_is_compared_again(monkeypatch):
    torch_module, jax_module = TorchScale(), Scale()
    assert compare(torch_module, jax_module, (X,), SCALAR, **ONCE).passed
    monkeypatch.setattr(Scale, "__call__", lambda self, x, by=1.0: 2 * x * self.scale)
    assert not compare(torch_module, jax_module, (X,), SCALAR, **ONCE).passed


class TorchPosition(nn.Module):
    def __init__(self):
        super().__init__()
        self.register_buffer("position", torch.ones(4))

    def forward(self, x):
        return x + self.position


class Position(nnx.Module):
    def __init__(self):
        self.position = nnx.Param(jnp.ones(4))

    def __call__(self, x):
        return x + self.position


def test_a_parameter_in_only_one_model_is_reported():
    mapping = ModelMap(rules=RULES | {Position: lambda layer: {"position": same("position", rank=1)}})
    assert compare(TorchPosition(), Position(), (X,), mapping, **ONCE).unseen == ["position"]


class TorchTied(nn.Module):
    def __init__(self):
        super().__init__()
        self.head, self.embed = nn.Linear(4, 6, bias=False), nn.Embedding(6, 4)
        self.head.weight = self.embed.weight

    def forward(self, tokens):
        return self.head(self.embed(tokens))


class Tied(nnx.Module):
    def __init__(self, stops=False):
        self.embed, self.stops = nnx.Embed(6, 4, rngs=nnx.Rngs(0)), stops

    def __call__(self, tokens):
        table = self.embed.embedding[...]
        return self.embed(tokens) @ (jax.lax.stop_gradient(table) if self.stops else table).T


@pytest.mark.slow
@pytest.mark.parametrize("stops", [False, True])
def test_a_tied_parameter_has_its_gradient_compared(stops):
    tokens = np.arange(6).reshape(2, 3)
    mapping = ModelMap(ignored=("head.weight",))
    assert compare(TorchTied(), Tied(stops), (tokens,), mapping, **ONCE).passed is not stops


class TorchNothing(nn.Module):
    def forward(self, x):
        return None


class Nothing(nnx.Module):
    def __call__(self, x):
        return None


def test_an_empty_comparison_fails():
    with pytest.raises(AssertionError, match="nothing was compared"):
        assert_parity(TorchNothing(), Nothing(), (X.astype(int),))


def test_outputs_that_are_nan_in_both_are_refused():
    torch_module = TorchScale()
    torch_module.scale.data.fill_(float("nan"))
    with pytest.raises(ValueError, match="PyTorch's output holds no finite number"):
        compare(torch_module, Scale(), (X,), SCALAR)


def test_requested_precision_is_applied_and_then_restored():
    before = torch.get_float32_matmul_precision(), jax.config.values["jax_default_matmul_precision"]
    comparison = compare(TorchScale(), Scale(), (X,), SCALAR, precision="high")
    assert comparison.passed, comparison.failed
    assert comparison.environment["PyTorch float32 matmul precision"] == "high"
    assert comparison.environment["JAX matmul precision"] == "high"
    assert before == (torch.get_float32_matmul_precision(), jax.config.values["jax_default_matmul_precision"])
    highest = compare(TorchScale(), Scale(), (X,), SCALAR).environment
    assert highest["PyTorch float32 matmul precision"] == highest["JAX matmul precision"] == "highest"
    with pytest.raises(ValueError, match="precision is 'low', expected one of highest, high, medium"):
        compare(TorchScale(), Scale(), (X,), SCALAR, precision="low")


@pytest.mark.parametrize("inputs", [(jnp.asarray(X),), (torch.from_numpy(X),)])
def test_inputs_of_either_framework(inputs):
    assert compare(TorchScale(), Scale(), inputs, SCALAR, **ONCE).passed


@pytest.mark.parametrize(
    ("inputs", "dtypes", "sentence"),
    [
        (X, ("float64",), "inputs is of ndarray, expected a tuple"),
        ((X,), ("float16",), "dtypes is .*float16.*, expected some of float64, float32, bfloat16"),
        ((X,), "float32", "dtypes is 'float32'"),
        ((X,), (), r"dtypes is \(\)"),
    ],
)
def test_invalid_arguments_are_refused(inputs, dtypes, sentence):
    with pytest.raises(ValueError, match=sentence):
        compare(TorchScale(), Scale(), inputs, SCALAR, dtypes=dtypes)


class TorchCache(nn.Module):
    def forward(self, x, seen):
        if seen:
            raise RuntimeError("the cache is full")
        seen.append(x)
        return 2 * x


class TorchCached(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = TorchCache()

    def forward(self, x):
        return self.layer(x, Cache())


class Cache(list):
    """Not a tree for JAX, so it is passed on unchanged."""


class Layer(nnx.Module):
    def __call__(self, x, seen):
        return 2 * x


class Cached(nnx.Module):
    def __init__(self):
        self.layer = Layer()

    def __call__(self, x):
        return self.layer(x, None)


def test_a_module_pytorch_cannot_call_twice_is_reported():
    comparison = compare(TorchCached(), Cached(), (X,), **ONCE)
    assert comparison.passed, comparison.failed
    assert "the cache is full" in comparison.not_alone["layer"]


@pytest.mark.slow
def test_nested_and_stacked_sequentials():
    class TorchNet(nn.Module):
        def __init__(self):
            super().__init__()
            inner = nn.Sequential(nn.LayerNorm(4), nn.Linear(4, 4), nn.Tanh())
            self.net = nn.Sequential(nn.Linear(4, 4), nn.Tanh(), inner)
            self.blocks = nn.ModuleList(nn.Sequential(nn.Linear(4, 4), nn.Tanh()) for _ in range(3))

        def forward(self, x):
            x = self.net(x)
            for block in self.blocks:
                x = block(x)
            return x

    class Tanh(nnx.Module):
        def __call__(self, x):
            return jnp.tanh(x)

    class Net(nnx.Module):
        def __init__(self, rngs):
            inner = nnx.Sequential(nnx.LayerNorm(4, epsilon=1e-5, rngs=rngs), nnx.Linear(4, 4, rngs=rngs), Tanh())
            self.net = nnx.Sequential(nnx.Linear(4, 4, rngs=rngs), Tanh(), inner)

            @nnx.vmap(in_axes=0)
            def block(rngs):
                return nnx.Sequential(nnx.Linear(4, 4, rngs=rngs), Tanh())

            self.blocks = block(rngs.split(3))

        def __call__(self, x):
            graph, state = nnx.split(self.blocks)
            x = self.net(x)
            for number in range(3):
                x = nnx.merge(graph, jax.tree.map(lambda leaf, i=number: leaf[i], state))(x)
            return x

    comparison = compare(TorchNet(), Net(nnx.Rngs(0)), (X,), **ONCE)
    assert comparison.passed, comparison.failed
    assert not comparison.unseen
    assert {"net.0", "net.2.1", "net.2", "blocks.1.0", "blocks.2"} <= {m.label for m in comparison.alone}


def test_an_explicit_rename_precedes_that_of_a_sequential():
    class TorchNet(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.second = nn.Linear(4, 4), nn.Linear(4, 4)

        def forward(self, x):
            return self.second(self.first(x))

    class Net(nnx.Module):
        def __init__(self, rngs):
            self.net = nnx.Sequential(*(nnx.Linear(4, 4, rngs=rngs) for _ in range(2)))

        def __call__(self, x):
            return self.net(x)

    mapping = ModelMap(renames={"net.layers.0": "first", "net.layers.1": "second"})
    assert compare(TorchNet(), Net(nnx.Rngs(0)), (X,), mapping, **ONCE).passed


class TorchBlocks(nn.Module):
    def __init__(self, wrap=lambda module: module):
        super().__init__()
        self.blocks = wrap(nn.Linear(4, 4))

    def forward(self, x):
        return self.blocks(x)


class Blocks(nnx.Module):
    def __init__(self):
        self.blocks = nnx.Linear(4, 4, rngs=nnx.Rngs(0))

    def __call__(self, x):
        return self.blocks(x)


def test_modules_named_blocks_that_are_not_stacked():
    assert compare(TorchBlocks(), Blocks(), (X,), **ONCE).passed


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")  # of torch.compile itself
@pytest.mark.parametrize("wrap", [torch.compile, nn.DataParallel])
def test_wrapped_modules_compare_by_their_own_names(wrap):
    """Users' cases, row 22."""
    torch_module = wrap(TorchBlocks(wrap))
    before = set(torch_module.state_dict())
    comparison = compare(torch_module, Blocks(), (X,), **ONCE)
    assert comparison.passed
    assert {group.label for group in comparison.groups} == {"", "blocks"}
    assert set(torch_module.state_dict()) == before


@pytest.mark.parametrize(
    ("models", "message"),
    [
        ((nn.Linear(4, 4), linen.Dense(4)), "the Flax model is the Linen module Dense, expected an NNX module"),
        ((nn.Linear(4, 4), len), "the Flax model is of builtin_function_or_method, expected a flax.nnx.Module"),
        ((len, Blocks()), "the PyTorch model is of builtin_function_or_method, expected a torch.nn.Module"),
    ],
)
def test_what_is_no_module_is_refused(models, message):
    with pytest.raises(TypeError, match=message):
        compare(*models, (X,))
