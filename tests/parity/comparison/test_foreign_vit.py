"""Compare Hugging Face's ViT, with random weights, with a Flax one that fuses query, key and value."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from einops import rearrange
from flax import nnx

from parity import ModelMap, Pair, bisect, compare
from parity.mapping.rules import RULES, fused, linear, same

WIDTH, HEADS, LAYERS, SIDE, PATCH = 8, 2, 2, 8, 4


class Embeddings(nnx.Module):
    def __init__(self, rngs):
        self.cls_token = nnx.Param(jnp.zeros((1, 1, WIDTH)))
        self.position_embeddings = nnx.Param(jnp.zeros((1, (SIDE // PATCH) ** 2 + 1, WIDTH)))
        self.projection = nnx.Conv(3, WIDTH, (PATCH, PATCH), PATCH, padding="VALID", rngs=rngs)

    def __call__(self, pixels, **_):
        patches = rearrange(self.projection(pixels), "b h w c -> b (h w) c")
        first = jnp.broadcast_to(self.cls_token[...], (len(patches), 1, WIDTH))
        return jnp.concatenate([first, patches], axis=1) + self.position_embeddings[...]


class Attention(nnx.Module):
    def __init__(self, rngs):
        self.qkv, self.out = nnx.Linear(WIDTH, 3 * WIDTH, rngs=rngs), nnx.Linear(WIDTH, WIDTH, rngs=rngs)

    def __call__(self, x):
        q, k, v = rearrange(self.qkv(x), "b n (part h d) -> part b h n d", part=3, h=HEADS)
        weights = jax.nn.softmax(q @ k.mT / np.sqrt(q.shape[-1]))
        return self.out(rearrange(weights @ v, "b h n d -> b n (h d)"))


class Mlp(nnx.Module):
    def __init__(self, rngs, approximate):
        self.fc1, self.fc2 = nnx.Linear(WIDTH, 16, rngs=rngs), nnx.Linear(16, WIDTH, rngs=rngs)
        self.approximate = approximate

    def __call__(self, x):
        return self.fc2(nnx.gelu(self.fc1(x), approximate=self.approximate))


class Layer(nnx.Module):
    def __init__(self, rngs, approximate):
        self.before, self.after = norm(rngs), norm(rngs)
        self.attention, self.mlp = Attention(rngs), Mlp(rngs, approximate)

    def __call__(self, x):
        x = x + self.attention(self.before(x))
        return x + self.mlp(self.after(x))


class ViT(nnx.Module):
    def __init__(self, rngs, approximate=False):
        self.embeddings = Embeddings(rngs)
        self.layers = nnx.vmap(lambda rngs: Layer(rngs, approximate))(rngs.split(LAYERS))
        self.norm, self.pooler = norm(rngs), nnx.Linear(WIDTH, WIDTH, rngs=rngs)

    def __call__(self, pixels):
        x = self.embeddings(pixels)
        graph, state = nnx.split(self.layers)
        for index in range(LAYERS):
            x = nnx.merge(graph, jax.tree.map(lambda a, i=index: a[i], state))(x)
        x = self.norm(x)
        return x, jnp.tanh(self.pooler(x[:, 0]))


def norm(rngs):
    return nnx.LayerNorm(WIDTH, epsilon=1e-12, use_fast_variance=False, rngs=rngs)


QKV = fused(linear(), ("q_proj", "k_proj", "v_proj"))
MAP = ModelMap(
    rules=RULES
    | {
        Attention: lambda layer: {f"qkv.{name}": layouts for name, layouts in QKV.items()},
        Embeddings: lambda layer: {name: same(name, rank=3) for name in ("cls_token", "position_embeddings")},
    },
    stacks=("layers",),
    renames={
        "embeddings.projection": "embeddings.patch_embeddings.projection",
        "layers.*.attention.out": "layers.*.attention.o_proj",
        "layers.*.before": "layers.*.layernorm_before",
        "layers.*.after": "layers.*.layernorm_after",
        "norm": "layernorm",
        "pooler": "pooler.dense",
    },
    channels_first={"": 4, "embeddings": 4, "embeddings.patch_embeddings*": 4},
    calls={"layers.*": lambda module, x, *_, **__: module(x)},
)


@pytest.fixture(scope="module")
def torch_vit():
    from transformers import ViTConfig, ViTModel

    sizes = {"hidden_size": WIDTH, "num_hidden_layers": LAYERS, "num_attention_heads": HEADS, "intermediate_size": 16}
    return ViTModel(ViTConfig(**sizes, image_size=SIDE, patch_size=PATCH, initializer_range=0.5))


INPUTS = (np.random.default_rng(0).standard_normal((2, SIDE, SIDE, 3), np.float32),)


@pytest.mark.slow
def test_the_model_and_its_sub_modules_agree(torch_vit):
    comparison = compare(torch_vit, ViT(nnx.Rngs(0)), INPUTS, MAP)
    assert comparison.passed, comparison.failed
    assert not comparison.not_alone, comparison.not_alone
    labels = {m.label for m in comparison.alone}
    each = (
        "",
        ".layernorm_before",
        ".attention",
        ".attention.o_proj",
        ".layernorm_after",
        ".mlp",
        ".mlp.fc1",
        ".mlp.fc2",
    )
    assert {f"layers.{index}{part}" for index in range(LAYERS) for part in each} < labels
    assert {"embeddings", "embeddings.patch_embeddings.projection", "layernorm", "pooler.dense"} < labels
    fused = {f"layers.0.attention.{part}_proj.{name}" for part in "qkv" for name in ("weight", "bias")}
    assert fused < {m.tensor.name for m in comparison.alone if m.kind == "gradient of parameter"}
    assert {"layers.1.attention.q_proj", "layers.1.attention.qkv", "pooler"} < set(comparison.unseen)


@pytest.mark.slow
def test_the_wrong_module_is_named(torch_vit):
    pair = Pair.of(torch_vit, ViT(nnx.Rngs(0), approximate=True), MAP)
    assert [culprit.call.label for culprit in bisect(pair, pair.call(INPUTS))] == ["layers.0.mlp", "layers.1.mlp"]
