"""Compare recurrent layers, of whose two biases Flax has the sum: users' case 22 (flax#3746)."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from flax import nnx
from torch import nn

from parity import ModelMap, Pair, bisect, compare
from parity.capture.tensors import torch_arrays
from parity.mapping.spec import WeightsError
from parity.mapping.weights import load_jax, to_torch

pytestmark = pytest.mark.slow

INPUTS = (np.random.default_rng(0).standard_normal((2, 5, 4), np.float32),)


def with_last_state(layer, x):
    """Return what PyTorch's layers return: the last states too, of all directions."""
    last, outputs = layer(x, return_carry=True)
    states = jax.tree.map(lambda *ways: jnp.stack(ways), *(last if isinstance(layer, nnx.Bidirectional) else (last,)))
    return outputs, states[::-1] if isinstance(states, tuple) else states  # PyTorch has an LSTM's cell state last


MAP = ModelMap(calls={"layer": with_last_state})


class BiasedGRUCell(nnx.GRUCell):
    """With the bias of the hidden state that PyTorch has."""

    def __init__(self, inputs, hidden, rngs):
        super().__init__(inputs, hidden, rngs=rngs)
        self.dense_h = nnx.Linear(hidden, 3 * hidden, rngs=rngs)


class TorchModel(nn.Module):
    def __init__(self, layer):
        super().__init__()
        self.layer, self.head = layer, nn.LazyLinear(3)
        self(torch.from_numpy(INPUTS[0]))

    def forward(self, x):
        return self.head(self.layer(x)[0])


class Model(nnx.Module):
    def __init__(self, layer, features, rngs):
        self.layer, self.head = layer, nnx.Linear(features, 3, rngs=rngs)

    def __call__(self, x):
        return self.head(self.layer(x))


def both_directions(rngs):
    return nnx.Bidirectional(*(nnx.RNN(nnx.OptimizedLSTMCell(4, 6, rngs=rngs)) for _ in range(2)))


PAIRS = {
    "lstm": (nn.LSTM, {}, lambda rngs: nnx.RNN(nnx.OptimizedLSTMCell(4, 6, rngs=rngs))),
    "lstm by gate": (nn.LSTM, {}, lambda rngs: nnx.RNN(nnx.LSTMCell(4, 6, rngs=rngs))),
    "lstm both ways": (nn.LSTM, {"bidirectional": True}, both_directions),
    "gru": (nn.GRU, {}, lambda rngs: nnx.RNN(BiasedGRUCell(4, 6, rngs))),
    "rnn": (nn.RNN, {}, lambda rngs: nnx.RNN(nnx.SimpleCell(4, 6, dtype=None, rngs=rngs))),
}


def pair(kind, change=lambda layer: None):
    make_torch, options, make_jax = PAIRS[kind]
    torch.manual_seed(0)
    layer = make_jax(nnx.Rngs(0))
    change(layer)
    return (
        TorchModel(make_torch(4, 6, batch_first=True, **options)),
        Model(layer, 12 if options else 6, nnx.Rngs(1)),
    )


@pytest.mark.parametrize("kind", PAIRS)
def test_values_and_gradients_agree(kind):
    comparison = compare(*pair(kind), INPUTS, MAP)
    assert comparison.passed, comparison.failed
    assert not comparison.not_alone
    assert {m.label for m in comparison.alone} == {"layer", "head"}


def test_another_activation_is_named():
    def change(layer):
        layer.cell.activation_fn = jax.nn.sigmoid

    faulty = Pair.of(*pair("lstm", change), MAP)
    assert [culprit.call.label for culprit in bisect(faulty, faulty.call(INPUTS))] == ["layer"]


@pytest.mark.parametrize("kind", PAIRS)
def test_weights_there_and_back_compute_the_same(kind):
    of_torch, of_jax = pair(kind)
    load_jax(of_jax, torch_arrays(of_torch))
    once = to_torch(of_jax)
    load_jax(of_jax, once)
    again = to_torch(of_jax)
    for name, tensor in torch_arrays(of_torch).items():
        np.testing.assert_array_equal(once[name], again[name])
        if "bias" not in name or kind == "gru":
            np.testing.assert_array_equal(once[name], tensor)
    if kind != "gru":
        biases = {name: tensor for name, tensor in torch_arrays(of_torch).items() if "bias_ih" in name}
        for name, tensor in biases.items():
            other = name.replace("_ih", "_hh")
            np.testing.assert_array_equal(once[name], tensor + torch_arrays(of_torch)[other])
            assert not once[other].any()


def test_a_gru_without_the_bias_of_its_state_is_refused():
    of_torch, _ = pair("gru")
    of_jax = Model(nnx.RNN(nnx.GRUCell(4, 6, rngs=nnx.Rngs(0))), 6, nnx.Rngs(1))
    with pytest.raises(WeightsError, match=r"unexpected: layer\.bias_hh_l0"):
        load_jax(of_jax, torch_arrays(of_torch))


def test_a_cell_without_a_rule_is_named():
    class Cell(nnx.RNNCellBase):
        def __init__(self, rngs):
            self.gate = nnx.Param(rngs.params.normal((2,)))

    of_jax = Model(nnx.RNN(Cell(nnx.Rngs(0))), 6, nnx.Rngs(1))
    with pytest.raises(WeightsError, match=r"no layout: layer\.cell\.gate of Cell"):
        to_torch(of_jax)
