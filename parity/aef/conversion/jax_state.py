"""Convert a training state of JAX to PyTorch's tensors by name, and back."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import torch
from flax import nnx
from jax.sharding import Mesh

from aef_jax.run.optimizer_tree import (
    COUNT,
    LAST_FINITE,
    MU,
    NOTFINITE_COUNT,
    NU,
    SCHEDULE_COUNT,
    TOTAL_NOTFINITE,
    fill_optimizer,
    optimizer_tree,
)
from aef_jax.sharding.mesh import state_shardings
from aef_jax.training.optimizer import make_optimizer
from aef_jax.training.step import TrainState
from aef_torch.training.snapshot import Snapshot, Tensors
from configs.config import Config
from parity.aef.model import abstract_jax
from parity.capture.tensors import to_numpy, to_tensor
from parity.mapping import weights


def to_jax(saved: Snapshot, config: Config, mesh: Mesh) -> TrainState:
    """Make the state that continues a snapshot.

    Args:
        saved: parameters, moments and counters.
        config: the run's config, which gives the dtype.
        mesh: the devices.

    Returns:
        The state, sharded over the mesh.

    Raises:
        WeightsError: the tensors are not exactly those of the config's model.
    """
    structure = abstract_jax(config, config.model.compute_dtype)
    saved = saved.to(getattr(torch, config.model.compute_dtype))
    params, mu, nu = (
        weights.to_jax(structure, {name: to_numpy(tensor) for name, tensor in tensors.items()})
        for tensors in (saved.params, saved.exp_avg, saved.exp_avg_sq)
    )
    # not yet on a device: the step donates each of its buffers once
    count, in_a_row = np.int32(saved.step - saved.skipped), np.int32(saved.consecutive_skips)
    tree = {
        MU: nnx.to_pure_dict(mu),
        NU: nnx.to_pure_dict(nu),
        COUNT: count,
        SCHEDULE_COUNT: count,
        NOTFINITE_COUNT: in_a_row,
        LAST_FINITE: in_a_row == 0,
        TOTAL_NOTFINITE: np.int32(saved.skipped),
    }
    optimizer = fill_optimizer(make_optimizer(config.training).init(params), tree)
    state = TrainState(params, optimizer, jnp.asarray(saved.step, jnp.int32))
    return jax.device_put(state, state_shardings(state, mesh))


def from_jax(state: TrainState, config: Config) -> Snapshot:
    """Copy a training state to the host, as PyTorch's tensors.

    Args:
        state: the state.
        config: the run's config.

    Returns:
        The snapshot.
    """
    structure = abstract_jax(config, config.model.compute_dtype)

    def tensors(tree: Any) -> Tensors:
        arrays = jax.tree.map(np.asarray, tree)
        return {name: to_tensor(array) for name, array in weights.to_torch(structure, arrays).items()}

    tree = optimizer_tree(state.optimizer)
    skipped, in_a_row = (int(tree[name]) for name in (TOTAL_NOTFINITE, NOTFINITE_COUNT))
    return Snapshot(tensors(state.params), tensors(tree[MU]), tensors(tree[NU]), int(state.step), skipped, in_a_row)
