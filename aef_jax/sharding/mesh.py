"""The device mesh, and every rule for what is split over it. Model code only names the axes of its arrays.

Sequences are split over `data` and `fsdp`, parameters and Adam's moments over `fsdp`. `seq` splits one sequence: its
frames and, after the summary, the rows of its pixels.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import wraps
from typing import Any, ParamSpec, TypeVar

import jax
import numpy as np
from jax.experimental import mesh_utils
from jax.sharding import AbstractMesh, Mesh, NamedSharding, PartitionSpec
from jaxtyping import Array, Shaped

from configs.batch import Batch, Frames, Student, Target, Text
from configs.config import Config
from configs.mesh import MeshConfig
from configs.model import PIXELS_PER_TIME_CELL

Args = ParamSpec("Args")
R = TypeVar("R")

DATA, FSDP, SEQ = "data", "fsdp", "seq"
AXES = (DATA, FSDP, SEQ)

LOGICAL = {"sequence": (DATA, FSDP), "frame": SEQ, "row": SEQ}
"""Names that model code gives to axes of arrays, and the mesh axes that split them."""

SMALLEST_SPLIT = 2**14
"""Tensors with fewer elements are replicated: gathering them would cost more than their memory saves."""


def training_mesh(config: Config, devices: Sequence[Any] | None = None) -> Mesh:
    """Make the mesh that a config trains on.

    If `mesh.data` is open and there are more devices than sequences, as on the paper's machine, `seq` grows to the
    smallest size that gives every device work.

    Args:
        config: the config of the run.
        devices: the devices; None for all devices of all hosts.

    Returns:
        The mesh.

    Raises:
        ValueError: the sizes do not fill the devices, or do not divide the batch.
    """
    devices = jax.devices() if devices is None else devices
    mesh = make_mesh(_grown(config, len(devices)), devices)
    check_batch(config.training.batch, mesh, config.training.grad_accum_steps)
    return mesh


def _grown(config: Config, devices: int) -> MeshConfig:
    mesh, rows = config.mesh, config.data.tile_side // PIXELS_PER_TIME_CELL
    sequences = config.training.batch // config.training.grad_accum_steps
    for seq in range(mesh.seq, rows + 1) if mesh.data == -1 else ():
        if rows % seq == 0 and devices % (mesh.fsdp * seq) == 0 and sequences % (devices // seq) == 0:
            return replace(mesh, seq=seq)
    return mesh


def make_mesh(config: MeshConfig, devices: Sequence[Any] | None = None) -> Mesh:
    """Arrange devices as (data, fsdp, seq).

    On TPUs the axes follow the wires of the torus, with `seq` among nearest neighbors. Elsewhere devices are ordered
    host by host, so that the axis with the most traffic stays within a host.

    Args:
        config: sizes of the axes.
        devices: the devices; None for all devices of all hosts.

    Returns:
        The mesh.

    Raises:
        ValueError: the sizes do not fill the devices.
    """
    devices = jax.devices() if devices is None else devices
    shape = mesh_shape(config, len(devices))
    if devices[0].platform == "tpu":
        return Mesh(mesh_utils.create_device_mesh(shape, devices, allow_split_physical_axes=True), AXES)
    # host by host: the axis with the most traffic stays within a host
    ordered = sorted(devices, key=lambda device: (device.process_index, device.id))
    return Mesh(np.asarray(ordered).reshape(shape), AXES)


def mesh_shape(config: MeshConfig, devices: int) -> tuple[int, int, int]:
    """Compute the sizes of the axes.

    Args:
        config: sizes of the axes; data = -1 takes the remaining devices.
        devices: number of devices.

    Returns:
        The sizes of data, fsdp and seq.

    Raises:
        ValueError: the sizes do not fill the devices.
    """
    per_replica = config.fsdp * config.seq
    data = devices // per_replica if config.data == -1 else config.data
    if data * per_replica != devices or not data:
        asked = f"data={'the rest' if config.data == -1 else data} times fsdp={config.fsdp} times seq={config.seq}"
        raise ValueError(f"mesh: {asked} does not fill the {devices} devices")
    return data, config.fsdp, config.seq


def single_device_mesh() -> Mesh:
    """Make the mesh of this host's first device.

    Returns:
        The mesh.
    """
    return make_mesh(MeshConfig(), jax.local_devices()[:1])


def sequence_parts(mesh: Mesh | AbstractMesh) -> int:
    """Count the parts into which a batch's sequences are split.

    Args:
        mesh: the devices.

    Returns:
        The number of parts.
    """
    return mesh.size // mesh.shape[SEQ]


def check_batch(batch: int, mesh: Mesh | AbstractMesh, grad_accum_steps: int = 1) -> None:
    """Check that the global batch can be split over the devices.

    Args:
        batch: sequences in the global batch.
        mesh: the devices.
        grad_accum_steps: number of parts that a step processes in turn.

    Raises:
        ValueError: the batch is not a multiple of the parts.
    """
    split = sequence_parts(mesh)
    if batch % (split * grad_accum_steps):
        parts = f" times grad_accum_steps ({grad_accum_steps})" if grad_accum_steps > 1 else ""
        raise ValueError(f"training: batch is {batch}, expected a multiple of data times fsdp ({split}){parts}")


def with_mesh(mesh: Mesh, function: Callable[Args, R]) -> Callable[Args, R]:
    """Make `constrain` and the functions for frames use a mesh while a function is traced.

    Args:
        mesh: the devices.
        function: any function.

    Returns:
        The function, traced with the mesh.
    """

    @wraps(function)
    def traced(*arguments: Args.args, **keywords: Args.kwargs) -> R:
        with jax.sharding.use_abstract_mesh(mesh.abstract_mesh):
            return function(*arguments, **keywords)

    return traced


def constrain(x: Shaped[Array, "..."], *axes: str | None) -> Shaped[Array, "..."]:
    """Name the leading axes of an array, which determines how it is split over the current mesh.

    Args:
        x: any array.
        axes: keys of LOGICAL; None for an axis that is not split. Further axes are not split.

    Returns:
        The array with a sharding constraint, or x itself without a mesh.
    """
    if current_parts() == (1, 1):
        return x
    return jax.lax.with_sharding_constraint(x, PartitionSpec(*(axis and LOGICAL[axis] for axis in axes)))


def is_single_device() -> bool:
    """Tell whether the current mesh has one device, or there is none. Any axes may then be merged.

    Returns:
        True for one device.
    """
    mesh = jax.sharding.get_abstract_mesh()
    return mesh.empty or mesh.size == 1


def current_parts() -> tuple[int, int]:
    """Count the parts into which the current mesh splits sequences and frames.

    Returns:
        Parts of sequences, parts of frames; (1, 1) without a mesh.
    """
    mesh = jax.sharding.get_abstract_mesh()
    return (1, 1) if mesh.empty else (sequence_parts(mesh), mesh.shape[SEQ])


def sharding(mesh: Mesh | AbstractMesh, *axes: str | None) -> NamedSharding:
    """Make the sharding of an array whose leading axes have these names.

    Args:
        mesh: the devices.
        axes: keys of LOGICAL; None for an axis that is not split.

    Returns:
        The sharding.
    """
    return NamedSharding(mesh, PartitionSpec(*(axis and LOGICAL[axis] for axis in axes)))


def replicated(mesh: Mesh | AbstractMesh) -> NamedSharding:
    """Make the sharding of an array that every device has whole.

    Args:
        mesh: the devices.

    Returns:
        The sharding.
    """
    return sharding(mesh)


def batch_shardings(batch: Batch, mesh: Mesh | AbstractMesh) -> Batch:
    """Make the shardings of a batch: frames are split over `seq`, targets by their rows, small arrays only by sequence.

    Args:
        batch: the batch.
        mesh: the devices.

    Returns:
        A batch of shardings.
    """
    whole, frames, rows = (sharding(mesh, "sequence", *more) for more in ((), ("frame",), ("row",)))
    return Batch(
        frames={name: Frames(frames, frames, frames, frames) for name in batch.frames},
        student={name: Student(whole, whole) for name in batch.student},
        targets={name: Target(rows, rows, whole, whole, whole, whole) for name in batch.targets},
        shared_period=whole,
        text=None if batch.text is None else Text(whole, whole, whole, whole),
    )


def state_shardings(abstract_state: Any, mesh: Mesh | AbstractMesh) -> Any:
    """Make the shardings of parameters and moments: `fsdp` splits the largest axis that it divides (size rule).

    Args:
        abstract_state: a tree of shapes.
        mesh: the devices.

    Returns:
        A tree of shardings.
    """
    return jax.tree.map(lambda leaf: NamedSharding(mesh, _by_size(leaf.shape, mesh.shape[FSDP])), abstract_state)


def _by_size(shape: tuple[int, ...], parts: int) -> PartitionSpec:
    divisible = [axis for axis, length in enumerate(shape) if length % parts == 0]
    if parts == 1 or np.prod(shape) < SMALLEST_SPLIT or not divisible:
        return PartitionSpec()
    largest = max(divisible, key=lambda axis: shape[axis])
    return PartitionSpec(*(FSDP if axis == largest else None for axis in range(len(shape))))
