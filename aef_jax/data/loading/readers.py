"""Worker processes that read examples for the process that trains.

Python's global lock is held while a record of tens of megabytes is copied and while an example is assembled. So the
threads of one process read at most a dozen examples of 128 x 128 pixels a second, however many there are, and the
training thread waits for the lock as they do.
"""

import multiprocessing
import os
import shutil
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import grain
import jax
import numpy as np
from absl import flags
from jaxtyping import UInt8

from aef_jax.sharding.host_memory import keep_freed
from configs.batch import Batch

SHARED_MEMORY = Path("/dev/shm")
"""Folder that processes pass examples through. Without it, the room that is left is not checked."""


class Packed(NamedTuple):
    """An example as one array. Each shared array is an open file, and a process may open only a thousand or so."""

    buffer: UInt8[np.ndarray, "B"]
    """The bytes of all arrays of the example, concatenated."""
    spec: Batch
    """Their shapes and dtypes."""


def pack(example: Batch) -> Packed:
    """Concatenate the arrays of an example.

    Args:
        example: a batch of one sequence.

    Returns:
        Copies of its bytes, and their shapes and dtypes.
    """
    buffer = np.concatenate([leaf.reshape(-1).view(np.uint8) for leaf in jax.tree.leaves(example)])
    return Packed(buffer, jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype), example))


def unpack(packed: Packed) -> Batch:
    """Undo `pack`.

    Args:
        packed: a packed example.

    Returns:
        The example, as views of the packed bytes.
    """
    leaves, structure = jax.tree.flatten(packed.spec)
    ends = np.cumsum([leaf.size * leaf.dtype.itemsize for leaf in leaves])
    parts = np.split(np.asarray(packed.buffer), ends[:-1])
    return structure.unflatten(
        [part.view(leaf.dtype).reshape(leaf.shape) for part, leaf in zip(parts, leaves, strict=True)]
    )


def read_in_processes(
    examples: grain.MapDataset, workers: int, ahead_count: int, collected: int, size: int
) -> grain.IterDataset[Batch]:
    """Read examples in worker processes, in order.

    Args:
        examples: random access to the examples.
        workers: number of processes.
        ahead_count: examples to read ahead, about; at least four for each worker.
        collected: examples that the caller holds until it has a batch.
        size: bytes of an example.

    Returns:
        The examples. Iterating starts the workers.

    Raises:
        ValueError: the machine's shared memory does not hold all these examples.
    """
    # each worker's queue holds this many; as many wait on this side, and on each side one more is being handled
    waiting = max(1, ahead_count // (2 * workers) - 1)
    _require_shared_memory(((2 * waiting + 2) * workers + collected) * size, workers)
    if not flags.FLAGS.is_parsed():
        flags.FLAGS.mark_as_parsed()  # grain reads one of its flags, which only a program run by absl has parsed
    return (
        examples.map(pack)
        .to_iter_dataset(grain.ReadOptions(num_threads=0))
        .mp_prefetch(grain.MultiprocessingOptions(workers, waiting), worker_init_fn=_init_worker)
        .map(unpack)
    )


def _require_shared_memory(needed: int, workers: int) -> None:
    room = shutil.disk_usage(SHARED_MEMORY).free if SHARED_MEMORY.is_dir() else needed
    if room < needed:
        raise ValueError(
            f"data: workers is {workers}, whose examples take {needed / 2**30:.1f} GiB of shared memory, but"
            f" {SHARED_MEMORY} has {room / 2**30:.1f} GiB left: give it more (Docker: --shm-size), or use fewer workers"
        )


@contextmanager
def signals_blocked() -> Iterator[None]:
    """Block SIGTERM and SIGINT while workers start, so that only the trainer, which saves first, handles them.

    Workers inherit the blocked signals. If they ignored them only after their start, a signal during it would end them.

    Yields:
        None, with the signals blocked.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _init_worker(index: int, count: int) -> None:
    threading.Thread(target=_end_with_parent, daemon=True).start()
    keep_freed()


def _end_with_parent() -> None:
    """Exit when the parent has ended, even if it was killed and could not stop its workers."""
    parent = multiprocessing.parent_process()
    assert parent is not None, "a worker has a parent"
    parent.join()
    os._exit(1)
