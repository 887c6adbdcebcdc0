"""The structure of the AEF model in both frameworks, without a single number initialised."""

import torch
from flax import nnx

import aef_jax.model
import aef_torch.model
from configs.run import Config


def abstract_jax(config: Config) -> aef_jax.model.AlphaEarth:
    """The Flax model whose parameters are shapes and dtypes only."""
    return nnx.eval_shape(lambda: aef_jax.model.AlphaEarth(config, rngs=nnx.Rngs(0)))


def abstract_torch(config: Config) -> aef_torch.model.AlphaEarth:
    """The PyTorch model on the meta device."""
    with torch.device("meta"):
        return aef_torch.model.AlphaEarth(config)
