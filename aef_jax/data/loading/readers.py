"""Processes that read examples for the one that trains.

Python's lock is held while a record of tens of megabytes is copied, and where an example is put together. Threads of
one process are done with no more than a dozen examples of 128 x 128 pixels a second, however many they are; and
training, which is one more of them, waits for the lock at every turn.
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
"""Through which examples come; where there is no such folder, nothing is known of its size."""


class Packed(NamedTuple):
    """An example as one array: each that processes share is a file, and a process may open a thousand or so."""

    buffer: UInt8[np.ndarray, "B"]
    """The bytes of all arrays of the example, one after the other."""
    spec: Batch
    """Their shapes and dtypes."""


def pack(example: Batch) -> Packed:
    buffer = np.concatenate([leaf.reshape(-1).view(np.uint8) for leaf in jax.tree.leaves(example)])
    return Packed(buffer, jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype), example))


def unpack(packed: Packed) -> Batch:
    """The example, as views of what was packed."""
    leaves, structure = jax.tree.flatten(packed.spec)
    ends = np.cumsum([leaf.size * leaf.dtype.itemsize for leaf in leaves])
    parts = np.split(np.asarray(packed.buffer), ends[:-1])
    return structure.unflatten(
        [part.view(leaf.dtype).reshape(leaf.shape) for part, leaf in zip(parts, leaves, strict=True)]
    )


def read_in_processes(
    examples: grain.MapDataset, workers: int, ahead: int, collected: int, size: int
) -> grain.IterDataset[Batch]:
    """The examples, each of `size` bytes, in their order. About `ahead` of them wait, or four for each worker.

    Raises ValueError where the machine's shared memory does not hold these, and as many as the caller collects.
    """
    # of each worker, in its own queue; as many wait on this side, and of each side one more is in hand
    waiting = max(1, ahead // (2 * workers) - 1)
    _check_room(((2 * waiting + 2) * workers + collected) * size, workers)
    if not flags.FLAGS.is_parsed():
        flags.FLAGS.mark_as_parsed()  # grain asks for one of its own, which only a program of absl's has parsed
    return (
        examples.map(pack)
        .to_iter_dataset(grain.ReadOptions(num_threads=0))
        .mp_prefetch(grain.MultiprocessingOptions(workers, waiting), worker_init_fn=_begin)
        .map(unpack)
    )


def _check_room(needed: int, workers: int) -> None:
    room = shutil.disk_usage(SHARED_MEMORY).free if SHARED_MEMORY.is_dir() else needed
    if room < needed:
        raise ValueError(
            f"data: workers is {workers}, whose examples take {needed / 2**30:.1f} GiB of shared memory, but"
            f" {SHARED_MEMORY} has {room / 2**30:.1f} GiB left: give it more (Docker: --shm-size), or ask for fewer"
        )


@contextmanager
def deaf_to_signals() -> Iterator[None]:
    """What begins meanwhile never hears SIGTERM or SIGINT, which are for the process that trains: it saves first.

    A process that was to hear of that only after it has begun would miss a signal that comes while it begins.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _begin(index: int, count: int) -> None:
    """What each process does before it reads."""
    threading.Thread(target=_end_with_parent, daemon=True).start()
    keep_freed()


def _end_with_parent() -> None:
    """However the parent ended: one that was killed cannot say so."""
    parent = multiprocessing.parent_process()
    assert parent is not None, "this is a process that another has begun"
    parent.join()
    os._exit(1)
