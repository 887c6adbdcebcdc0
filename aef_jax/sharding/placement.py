"""Placement of batches on devices: which sequences a host reads, and where their parts go."""

from typing import Any, cast

import jax
import numpy as np
from jax.sharding import AbstractMesh, Mesh, NamedSharding

from aef_jax.sharding.mesh import SEQ, batch_shardings, sequence_parts, sharding
from configs.batch import Batch


def host_rows(batch: int, mesh: Mesh) -> list[int]:
    """List the sequences of a global batch that this host's devices compute.

    If the devices of one sequence are on several hosts, each of these hosts reads it.

    Args:
        batch: sequences in the global batch.
        mesh: the devices.

    Returns:
        Indices in the global batch, ascending.
    """
    parts = sharding(mesh, "sequence").addressable_devices_indices_map((batch,)).values()
    return sorted({row for part in parts if part for row in range(*part[0].indices(batch))})


def to_devices(batch: Batch, mesh: Mesh) -> Batch:
    """Make a global batch from each host's part of it.

    Frames are padded with absent ones to a multiple of `seq`.

    Args:
        batch: the sequences of this host's `host_rows`, in their order.
        mesh: the devices.

    Returns:
        The batch on the devices.
    """
    return put(fill_frames(batch, mesh.shape[SEQ]), batch_shardings(batch, mesh))


def abstract_batch(example: Batch, sequences: int, mesh: Mesh | AbstractMesh) -> Batch:
    """Describe a global batch without data.

    Args:
        example: one sequence, without the batch axis.
        sequences: number of sequences in the global batch.
        mesh: the devices.

    Returns:
        Shapes, dtypes and shardings of what `to_devices` returns, as jax.ShapeDtypeStruct.
    """
    single = fill_frames(jax.tree.map(lambda x: np.asarray(x)[None], example), mesh.shape[SEQ])
    return jax.tree.map(
        lambda x, sharding: jax.ShapeDtypeStruct((sequences, *x.shape[1:]), x.dtype, sharding=sharding),
        single,
        batch_shardings(single, mesh),
    )


def put(host_tree: Any, shardings: Any) -> Any:
    """Make global arrays from each host's part of them.

    Args:
        host_tree: a tree of this host's rows of the leading axis, with all other axes whole.
        shardings: the same tree of shardings.

    Returns:
        The tree of global arrays.
    """
    return jax.tree.map(_global_array, host_tree, shardings)


def fill_frames(batch: Batch, parts: int) -> Batch:
    """Pad the frames of teacher and student with absent ones to a multiple of `parts`, for each source.

    Args:
        batch: any batch.
        parts: number of parts into which frames are split.

    Returns:
        The padded batch.
    """
    if parts == 1:
        return batch
    frames, student = jax.tree.map(lambda x: _filled(x, parts), (batch.frames, batch.student))
    return batch._replace(frames=frames, student=student)


def _filled(x: np.ndarray, parts: int) -> np.ndarray:
    missing = -x.shape[1] % parts
    return np.concatenate([x, np.zeros((x.shape[0], missing, *x.shape[2:]), x.dtype)], axis=1)


def _global_array(local: np.ndarray, on: NamedSharding) -> jax.Array:
    mesh = cast(Mesh, on.mesh)
    parts = sequence_parts(mesh)
    total = len(local) * parts // len(host_rows(parts, mesh))
    place = {row: place for place, row in enumerate(host_rows(total, mesh))}

    def part(index: tuple[slice, ...] | None) -> np.ndarray:
        assert index is not None, "of an array that has axes"
        start, stop, _ = index[0].indices(total)
        return local[place[start] : place[start] + stop - start][:, *index[1:]]

    return jax.make_array_from_callback((total, *local.shape[1:]), on, part)
