"""`aef shardings`: what of a training step lies where on a mesh, and what it takes of each device's memory."""

import math
from collections.abc import Iterator
from typing import Any, NamedTuple

import jax
from flax import nnx
from jax.sharding import AbstractMesh, AxisType

from aef_jax.console.units import readable
from aef_jax.sharding.mesh import AXES, check_batch, mesh_shape, sequence_parts, state_shardings
from aef_jax.training.step import abstract_model
from configs.config import Config
from configs.mesh import MeshConfig

MOMENTS = 2
"""Of each parameter, as large as it is and lying as it does: Adam's."""


class Row(NamedTuple):
    """One tensor."""

    name: str
    shape: tuple[int, ...]
    dtype: str
    split: tuple[str | None, ...]
    """The mesh's axis that each of its own is split over."""
    bytes: int
    bytes_per_device: int


def parse_mesh(text: str) -> MeshConfig:
    """`data=4,fsdp=2,seq=2`; what is not named is as by default. Raises ValueError where it is something else."""
    sizes = {}
    for part in text.split(","):
        name, _, number = part.partition("=")
        if name not in AXES or not number.removeprefix("-").isdigit():
            raise ValueError(f"--mesh: {part!r} is no axis and its size, expected some of data=4,fsdp=2,seq=2")
        sizes[name] = int(number)
    return MeshConfig(**sizes)


def shardings_table(config: Config) -> str:
    """Every parameter, as lines; and what parameters and Adam's moments take of each device, in all.

    Raises ValueError where `config.mesh` leaves the number of devices open, or does not divide the batch.
    """
    mesh, batch = _abstract_mesh(config.mesh), config.training.batch
    check_batch(batch, mesh, config.training.grad_accum_steps)
    rows = list(parameter_rows(config, mesh))
    params, whole = sum(row.bytes_per_device for row in rows), sum(row.bytes for row in rows)
    sides = " ".join(f"{axis}={size}" for axis, size in mesh.shape.items())
    lines = [f"mesh: {sides}: {mesh.size} devices", ""]
    lines += _aligned([("parameter", "shape", "dtype", "split over", "bytes per device"), *map(_words, rows)])
    lines += [
        "",
        f"parameters: {readable(params)}B per device of {readable(whole)}B;"
        f" with Adam's moments {readable((1 + MOMENTS) * params)}B of {readable((1 + MOMENTS) * whole)}B",
        f"a batch of {batch} sequences: {batch // sequence_parts(mesh)} per device"
        + (f", each split over {config.mesh.seq} (frames; rows of pixels after the summary)" * (config.mesh.seq > 1)),
    ]
    return "\n".join(lines)


def parameter_rows(config: Config, mesh: AbstractMesh) -> Iterator[Row]:
    """In the order of the model's tree."""
    _, shapes = abstract_model(config)
    flat = nnx.to_flat_state(shapes)
    for path, leaf in flat:
        on: Any = state_shardings(jax.ShapeDtypeStruct(leaf.shape, leaf.dtype), mesh)
        whole, local = (math.prod(shape) * leaf.dtype.itemsize for shape in (leaf.shape, on.shard_shape(leaf.shape)))
        split = (*on.spec, *(None,) * (len(leaf.shape) - len(on.spec)))
        yield Row(".".join(map(str, path)), leaf.shape, str(leaf.dtype), split, whole, local)


def _abstract_mesh(mesh: MeshConfig) -> AbstractMesh:
    if mesh.data == -1:
        raise ValueError("--mesh: data is open, expected the number of devices along each axis, as data=4,fsdp=2")
    shape = mesh_shape(mesh, mesh.data * mesh.fsdp * mesh.seq)
    return AbstractMesh(shape, AXES, axis_types=(AxisType.Auto,) * len(AXES))


def _words(row: Row) -> tuple[str, ...]:
    split = ", ".join("-" if axis is None else axis for axis in row.split) if any(row.split) else "whole"
    return row.name, " x ".join(map(str, row.shape)), row.dtype, split, f"{row.bytes_per_device:,}"


def _aligned(rows: list[tuple[str, ...]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    *left, last = widths
    return [
        "  ".join([*(word.ljust(width) for word, width in zip(row, left, strict=False)), row[-1].rjust(last)])
        for row in rows
    ]
