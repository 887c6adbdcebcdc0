"""Outputs are paired in PyTorch's order: long tuples, and dataclasses with tuples in Flax."""

from dataclasses import dataclass

import numpy as np
import pytest
import torch
from flax import nnx
from torch import nn

from parity import compare

X = np.random.default_rng(0).standard_normal((3, 4), np.float32)


@dataclass
class Found:
    second: torch.Tensor
    first: torch.Tensor
    missing: torch.Tensor | None = None


class TorchMany(nn.Module):
    def forward(self, x):
        return tuple(x * factor for factor in range(12))


class Many(nnx.Module):
    def __call__(self, x):
        return tuple(x * factor for factor in range(12))


class TorchNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.many = TorchMany()

    def forward(self, x):
        many = self.many(x)
        return Found(second=many[2] * many[10], first=many[1].sum(-1))


class Net(nnx.Module):
    def __init__(self):
        self.many = Many()

    def __call__(self, x):
        many = self.many(x)
        return many[2] * many[10], many[1].sum(-1)


class NetOfOne(Net):
    def __call__(self, x):
        return super().__call__(x)[0]


def test_outputs_are_paired_in_their_order():
    comparison = compare(TorchNet(), Net(), (X,), dtypes=("float64",))
    assert comparison.passed, comparison.failed
    assert not comparison.not_alone
    assert len({m.tensor.name for m in comparison.alone if m.kind == "output"}) == 12
    assert all(m.tensor.passed for m in comparison.running)


def test_a_whole_that_returns_other_arrays_is_refused():
    with pytest.raises(ValueError, match=r"it returns arrays of the shapes \[\(3, 4\)\] in JAX and .* in PyTorch"):
        compare(TorchNet(), NetOfOne(), (X,))
