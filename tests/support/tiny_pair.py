"""A small model in both frameworks, with no connection to AEF."""

import numpy as np
import torch
from flax import nnx
from jax import Array
from torch import Tensor, nn

from parity import Pair
from parity.capture.calls import Call

WIDTH = 8


class TorchBlock(nn.Module):
    def __init__(self):
        super().__init__()
        self.norm, self.dense = nn.LayerNorm(WIDTH), nn.Linear(WIDTH, WIDTH)

    def forward(self, x: Tensor) -> Tensor:
        return x + torch.tanh(self.dense(self.norm(x)))


class TorchModel(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.second = TorchBlock(), TorchBlock()

    def forward(self, x: Tensor) -> Tensor:
        return self.second(self.first(x))


class JaxBlock(nnx.Module):
    def __init__(self, epsilon: float, rngs: nnx.Rngs):
        self.norm = nnx.LayerNorm(WIDTH, epsilon=epsilon, use_fast_variance=False, rngs=rngs)
        self.dense = nnx.Linear(WIDTH, WIDTH, rngs=rngs)

    def __call__(self, x: Array) -> Array:
        return x + nnx.tanh(self.dense(self.norm(x)))


class JaxModel(nnx.Module):
    def __init__(self, epsilon: float, rngs: nnx.Rngs):
        self.first, self.second = JaxBlock(1e-5, rngs), JaxBlock(epsilon, rngs)

    def __call__(self, x: Array) -> Array:
        return self.second(self.first(x))


def tiny_pair(epsilon: float = 1e-5) -> tuple[Pair, Call]:
    """Return the pair and a call of it. `epsilon` is that of the second norm in JAX; PyTorch has 1e-5."""
    torch.manual_seed(0)
    pair = Pair.of(TorchModel(), JaxModel(epsilon, nnx.Rngs(0)))
    return pair, pair.call((np.random.default_rng(0).standard_normal((16, WIDTH), np.float32),))
