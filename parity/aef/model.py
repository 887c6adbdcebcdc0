"""The AEF model in both frameworks, with shapes and dtypes but no numbers."""

from collections.abc import Iterator
from contextlib import contextmanager

import jax
import numpy as np
import torch
from flax import nnx

import aef_jax.model.alphaearth
import aef_torch.model.alphaearth
from aef_jax.training.step import abstract_model
from configs.config import Config


def abstract_jax(config: Config, dtype: str = "float32") -> aef_jax.model.alphaearth.AlphaEarth:
    """Build the Flax model with abstract parameters. It is traced once for each config.

    Args:
        config: a run's config.
        dtype: the parameters' dtype.

    Returns:
        The model.

    Raises:
        ValueError: it cannot be built.
    """
    with _build_errors():
        graph, shapes = abstract_model(config)
    return nnx.merge(graph, jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape, np.dtype(dtype)), shapes))


def abstract_torch(config: Config) -> aef_torch.model.alphaearth.AlphaEarth:
    """Build the PyTorch model on the meta device.

    Args:
        config: a run's config.

    Returns:
        The model.

    Raises:
        ValueError: it cannot be built.
    """
    with _build_errors(), torch.device("meta"):
        return aef_torch.model.alphaearth.AlphaEarth(config)


@contextmanager
def _build_errors() -> Iterator[None]:
    """Turn errors into ValueError: a valid config may ask for absurd sizes, or name a source as no module can be."""
    try:
        yield
    except (ArithmeticError, KeyError, RuntimeError, TypeError, ValueError) as error:
        raise ValueError(f"the config describes a model that cannot be built: {error}") from error
