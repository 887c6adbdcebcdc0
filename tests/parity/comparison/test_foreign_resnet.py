"""Compare a ResNet block as in torchvision: channels first, norms with running statistics, in-place operations."""

import numpy as np
import pytest
import torch
from flax import nnx
from torch import nn

from parity import ModelMap, Pair, bisect, compare

MAP = ModelMap(channels_first={"*": 4}, renames={"downsample.layers": "downsample"})
INPUTS = (np.random.default_rng(0).standard_normal((2, 8, 6, 4), np.float32),)


class TorchBlock(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(4, 6, 3, stride=2, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(6)
        self.relu = nn.ReLU(inplace=True)
        self.conv2 = nn.Conv2d(6, 6, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(6)
        self.downsample = nn.Sequential(nn.Conv2d(4, 6, 1, stride=2, bias=False), nn.BatchNorm2d(6))
        for norm in (self.bn1, self.bn2, self.downsample[1]):  # as after training
            nn.init.normal_(norm.running_mean)
            nn.init.uniform_(norm.running_var, 0.5, 2)

    def forward(self, x):
        out = self.relu(self.bn1(self.conv1(x)))
        out = self.bn2(self.conv2(out))
        out += self.downsample(x)
        return self.relu(out)


class Relu(nnx.Module):
    def __call__(self, x):
        return nnx.relu(x)


class Block(nnx.Module):
    def __init__(self, rngs, epsilon=1e-5, padding=1):
        def conv(inputs, side, stride, padding):
            return nnx.Conv(inputs, 6, (side, side), stride, padding=padding, use_bias=False, rngs=rngs)

        self.conv1, self.conv2 = conv(4, 3, 2, padding), conv(6, 3, 1, 1)
        self.bn1, self.bn2 = nnx.BatchNorm(6, rngs=rngs), nnx.BatchNorm(6, rngs=rngs)
        self.downsample = nnx.Sequential(conv(4, 1, 2, 0), nnx.BatchNorm(6, epsilon=epsilon, rngs=rngs))
        self.relu = Relu()

    def __call__(self, x):
        out = self.bn2(self.conv2(self.relu(self.bn1(self.conv1(x)))))
        return self.relu(out + self.downsample(x))


@pytest.mark.slow
def test_the_block_and_its_sub_modules_agree():
    comparison = compare(TorchBlock(), Block(nnx.Rngs(0)), INPUTS, MAP)
    assert comparison.passed, comparison.failed
    assert not comparison.not_alone
    assert not comparison.unseen
    parts = {"conv1", "bn1", "relu", "conv2", "bn2", "downsample", "downsample.0", "downsample.1"}
    assert {m.label for m in comparison.alone} == parts
    assert {m.call for m in comparison.alone if m.label == "relu"} == {"relu", "relu (call 2)"}
    float64 = [m for m in comparison.running if m.tensor.dtype == "float64"]
    assert all(m.tensor.passed for m in float64), "values changed in place are recorded as they were, also gradients"
    assert [m.call for m in float64 if m.kind == "output"] == [
        *("conv1", "bn1", "relu", "conv2", "bn2", "downsample.0", "downsample.1", "downsample", "relu (call 2)")
    ]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("options", "label"),
    [({"padding": "SAME"}, "conv1"), ({"epsilon": 1e-3}, "downsample.1")],
    ids=["padding", "epsilon"],
)
def test_the_wrong_module_is_named(options, label):
    torch.manual_seed(0)
    pair = Pair.of(TorchBlock(), Block(nnx.Rngs(0), **options), MAP)
    assert [culprit.call.label for culprit in bisect(pair, pair.call(INPUTS))] == [label]
