"""`aef shardings`: show how parameters are split over a mesh and how much memory they take on each device."""

import math
from collections.abc import Iterator
from typing import Any, NamedTuple

import jax
from flax import nnx
from jax.sharding import AbstractMesh, AxisType

from aef_jax.console.tables import format_table
from aef_jax.console.units import readable
from aef_jax.sharding.mesh import AXES, check_batch, mesh_shape, sequence_parts, state_shardings
from aef_jax.training.step import abstract_model
from configs.config import Config
from configs.mesh import MeshConfig

NUM_MOMENTS = 2
"""Adam's moments of each parameter, which have its shape and its sharding."""


class Row(NamedTuple):
    """One parameter."""

    name: str
    shape: tuple[int, ...]
    dtype: str
    split: tuple[str | None, ...]
    """For each axis of the parameter, the axis of the mesh that it is split over."""
    bytes: int
    bytes_per_device: int


def parse_mesh(text: str) -> MeshConfig:
    """Parse the sizes of a mesh.

    Args:
        text: such as `data=4,fsdp=2,seq=2`; axes that are left out have their default size.

    Returns:
        The mesh.

    Raises:
        ValueError: if the text is not of this form.
    """
    sizes = {}
    for part in text.split(","):
        name, _, number = part.partition("=")
        if name not in AXES or not number.removeprefix("-").isdigit():
            raise ValueError(
                f"--mesh: {part!r} is not an axis with its size, expected a list such as data=4,fsdp=2,seq=2"
            )
        sizes[name] = int(number)
    return MeshConfig(**sizes)


def shardings_table(config: Config) -> str:
    """List every parameter, and the memory that parameters and Adam's moments take on each device.

    Args:
        config: of the training run.

    Returns:
        Lines of text.

    Raises:
        ValueError: if `config.mesh` leaves the number of devices open or does not divide the batch.
    """
    mesh, batch = _abstract_mesh(config.mesh), config.training.batch
    check_batch(batch, mesh, config.training.grad_accum_steps)
    rows = list(parameter_rows(config, mesh))
    params, whole = sum(row.bytes_per_device for row in rows), sum(row.bytes for row in rows)
    sides = " ".join(f"{axis}={size}" for axis, size in mesh.shape.items())
    lines = [f"mesh: {sides}: {mesh.size} devices", ""]
    header = ("parameter", "shape", "dtype", "split over", "bytes per device")
    lines += format_table([header, *map(_words, rows)], "<<<<>")
    lines += [
        "",
        f"parameters: {readable(params)}B per device of {readable(whole)}B;"
        f" with Adam's moments {readable((1 + NUM_MOMENTS) * params)}B of {readable((1 + NUM_MOMENTS) * whole)}B",
        f"a batch of {batch} sequences: {batch // sequence_parts(mesh)} per device"
        + (f", each split over {config.mesh.seq} (frames; rows of pixels after the summary)" * (config.mesh.seq > 1)),
    ]
    return "\n".join(lines)


def parameter_rows(config: Config, mesh: AbstractMesh) -> Iterator[Row]:
    """List the parameters in the order of the model's tree.

    Args:
        config: of the model.
        mesh: that parameters are split over.

    Yields:
        One row for each parameter.
    """
    _, shapes = abstract_model(config)
    for path, leaf in nnx.to_flat_state(shapes):
        sharding: Any = state_shardings(jax.ShapeDtypeStruct(leaf.shape, leaf.dtype), mesh)
        whole, local = (
            math.prod(shape) * leaf.dtype.itemsize for shape in (leaf.shape, sharding.shard_shape(leaf.shape))
        )
        split = (*sharding.spec, *(None,) * (len(leaf.shape) - len(sharding.spec)))
        yield Row(".".join(map(str, path)), leaf.shape, str(leaf.dtype), split, whole, local)


def _abstract_mesh(mesh: MeshConfig) -> AbstractMesh:
    if mesh.data == -1:
        raise ValueError(
            "--mesh: data has no size, expected the number of devices along each axis, such as data=4,fsdp=2"
        )
    shape = mesh_shape(mesh, mesh.data * mesh.fsdp * mesh.seq)
    return AbstractMesh(shape, AXES, axis_types=(AxisType.Auto,) * len(AXES))


def _words(row: Row) -> tuple[str, ...]:
    split = ", ".join("-" if axis is None else axis for axis in row.split) if any(row.split) else "whole"
    return row.name, " x ".join(map(str, row.shape)), row.dtype, split, f"{row.bytes_per_device:,}"
