"""Operations on the axis of frames that move no data between the devices of the current mesh."""

from collections.abc import Sequence

import jax
from jax.sharding import PartitionSpec
from jaxtyping import Array, Shaped

from aef_jax.sharding.mesh import AXES, constrain, current_parts


def join_frames(parts: Sequence[Shaped[Array, "B _ ..."]]) -> Shaped[Array, "B T ..."]:
    """Concatenate arrays along the axis of frames without moving data between devices.

    Each device concatenates its own parts, so only the order of frames differs. The model ignores their order, because
    each frame has its timecode.

    Args:
        parts: arrays with a batch axis and an axis of frames.

    Returns:
        The frames of all arrays.
    """
    split = current_parts()[1]
    local = [x.reshape(x.shape[0], split, x.shape[1] // split, *x.shape[2:]) for x in parts]
    joined = jax.numpy.concatenate(local, axis=2)
    return joined.reshape(joined.shape[0], -1, *joined.shape[3:])


def merge_frames(x: Shaped[Array, "B T ..."]) -> Shaped[Array, "BT ..."]:
    """Merge the axes of sequences and frames without moving data between devices.

    Args:
        x: an array with a batch axis and an axis of frames.

    Returns:
        The array with one leading axis, in an order that keeps each device's part on it.
    """
    sequences, frames = current_parts()
    parts = x.reshape(sequences, x.shape[0] // sequences, frames, x.shape[1] // frames, *x.shape[2:])
    merged = parts.swapaxes(1, 2).reshape(-1, *x.shape[2:])
    return merged if sequences * frames == 1 else jax.lax.with_sharding_constraint(merged, PartitionSpec(AXES))


def split_frames(x: Shaped[Array, "BT ..."], batch: int) -> Shaped[Array, "B T ..."]:
    """Undo `merge_frames`.

    Args:
        x: a result of `merge_frames`.
        batch: number of sequences.

    Returns:
        The array with a batch axis and an axis of frames.
    """
    sequences, frames = current_parts()
    parts = x.reshape(sequences, frames, batch // sequences, -1, *x.shape[1:])
    return constrain(parts.swapaxes(1, 2).reshape(batch, -1, *x.shape[1:]), "sequence", "frame")
