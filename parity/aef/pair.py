"""AEF as a pair of models, for the general comparison."""

from dataclasses import replace
from typing import Any

import jax
import numpy as np
import torch
from flax import nnx

import aef_jax.model.alphaearth
import aef_jax.training.objective
import aef_torch.training.objective
from aef_torch.model.alphaearth import AlphaEarth
from configs.config import Config
from parity.capture.jax_side import JaxSide
from parity.capture.tensors import load_torch
from parity.capture.torch_side import TorchSide
from parity.capture.trees import Arrays, cast
from parity.comparison.pair import Pair
from parity.mapping.model_map import ModelMap
from parity.mapping.weights import to_jax

FUNCTIONS = (
    "objective.von_mises_fisher",
    "losses.reconstruction_error",
    "losses.uniformity",
    "losses.consistency",
    "losses.clip",
)
MAP = ModelMap(
    functions={f"aef_jax.training.{name}": f"aef_torch.training.{name}" for name in FUNCTIONS},
    float32=[f"aef_jax.training.{name}" for name in FUNCTIONS],
)
"""Attribute names are the same in both, by the mirror rule, so only the functions of the objective are listed."""


def aef_pair(config: Config, weights: Arrays, compiled: bool = True, jax_weights: Arrays | None = None) -> Pair:
    """Pair the objective of both frameworks, called with (batch, noise).

    Blocks are unrolled and nothing is recomputed, because values within a scan or a remat cannot be captured.

    Args:
        config: a run's config.
        weights: arrays by PyTorch's names.
        compiled: compile JAX's side.
        jax_weights: weights of JAX's side, if they are to differ.

    Returns:
        The pair.
    """
    config = replace(config, model=replace(config.model, block_loop="unroll", remat="none"))

    def at(dtype: str) -> AlphaEarth:
        model = AlphaEarth(_computing(config, dtype)).to(getattr(torch, _parameters(dtype)))
        load_torch(model, cast(weights, _parameters(dtype)))
        return model

    def torch_objective(model: AlphaEarth, batch: Any, noise: Any):
        return aef_torch.training.objective.objective(model, batch, noise, config)

    jax_side = aef_jax_side(config, weights if jax_weights is None else jax_weights, compiled)
    return Pair(TorchSide(at, MAP, torch_objective), jax_side)


def aef_jax_side(config: Config, weights: Arrays, compiled: bool = True) -> JaxSide:
    """Make JAX's side of the pair, with the loop over the blocks and the remat that the config has.

    Args:
        config: a run's config.
        weights: arrays by PyTorch's names.
        compiled: compile it.

    Returns:
        The side.
    """

    def at(dtype: str) -> nnx.Module:
        # traced anew each time: a mutation may change what the constructors of layers do
        abstract = nnx.eval_shape(
            lambda: aef_jax.model.alphaearth.AlphaEarth(_computing(config, dtype), rngs=nnx.Rngs(0))
        )
        graph, state = nnx.split(abstract)
        shapes = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape, np.dtype(_parameters(dtype))), state)
        return nnx.merge(graph, to_jax(nnx.merge(graph, shapes), cast(weights, _parameters(dtype))))

    def jax_objective(model: Any, batch: Any, noise: Any):
        return aef_jax.training.objective.objective(model, batch, noise, config)

    return JaxSide(at, MAP, jax_objective, AlphaEarth.__name__, compiled)


def _computing(config: Config, dtype: str) -> Config:
    return replace(config, model=replace(config.model, compute_dtype=dtype))


def _parameters(dtype: str) -> str:
    """Return the dtype of parameters: float32 if the model computes in bfloat16."""
    return "float32" if dtype == "bfloat16" else dtype
