"""AEF as a pair: what the general comparison is told of it."""

from dataclasses import replace
from typing import Any

import jax
import numpy as np
import torch
from flax import nnx

import aef_jax.objective
import aef_torch.objective
from aef_torch.model import AlphaEarth
from configs.run import Config
from parity.aef.model import abstract_jax
from parity.jax_side import JaxSide
from parity.model_map import ModelMap
from parity.pair import Pair
from parity.tensors import load_torch
from parity.torch_side import TorchSide
from parity.trees import Arrays, cast
from parity.weights import to_jax

FUNCTIONS = (
    "objective.von_mises_fisher",
    "losses.reconstruction_error",
    "losses.uniformity",
    "losses.consistency",
    "losses.clip",
)
MAP = ModelMap(
    functions={f"aef_jax.{name}": f"aef_torch.{name}" for name in FUNCTIONS},
    float32=[f"aef_jax.{name}" for name in FUNCTIONS],
)
"""Attribute names are the same in both, by the mirror rule; beside modules, the functions of the objective."""


def aef_pair(config: Config, weights: Arrays) -> Pair:
    """The objective of both frameworks, called with (batch, noise), from weights by PyTorch's names.

    Blocks are unrolled and nothing is recomputed: within a scan or a remat no value can be seen.
    """

    def torch_at(dtype: str) -> AlphaEarth:
        model = AlphaEarth(_computing(config, dtype)).to(getattr(torch, _parameters(dtype)))
        load_torch(model, cast(weights, _parameters(dtype)))
        return model

    def jax_at(dtype: str) -> nnx.Module:
        graph, state = nnx.split(abstract_jax(_computing(config, dtype)))
        shapes = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape, np.dtype(_parameters(dtype))), state)
        return nnx.merge(graph, to_jax(nnx.merge(graph, shapes), cast(weights, _parameters(dtype))))

    def torch_objective(model: AlphaEarth, batch: Any, noise: Any):
        return aef_torch.objective.objective(model, batch, noise, config)

    def jax_objective(model: Any, batch: Any, noise: Any):
        return aef_jax.objective.objective(model, batch, noise, config)

    return Pair(TorchSide(torch_at, MAP, torch_objective), JaxSide(jax_at, MAP, jax_objective, AlphaEarth.__name__))


def _computing(config: Config, dtype: str) -> Config:
    model = replace(config.model, compute_dtype=dtype, block_loop="unroll", remat="none")
    return replace(config, model=model)


def _parameters(dtype: str) -> str:
    """Parameters are float32 even where bfloat16 is computed."""
    return "float32" if dtype == "bfloat16" else dtype
