"""Random weights for a comparison."""

from zlib import crc32

import numpy as np

from configs.config import Config
from parity.aef.model import abstract_torch
from parity.capture.tensors import torch_specs
from parity.capture.trees import Arrays


def random_weights(config: Config) -> Arrays:
    """Draw the weights of a config's model.

    A weight depends on its name and shape alone. Kernels are scaled so that activations keep their size. No bias is 0
    and no scale is 1, because a comparison would not notice one that is left out.

    Args:
        config: a run's config.

    Returns:
        float64 arrays by PyTorch's names.
    """

    def of(name: str, shape: tuple[int, ...]) -> np.ndarray:
        noise = np.random.default_rng(crc32(name.encode())).standard_normal(shape)
        if len(shape) == 1:
            return noise / 10 + (name.rpartition(".")[2] == "weight")
        return noise / np.sqrt(np.prod(shape[1:]))

    return {name: of(name, spec.shape) for name, spec in torch_specs(abstract_torch(config)).items()}
