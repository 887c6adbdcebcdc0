"""The mesh, and every rule of what lies where on it. Model code knows nothing of it."""

import os

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from configs.training import MeshConfig

DATA, FSDP = "data", "fsdp"

SMALLEST_SPLIT = 2**14
"""Tensors with fewer elements are replicated: gathering them would cost more than they take."""


def use_all_cores(batch: int) -> None:
    """Makes every CPU core a device, as far as they divide the batch; before JAX is used for anything.

    XLA leaves much of the CPU idle within one device, and what runs on the mesh of an accelerator runs on this one
    too. Without effect on accelerators, and where JAX_NUM_CPU_DEVICES is set.
    """
    if "JAX_NUM_CPU_DEVICES" not in os.environ:
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        jax.config.update("jax_num_cpu_devices", max(n for n in range(1, cores + 1) if batch % n == 0))


def make_mesh(config: MeshConfig) -> Mesh:
    """All devices of all hosts, as (data, fsdp). Raises ValueError where the sizes do not fill them."""
    devices = jax.device_count()
    data = devices // config.fsdp if config.data == -1 else config.data
    if data * config.fsdp != devices:
        raise ValueError(f"mesh: data={data} times fsdp={config.fsdp} does not make the {devices} devices there are")
    # host by host: rows of a global batch then lie in the order in which the hosts' parts are put together
    ordered = sorted(jax.devices(), key=lambda device: (device.process_index, device.id))
    return Mesh(np.asarray(ordered).reshape(data, config.fsdp), (DATA, FSDP))


def check_batch(batch: int, mesh: Mesh, accumulate: int = 1) -> None:
    """Raises ValueError where the global batch, in so many parts, cannot be split over the devices."""
    if batch % (mesh.size * accumulate):
        parts = f" times accumulate ({accumulate})" if accumulate > 1 else ""
        raise ValueError(f"training: batch is {batch}, expected a multiple of the {mesh.size} devices{parts}")


def batch_sharding(mesh: Mesh) -> NamedSharding:
    """Sequences are split over every device."""
    return NamedSharding(mesh, PartitionSpec((DATA, FSDP)))


def replicated(mesh: Mesh) -> NamedSharding:
    return NamedSharding(mesh, PartitionSpec())


def state_shardings(abstract_state, mesh: Mesh):
    """Parameters and optimiser moments: the largest axis that `fsdp` divides is split over it (size rule)."""
    return jax.tree.map(lambda leaf: NamedSharding(mesh, _by_size(leaf.shape, mesh.shape[FSDP])), abstract_state)


def to_devices(host_batch, mesh: Mesh):
    """A global batch out of the part that each host holds."""
    sharding = batch_sharding(mesh)
    return jax.tree.map(lambda local: jax.make_array_from_process_local_data(sharding, local), host_batch)


def _by_size(shape: tuple[int, ...], parts: int) -> PartitionSpec:
    divisible = [axis for axis, length in enumerate(shape) if length % parts == 0]
    if parts == 1 or np.prod(shape) < SMALLEST_SPLIT or not divisible:
        return PartitionSpec()
    largest = max(divisible, key=lambda axis: shape[axis])
    return PartitionSpec(*(FSDP if axis == largest else None for axis in range(len(shape))))
