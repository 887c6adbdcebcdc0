"""The stream of training batches: a pure function of (seed, epoch, index), read in parallel, resumed at any step."""

from collections.abc import Sequence
from typing import SupportsIndex, cast

import grain
import jax
import numpy as np

from aef_jax.data.loading.readers import deaf_to_signals, read_in_processes
from aef_jax.data.sampling.absent import absent_example
from aef_jax.data.sampling.examples import DatasetSchema, SampleTrace, draw_location, draw_with_trace
from aef_jax.data.store.site import Site
from configs.batch import Batch
from configs.config import Config
from configs.encodings.timecode import DAY_MS

READ_AHEAD = 4
"""Batches that wait, ready, for the device."""
READ_AHEAD_BYTES = 4 * 2**30
"""That they take at most: an example of `paper` has 50 MB, and a host may have a hundred of a batch."""


class HostExamples:
    """All examples of a run that one host reads, in order; a random-access source for grain.

    In each epoch every site comes once, in a new order. A host holds some rows of every global batch, so the global
    batch is the same for any number of hosts.
    """

    def __init__(self, sites: Sequence[Site], schema: DatasetSchema, config: Config, rows: Sequence[int] | None = None):
        """Of the global batch's rows, of which there are `training.batch`, by default all."""
        self.sites, self.schema, self.config = sites, schema, config
        self.rows = range(config.training.batch) if rows is None else rows
        self._order = grain.MapDataset.range(len(sites)).shuffle(seed=config.training.seed).repeat()

    def __len__(self) -> int:
        return self.config.training.steps * len(self.rows)

    def __getitem__(self, index: SupportsIndex) -> Batch:
        return self.with_choices(index)[0]

    def with_choices(self, index: SupportsIndex) -> tuple[Batch, SampleTrace]:
        """An example, and what was drawn for it."""
        step, within = divmod(int(index), len(self.rows))
        drawn = step * self.config.training.batch + self.rows[within]
        rng = np.random.default_rng([self.config.training.seed, drawn])
        site = self.sites[self._record(drawn)]
        days = self.config.data.time_jitter_days * DAY_MS
        site = site.shift_time(int(rng.integers(-days, days + 1)))
        return draw_with_trace(site, self.schema, self.config, draw_location(site, self.config, rng), rng)

    def records(self, step: int) -> list[int]:
        """Which sites the global batch of a step (counted from 1) is drawn from, by their index."""
        batch = self.config.training.batch
        return [self._record(drawn) for drawn in range((step - 1) * batch, step * batch)]

    def _record(self, drawn: int) -> int:
        return int(cast(int, self._order[drawn]))


def training_batches(examples: HostExamples, steps_done: int = 0) -> grain.DatasetIterator:
    """An iterator of the host-local batches that are left of `training.steps`; reading begins at once.

    Where it stands is the number of steps done: the same on any number of hosts, workers and threads. Examples are read
    ahead for a few batches, or as many as READ_AHEAD_BYTES hold, or four for each worker. Where two of these batches
    have room, they are put together beside the caller. To be closed, which ends the workers. Raises ValueError as
    `read_in_processes` does.
    """
    batch, workers, threads = len(examples.rows), examples.config.data.workers, examples.config.data.threads
    size = sum(leaf.nbytes for leaf in jax.tree.leaves(absent_example(examples.config)))
    ahead = min(READ_AHEAD * batch, READ_AHEAD_BYTES // size)
    beside = min(1, ahead // (2 * batch))  # batches that wait, put together; another one is in hand
    ahead -= 2 * beside * batch
    source = grain.MapDataset.source(examples)[steps_done * batch :]
    if workers:
        read = read_in_processes(source, workers, ahead, collected=batch, size=size)
    else:
        read = source.to_iter_dataset(grain.ReadOptions(num_threads=threads, prefetch_buffer_size=max(threads, ahead)))
    batches = iter(read.batch(batch, drop_remainder=True, batch_fn=stack))
    beside_the_caller = grain.experimental.ThreadPrefetchDatasetIterator(batches, prefetch_buffer_size=beside)
    with deaf_to_signals():
        batches.start_prefetch()  # all workers begin: else each would when the one before has read
    return beside_the_caller


def stack(examples: Sequence[Batch]) -> Batch:
    """Examples side by side on a new leading axis."""
    return jax.tree.map(lambda *leaves: np.stack(leaves), *examples)
