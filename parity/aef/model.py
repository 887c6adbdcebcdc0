"""The structure of the AEF model in both frameworks, without a single number initialised."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from flax import nnx

import aef_jax.model.alphaearth
import aef_torch.model.alphaearth
from configs.config import Config


def abstract_jax(config: Config) -> aef_jax.model.alphaearth.AlphaEarth:
    """The Flax model whose parameters are shapes and dtypes only. Raises ValueError where it cannot be built."""
    with _told():
        return nnx.eval_shape(lambda: aef_jax.model.alphaearth.AlphaEarth(config, rngs=nnx.Rngs(0)))


def abstract_torch(config: Config) -> aef_torch.model.alphaearth.AlphaEarth:
    """The PyTorch model on the meta device. Raises ValueError where it cannot be built."""
    with _told(), torch.device("meta"):
        return aef_torch.model.alphaearth.AlphaEarth(config)


@contextmanager
def _told() -> Iterator[None]:
    """A config out of a file may be valid, and of absurd sizes, or name a source as no PyTorch module can be named."""
    try:
        yield
    except (ArithmeticError, KeyError, RuntimeError, TypeError, ValueError) as error:
        raise ValueError(f"the config describes a model that cannot be built: {error}") from error
