"""The mesh, and every rule of what lies where on it. Model code names the axes of its arrays, and no more.

Sequences are split over `data` and `fsdp`, parameters and Adam's moments over `fsdp`, and over `seq` what belongs to
one sequence: its frames, and after the summary, where there are none, the rows of its pixels.
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
"""Axes of arrays, by the names that model code gives them, and the axes of the mesh that they are split over."""

SMALLEST_SPLIT = 2**14
"""Tensors with fewer elements are replicated: gathering them would cost more than they take."""


def training_mesh(config: Config, devices: Sequence[Any] | None = None) -> Mesh:
    """What a config trains on: all devices of all hosts, or these.

    Where `mesh.data` is open and there are more devices than sequences, as on the paper's machine, `seq` grows to the
    least that gives each device its share. Raises ValueError where the sizes do not fill the devices, or do not split
    the batch.
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
    """All devices of all hosts, or these, as (data, fsdp, seq).

    On TPUs the axes are laid along the wires of the torus, `seq` among nearest neighbours. Raises ValueError where the
    sizes do not fill the devices.
    """
    devices = jax.devices() if devices is None else devices
    shape = mesh_shape(config, len(devices))
    if devices[0].platform == "tpu":
        return Mesh(mesh_utils.create_device_mesh(shape, devices, allow_split_physical_axes=True), AXES)
    # host by host, so that what talks most does so within one
    ordered = sorted(devices, key=lambda device: (device.process_index, device.id))
    return Mesh(np.asarray(ordered).reshape(shape), AXES)


def mesh_shape(config: MeshConfig, devices: int) -> tuple[int, int, int]:
    """The mesh of so many devices. Raises ValueError where the sizes do not fill them."""
    within = config.fsdp * config.seq
    data = devices // within if config.data == -1 else config.data
    if data * within != devices or not data:
        asked = f"data={'the rest' if config.data == -1 else data} times fsdp={config.fsdp} times seq={config.seq}"
        raise ValueError(f"mesh: {asked} does not make the {devices} devices there are")
    return data, config.fsdp, config.seq


def single_device_mesh() -> Mesh:
    """The mesh of the first device of this host alone."""
    return make_mesh(MeshConfig(), jax.local_devices()[:1])


def sequence_parts(mesh: Mesh | AbstractMesh) -> int:
    """Into how many parts the sequences of a batch are split."""
    return mesh.size // mesh.shape[SEQ]


def check_batch(batch: int, mesh: Mesh | AbstractMesh, grad_accum_steps: int = 1) -> None:
    """Raises ValueError where the global batch, in so many parts, cannot be split over the devices."""
    split = sequence_parts(mesh)
    if batch % (split * grad_accum_steps):
        parts = f" times accumulate ({grad_accum_steps})" if grad_accum_steps > 1 else ""
        raise ValueError(f"training: batch is {batch}, expected a multiple of data times fsdp ({split}){parts}")


def with_mesh(mesh: Mesh, function: Callable[Args, R]) -> Callable[Args, R]:
    """The function, traced with `mesh` in force: what `constrain` and `join_frames` go by."""

    @wraps(function)
    def traced(*arguments: Args.args, **keywords: Args.kwargs) -> R:
        with jax.sharding.use_abstract_mesh(mesh.abstract_mesh):
            return function(*arguments, **keywords)

    return traced


def constrain(x: Shaped[Array, "..."], *axes: str | None) -> Shaped[Array, "..."]:
    """Says of the leading axes of x what they are, and so how they are split, where a mesh is in force.

    `axes` are names of LOGICAL; None, as what is not named, is whole on every device. Without a mesh nothing is done.
    """
    if _parts() == (1, 1):
        return x
    return jax.lax.with_sharding_constraint(x, PartitionSpec(*(axis and LOGICAL[axis] for axis in axes)))


def join_frames(parts: Sequence[Shaped[Array, "B _ ..."]]) -> Shaped[Array, "B T ..."]:
    """Concatenates along the axis of frames, each device those that it has: nothing moves, their order alone differs.

    To the model it has no meaning: each frame has its timecode beside it.
    """
    split = _parts()[1]
    local = [x.reshape(x.shape[0], split, x.shape[1] // split, *x.shape[2:]) for x in parts]
    joined = jax.numpy.concatenate(local, axis=2)
    return joined.reshape(joined.shape[0], -1, *joined.shape[3:])


def merge_frames(x: Shaped[Array, "B T ..."]) -> Shaped[Array, "BT ..."]:
    """Sequences and frames on one axis, in an order in which each device has those that it had: nothing moves."""
    sequences, frames = _parts()
    parts = x.reshape(sequences, x.shape[0] // sequences, frames, x.shape[1] // frames, *x.shape[2:])
    merged = parts.swapaxes(1, 2).reshape(-1, *x.shape[2:])
    return merged if sequences * frames == 1 else jax.lax.with_sharding_constraint(merged, PartitionSpec(AXES))


def split_frames(x: Shaped[Array, "BT ..."], batch: int) -> Shaped[Array, "B T ..."]:
    """The inverse, for so many sequences."""
    sequences, frames = _parts()
    parts = x.reshape(sequences, frames, batch // sequences, -1, *x.shape[1:])
    return constrain(parts.swapaxes(1, 2).reshape(batch, -1, *x.shape[1:]), "sequence", "frame")


def is_single_device() -> bool:
    """Whether the mesh in force is of one device, or there is none: then axes of any names may be merged."""
    mesh = jax.sharding.get_abstract_mesh()
    return mesh.empty or mesh.size == 1


def _parts() -> tuple[int, int]:
    """Into how many parts the mesh in force splits sequences, and frames."""
    mesh = jax.sharding.get_abstract_mesh()
    return (1, 1) if mesh.empty else (sequence_parts(mesh), mesh.shape[SEQ])


def sharding(mesh: Mesh, *axes: str | None) -> NamedSharding:
    """Of an array whose leading axes have these names (see LOGICAL)."""
    return NamedSharding(mesh, PartitionSpec(*(axis and LOGICAL[axis] for axis in axes)))


def replicated(mesh: Mesh) -> NamedSharding:
    return sharding(mesh)


def batch_shardings(batch: Batch, mesh: Mesh) -> Batch:
    """Of every array of a batch: frames are split over `seq`, targets by their rows, and what is small is not."""
    whole, frames, rows = (sharding(mesh, "sequence", *more) for more in ((), ("frame",), ("row",)))
    return Batch(
        frames={name: Frames(frames, frames, frames) for name in batch.frames},
        student={name: Student(whole, whole) for name in batch.student},
        targets={name: Target(rows, rows, whole, whole, whole, whole) for name in batch.targets},
        shared_period=whole,
        text=None if batch.text is None else Text(whole, whole, whole, whole),
    )


def state_shardings(abstract_state: Any, mesh: Mesh | AbstractMesh) -> Any:
    """Parameters and optimiser moments: the largest axis that `fsdp` divides is split over it (size rule)."""
    return jax.tree.map(lambda leaf: NamedSharding(mesh, _by_size(leaf.shape, mesh.shape[FSDP])), abstract_state)


def _by_size(shape: tuple[int, ...], parts: int) -> PartitionSpec:
    divisible = [axis for axis, length in enumerate(shape) if length % parts == 0]
    if parts == 1 or np.prod(shape) < SMALLEST_SPLIT or not divisible:
        return PartitionSpec()
    largest = max(divisible, key=lambda axis: shape[axis])
    return PartitionSpec(*(FSDP if axis == largest else None for axis in range(len(shape))))
