"""Compare PyTorch's own encoder layer with one in Flax; if that has a fault, the faulty module is named."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from torch import nn

from parity import ModelMap, Pair, bisect, compare

WIDTH, HEADS, INNER = 8, 2, 16
MAP = ModelMap(calls={"self_attn": lambda module, query, key, value, **_: module(query, key, value)})
INPUTS = (np.random.default_rng(0).standard_normal((2, 5, WIDTH), np.float32),)


def attend(query, key, value, **_):
    """Attention in the inputs' precision; Flax's own computes its softmax in float32."""
    scores = jnp.einsum("bqhd,bkhd->bhqk", query, key) / np.sqrt(query.shape[-1])
    return jnp.einsum("bhqk,bkhd->bqhd", jax.nn.softmax(scores), value)


class Encoder(nnx.Module):
    def __init__(self, rngs, epsilon=1e-5, attend=attend, activation=nnx.relu):
        self.self_attn = nnx.MultiHeadAttention(HEADS, WIDTH, decode=False, attention_fn=attend, rngs=rngs)
        self.linear1, self.linear2 = nnx.Linear(WIDTH, INNER, rngs=rngs), nnx.Linear(INNER, WIDTH, rngs=rngs)
        self.norm1 = nnx.LayerNorm(WIDTH, epsilon=1e-5, use_fast_variance=False, rngs=rngs)
        self.norm2 = nnx.LayerNorm(WIDTH, epsilon=epsilon, use_fast_variance=False, rngs=rngs)
        self.activation = activation

    def __call__(self, x):
        x = self.norm1(x + self.self_attn(x))
        return self.norm2(x + self.linear2(self.activation(self.linear1(x))))


def torch_layer(activation="relu"):
    return nn.TransformerEncoderLayer(WIDTH, HEADS, INNER, activation=activation, batch_first=True)


@pytest.mark.slow
def test_the_layer_and_its_sub_modules_agree():
    comparison = compare(torch_layer(), Encoder(nnx.Rngs(0)), INPUTS, MAP)
    assert comparison.passed, comparison.failed
    assert not comparison.culprits
    assert not comparison.not_alone
    parts = {"self_attn", "linear1", "linear2", "norm1", "norm2"}
    for dtype in ("float64", "float32"):
        kinds = {(m.label, m.kind) for m in comparison.alone if m.tensor.dtype == dtype}
        assert kinds == {
            (label, kind) for label in parts for kind in ("output", "gradient of parameter", "gradient of input")
        }
    parameters = {m.tensor.name for m in comparison.whole if m.kind == "gradient of parameter"}
    assert {"self_attn.in_proj_weight", "self_attn.in_proj_bias", "self_attn.out_proj.weight"} < parameters
    assert {"dropout", "dropout1", "self_attn.query"} < set(comparison.unseen), "modules of only one model are reported"


def swapped(query, key, value, **_):
    return attend(key, query, value)


WRONG = {  # options of the Flax layer, and the module that they break; empty for the whole
    "epsilon": ({"epsilon": 1e-6}, "norm2"),
    "query and key": ({"attend": swapped}, "self_attn"),
    "an attention with a softmax in float32": ({"attend": nnx.dot_product_attention}, "self_attn"),
    "GELU by tanh": ({"activation": nnx.gelu}, ""),
}


@pytest.mark.slow
@pytest.mark.parametrize("wrong", WRONG)
def test_the_wrong_module_is_named(wrong):
    options, label = WRONG[wrong]
    torch_module = torch_layer("gelu" if "activation" in options else "relu")
    pair = Pair.of(torch_module, Encoder(nnx.Rngs(0), **options), MAP)
    (culprit,) = bisect(pair, pair.call(INPUTS))
    assert culprit.call.label == label
    assert culprit.forward
    files = (
        {"norm2": "normalization.py", "self_attn": "activation.py"},
        {"norm2": "normalization.py", "self_attn": "attention.py"},
    )
    assert files[0].get(label, "transformer.py") in culprit.torch_code
    assert files[1].get(label, "test_foreign_encoder.py") in culprit.jax_code
