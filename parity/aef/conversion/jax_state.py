"""A training state of JAX as PyTorch's tensors by name, and back: parameters, Adam's moments and what counts steps."""

from typing import Any, cast

import jax
import jax.numpy as jnp
import numpy as np
import optax
import torch
from flax import nnx
from jax.sharding import Mesh

from aef_jax.model.alphaearth import AlphaEarth
from aef_jax.sharding.mesh import state_shardings
from aef_jax.training.optimizer import make_optimizer
from aef_jax.training.step import TrainState
from aef_torch.training.snapshot import Snapshot, Tensors
from configs.config import Config
from parity.aef.model import abstract_jax
from parity.capture.tensors import to_numpy, to_tensor
from parity.mapping import weights


def to_jax(saved: Snapshot, config: Config, mesh: Mesh) -> TrainState:
    """The state that goes on where `saved` was taken, in the config's compute dtype, on the devices of `mesh`.

    Raises WeightsError where the tensors are not exactly those of the config's model.
    """
    structure = _structure(config)
    saved = saved.to(getattr(torch, config.model.compute_dtype))
    params, mu, nu = (
        weights.to_jax(structure, {name: to_numpy(tensor) for name, tensor in tensors.items()})
        for tensors in (saved.params, saved.exp_avg, saved.exp_avg_sq)
    )
    optimizer = _filled(make_optimizer(config.training).init(params), saved, mu, nu)
    state = TrainState(params, optimizer, jnp.asarray(saved.step, jnp.int32))
    return jax.device_put(state, state_shardings(state, mesh))


def from_jax(state: TrainState, config: Config) -> Snapshot:
    """A copy of `state` on the host."""
    structure = _structure(config)

    def tensors(tree: Any) -> Tensors:
        arrays = jax.tree.map(np.asarray, tree)
        return {name: to_tensor(array) for name, array in weights.to_torch(structure, arrays).items()}

    skipped, in_a_row = (int(optax.tree.get(state.optimizer, name)) for name in ("total_notfinite", "notfinite_count"))
    mu, nu = (optax.tree.get(state.optimizer, name) for name in ("mu", "nu"))
    return Snapshot(tensors(state.params), tensors(mu), tensors(nu), int(state.step), skipped, in_a_row)


def _filled(fresh: optax.OptState, saved: Snapshot, mu: nnx.State, nu: nnx.State) -> optax.ApplyIfFiniteState:
    """The optimiser's state with these moments, and the counters of `saved`."""
    count = np.int32(saved.step - saved.skipped)  # not yet on a device: the step donates each of its buffers once

    def filled(node: Any) -> Any:
        if isinstance(node, optax.ScaleByAdamState):
            return optax.ScaleByAdamState(count, cast(optax.Updates, mu), cast(optax.Updates, nu))
        return optax.ScaleByScheduleState(count) if isinstance(node, optax.ScaleByScheduleState) else node

    counted = optax.ScaleByAdamState, optax.ScaleByScheduleState
    inner = cast(optax.ApplyIfFiniteState, fresh).inner_state
    inner = jax.tree.map(filled, inner, is_leaf=lambda node: isinstance(node, counted))
    in_a_row = np.int32(saved.consecutive_skips)
    return optax.ApplyIfFiniteState(in_a_row, in_a_row == 0, np.int32(saved.skipped), inner)


def _structure(config: Config) -> AlphaEarth:
    """The abstract model, with parameters of the compute dtype."""
    dtype = np.dtype(config.model.compute_dtype)
    graph, shapes = nnx.split(abstract_jax(config))
    return nnx.merge(graph, jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape, dtype), shapes))
