"""Capture modules with keywords, None among their outputs, in-place operations, state and exceptions."""

import jax.numpy as jnp
import numpy as np
import pytest
import torch
from flax import nnx
from torch import nn

from parity import ModelMap, Pair, compare
from parity.mapping.spec import WeightsError

pytestmark = pytest.mark.slow

X = np.random.default_rng(0).standard_normal((3, 4), np.float32)


def torch_scaled(x, by):
    return x * by


def jax_scaled(x, by):
    return x * by


class TorchGate(nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(4, 4)

    def forward(self, x, *, mask, scale=2.0):
        return torch_scaled(self.linear(x) * mask, scale), None, mask


class TorchTable(nn.Module):
    def forward(self, length):
        return torch.arange(float(length))


class TorchNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.gate, self.same, self.drop = TorchGate(), nn.Identity(), nn.Dropout(0.5)
        self.table = TorchTable()

    def forward(self, x):
        y, _, mask = self.gate(x, mask=x > 0)
        z, _, _ = self.gate(self.same(y), mask=mask, scale=3.0)
        return self.drop(z) + y + self.table(4)


class Gate(nnx.Module):
    def __init__(self, rngs):
        self.linear = nnx.Linear(4, 4, rngs=rngs)

    def __call__(self, x, *, mask, scale=2.0):
        return jax_scaled(self.linear(x) * mask, scale), None, mask


class Same(nnx.Module):
    def __call__(self, x):
        return x


class Table(nnx.Module):
    def __call__(self, length):
        return jnp.arange(float(length))


class Net(nnx.Module):
    def __init__(self, rngs):
        self.gate, self.same, self.drop = Gate(rngs), Same(), nnx.Dropout(0.5, rngs=rngs)
        self.table = Table()

    def __call__(self, x):
        y, _, mask = self.gate(x, mask=x > 0)
        z, _, _ = self.gate(self.same(y), mask=mask, scale=3.0)
        return self.drop(z) + y + self.table(4)


FUNCTIONS = {f"{__name__}.jax_scaled": f"{__name__}.torch_scaled"}
"""They are looked up in this module when they are called, where the comparison replaces them."""


def test_keywords_none_reuse_identities_and_functions():
    comparison = compare(TorchNet(), Net(nnx.Rngs(0)), (X,), ModelMap(functions=FUNCTIONS))
    assert comparison.passed, comparison.failed
    assert not comparison.not_alone
    assert not comparison.unseen
    first = ["gate.linear", f"{__name__}.jax_scaled", "gate"]
    calls = [*first, "same", *(f"{call} (call 2)" for call in first), "drop", "table"]
    float64 = [m for m in comparison.running if m.tensor.dtype == "float64"]
    assert [m.call for m in float64 if m.kind == "output" and m.tensor.name != "[2]"] == calls, "except the mask"
    assert all(m.tensor.passed for m in float64), "with the same gradients"
    gradients = {m.call for m in float64 if m.kind == "gradient of output"}
    assert gradients == set(calls)


def test_an_identity_module_has_a_gradient_of_its_own():
    pair = Pair.of(TorchNet(), Net(nnx.Rngs(0)))
    call = pair.call((X,))
    by_torch = {(c.label, c.count): c for c in pair.torch.watch(call, pair.labels, "float64")[1]}
    by_jax = {(c.label, c.count): c for c in pair.jax.watch(call, pair.labels, "float64")[1]}
    assert list(by_torch) == list(by_jax), "in the same order"
    gate, same = by_torch["gate", 0].cotangents["[0]"], by_torch["same", 0].cotangents[""]
    assert np.abs(gate - same).max() > 0.1, "y is also used elsewhere"
    for key, torch_call in by_torch.items():
        assert torch_call.cotangents.keys() == by_jax[key].cotangents.keys()
        for name, cotangent in torch_call.cotangents.items():
            np.testing.assert_allclose(by_jax[key].cotangents[name], cotangent, rtol=1e-13, atol=1e-14)


class OddGate(Gate):
    def __call__(self, x, positive, factor=2.0):
        return super().__call__(x, mask=positive, scale=factor)


class OddNet(Net):
    def __init__(self, rngs):
        super().__init__(rngs)
        self.gate = OddGate(rngs)

    def __call__(self, x):
        y, _, positive = self.gate(x, x > 0)
        z, _, _ = self.gate(self.same(y), positive, 3.0)
        return self.drop(z) + y + self.table(4)


def test_uncallable_modules_are_reported_by_their_children():
    comparison = compare(TorchNet(), OddNet(nnx.Rngs(0)), (X,))
    assert comparison.passed, comparison.failed
    assert comparison.not_alone.keys() == {"gate"}
    assert "TypeError" in comparison.not_alone["gate"]
    assert "unexpected keyword argument 'mask'" in comparison.not_alone["gate"]
    assert {m.label for m in comparison.alone} == {"gate.linear", "same", "drop", "table"}


class Chatty(Same):
    def __call__(self, x):
        return x, x.sum()


class ChattyNet(Net):
    def __init__(self, rngs):
        super().__init__(rngs)
        self.same = Chatty()

    def __call__(self, x):
        y, _, mask = self.gate(x, mask=x > 0)
        z, _, _ = self.gate(self.same(y)[0], mask=mask, scale=3.0)
        return self.drop(z) + y + self.table(4)


def test_a_module_with_other_outputs_is_reported():
    comparison = compare(TorchNet(), ChattyNet(nnx.Rngs(0)), (X,), dtypes=("float64",))
    assert comparison.passed, comparison.failed
    assert comparison.not_alone.keys() == {"same"}
    assert "same" not in {m.label for m in comparison.running}


class Deep(nnx.Module):
    def __init__(self, rngs):
        self.linear = nnx.Linear(4, 4, rngs=rngs)

    def __call__(self, x):
        return jnp.tanh(self.linear(x))


class DeepGate(Gate):
    def __init__(self, rngs):
        self.deep = Deep(rngs)

    def linear(self, x):
        return jnp.arctanh(self.deep(x))


class DeepNet(Net):
    def __init__(self, rngs):
        super().__init__(rngs)
        self.gate = DeepGate(rngs)


def test_outermost_of_modules_merged_in_pytorch_is_compared():
    mapping = ModelMap(renames={"gate.deep": "gate"})
    comparison = compare(TorchNet(), DeepNet(nnx.Rngs(0)), (X,), mapping, dtypes=("float64",))
    assert comparison.passed, comparison.failed
    assert {m.label for m in comparison.alone} == {"gate", "gate.linear", "same", "drop", "table"}
    assert not comparison.unseen
    assert [m.call for m in comparison.running if m.label == "gate" and m.tensor.name == "[0]"].count("gate") == 2


class Fails(Same):
    def __call__(self, x):
        raise RuntimeError("in Flax")


@pytest.mark.parametrize("fails", [False, True])
def test_modules_are_not_changed(fails):
    torch_module, jax_module = TorchNet().train(), Net(nnx.Rngs(0))
    torch_module.gate.register_forward_hook(lambda *_: None)
    if fails:
        jax_module.same = Fails()
    graph, kernel = nnx.graphdef(jax_module), jax_module.gate.linear.kernel[...]
    tensors = {name: tensor.clone() for name, tensor in torch_module.state_dict().items()}
    hooks = [(len(m._forward_hooks), len(m._forward_pre_hooks), m.training) for m in torch_module.modules()]
    calls = {kind: kind.__dict__.get("__call__") for kind in (Net, Gate, Same, Fails, nnx.Linear, nnx.Dropout)}
    functions = torch_scaled, jax_scaled
    if fails:
        with pytest.raises(RuntimeError, match="in Flax"):
            compare(torch_module, jax_module, (X,), ModelMap(functions=FUNCTIONS))
    else:
        compare(torch_module, jax_module, (X,), ModelMap(functions=FUNCTIONS), dtypes=("float64",))
    assert [(len(m._forward_hooks), len(m._forward_pre_hooks), m.training) for m in torch_module.modules()] == hooks
    assert all(torch.equal(tensor, tensors[name]) for name, tensor in torch_module.state_dict().items())
    assert calls == {kind: kind.__dict__.get("__call__") for kind in calls}
    assert functions == (torch_scaled, jax_scaled)
    assert nnx.graphdef(jax_module) == graph
    assert jax_module.gate.linear.kernel[...] is kernel


def test_sub_modules_of_only_one_model_are_reported():
    torch_module, jax_module = TorchNet(), Net(nnx.Rngs(0))
    torch_module.extra, jax_module.other = nn.Tanh(), Same()
    comparison = compare(torch_module, jax_module, (X,), dtypes=("float64",))
    assert comparison.passed
    assert comparison.unseen == ["extra", "other"]


def test_weights_that_do_not_fit_are_refused_at_once():
    torch_module = TorchNet()
    torch_module.gate.linear = nn.Linear(4, 5)
    with pytest.raises(
        WeightsError, match=r"wrong shape: gate.linear.weight, expected float64 \(4, 4\), found .*\(5, 4\)"
    ):
        Pair.of(torch_module, Net(nnx.Rngs(0)))
