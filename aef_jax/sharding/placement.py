"""Batches on their way from the host to the devices: which sequences a host reads, and where their parts go."""

from typing import Any, cast

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding

from aef_jax.sharding.mesh import SEQ, batch_shardings, sequence_parts, sharding
from configs.batch import Batch


def host_rows(batch: int, mesh: Mesh) -> list[int]:
    """The sequences of a global batch that this host's devices compute, by their places in it, in order.

    Where the devices of one sequence are on several hosts, each of these hosts reads it.
    """
    parts = sharding(mesh, "sequence").addressable_devices_indices_map((batch,)).values()
    return sorted({row for part in parts if part for row in range(*part[0].indices(batch))})


def to_devices(batch: Batch, mesh: Mesh) -> Batch:
    """A global batch out of what each host holds of it: its `host_rows`, in order.

    Frames are filled up with absent ones, to a number that `seq` divides.
    """
    return put(fill_frames(batch, mesh.shape[SEQ]), batch_shardings(batch, mesh))


def put(host_tree: Any, shardings: Any) -> Any:
    """Global arrays out of the host's part of each: its rows of the leading axis, and all of the other axes."""
    return jax.tree.map(_global_array, host_tree, shardings)


def fill_frames(batch: Batch, parts: int) -> Batch:
    """As many frames of each source, for teacher and for student, as `parts` divides; those added are absent."""
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
