"""Weights for a comparison that need no training."""

from zlib import crc32

import numpy as np

from configs.config import Config
from parity.aef.model import abstract_torch
from parity.capture.tensors import torch_specs
from parity.capture.trees import Arrays


def random_weights(config: Config) -> Arrays:
    """By PyTorch's names, in float64; the same for the same name and shape, whatever else there is.

    Kernels have the scale that keeps activations at theirs. No bias is 0 and no scale 1: a comparison would not see
    one that is left out.
    """

    def of(name: str, shape: tuple[int, ...]) -> np.ndarray:
        noise = np.random.default_rng(crc32(name.encode())).standard_normal(shape)
        if len(shape) == 1:
            return noise / 10 + (name.rpartition(".")[2] == "weight")
        return noise / np.sqrt(np.prod(shape[1:]))

    return {name: of(name, spec.shape) for name, spec in torch_specs(abstract_torch(config)).items()}
