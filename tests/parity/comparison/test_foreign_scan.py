"""Compare tokens, blocks stacked in a scan and a transposed convolution: modules in the scan are compared alone."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from flax import nnx
from torch import nn

from parity import ModelMap, Pair, bisect, compare

WIDTH, SIDE, BLOCKS = 6, 4, 3
MAP = ModelMap(channels_first={"grow": 4})
IDS = (np.random.default_rng(0).integers(0, 10, (2, SIDE * SIDE)),)


class TorchBlock(nn.Module):
    def __init__(self):
        super().__init__()
        self.norm, self.inner = nn.LayerNorm(WIDTH), nn.Linear(WIDTH, WIDTH)

    def forward(self, x):
        return x + torch.tanh(self.inner(self.norm(x)))


class TorchModel(nn.Module):
    def __init__(self):
        super().__init__()
        self.tokens = nn.Embedding(10, WIDTH)
        self.blocks = nn.ModuleList([TorchBlock() for _ in range(BLOCKS)])
        self.grow = nn.ConvTranspose2d(WIDTH, 2, 2, stride=2)

    def forward(self, ids):
        x = self.tokens(ids)
        for block in self.blocks:
            x = block(x)
        image = self.grow(x.mT.unflatten(2, (SIDE, SIDE)))
        return {"image": image.movedim(1, -1), "ids": ids}


class Block(nnx.Module):
    def __init__(self, rngs, epsilon):
        self.norm = nnx.LayerNorm(WIDTH, epsilon=epsilon, use_fast_variance=False, rngs=rngs)
        self.inner = nnx.Linear(WIDTH, WIDTH, rngs=rngs)

    def __call__(self, x):
        return x + jnp.tanh(self.inner(self.norm(x)))


class Model(nnx.Module):
    def __init__(self, rngs, epsilon=1e-5):
        self.tokens = nnx.Embed(10, WIDTH, rngs=rngs)
        self.blocks = nnx.vmap(lambda rngs: Block(rngs, epsilon))(rngs.split(BLOCKS))
        self.grow = nnx.ConvTranspose(WIDTH, 2, (2, 2), 2, padding="VALID", transpose_kernel=True, rngs=rngs)

    def __call__(self, ids):
        graph, state = nnx.split(self.blocks)
        x, _ = jax.lax.scan(lambda x, block: (nnx.merge(graph, block)(x), None), self.tokens(ids), state)
        return {"image": self.grow(x.reshape(-1, SIDE, SIDE, WIDTH)), "ids": ids}


@pytest.mark.slow
def test_modules_in_a_scan_are_reported_and_compared_alone():
    comparison = compare(TorchModel(), Model(nnx.Rngs(0)), IDS, MAP)
    assert comparison.passed, comparison.failed
    assert not comparison.not_alone
    inside = {f"blocks.{i}{part}" for i in range(BLOCKS) for part in ("", ".norm", ".inner")}
    assert set(comparison.unseen) == inside
    assert {m.label for m in comparison.running} == {"tokens", "grow"}
    assert {m.label for m in comparison.alone} == inside | {"tokens", "grow"}
    assert not [m for m in comparison.alone if m.label == "tokens" and m.kind == "gradient of input"], (
        "integers have none"
    )
    assert {m.tensor.name for m in comparison.whole if m.kind == "output"} == {"['ids']", "['image']"}


@pytest.mark.slow
def test_the_wrong_module_in_a_scan_is_named():
    pair = Pair.of(TorchModel(), Model(nnx.Rngs(0), epsilon=1e-3), MAP)
    assert [culprit.call.label for culprit in bisect(pair, pair.call(IDS))] == [
        f"blocks.{i}.norm" for i in range(BLOCKS)
    ]
