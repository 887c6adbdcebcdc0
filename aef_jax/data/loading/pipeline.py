"""The stream of training batches: a pure function of (seed, epoch, index), read in parallel, resumed at any step."""

from collections.abc import Sequence
from typing import SupportsIndex, cast

import grain
import jax
import numpy as np
from jaxtyping import Float64

from aef_jax.data.loading.readers import read_in_processes, signals_blocked
from aef_jax.data.sampling.absent import absent_example
from aef_jax.data.sampling.examples import DatasetSchema, DrawnExample, draw_location, draw_parts
from aef_jax.data.store.site import Site
from configs.batch import Batch
from configs.config import Config
from configs.encodings.timecode import DAY_MS

READ_AHEAD = 4
"""Batches that are kept ready for the device."""
MAX_EMPTY = 64
"""Examples of a run that are drawn at most to find one that a step can learn from."""
READ_AHEAD_BYTES = 4 * 2**30
"""Most memory that these batches take. An example of `paper` has 50 MB, and a host may hold a hundred of a batch."""


_WEIGHTED = 1
"""Tells the random numbers of weighted drawing from those of examples, whose seed has two parts."""


class HostExamples:
    """All examples of a run that one host reads, in order: a random-access source for grain.

    In each epoch every site comes once, in a new order. A host holds some rows of every global batch, so the global
    batch is the same for any number of hosts.

    With weights, a site of weight w comes N w / sum(w) times in an epoch of N sites, rounded up or down: all positions
    of the epoch are moved by one random part of a position, and looked up in the cumulated weights (systematic
    sampling; ours). Equal weights draw as no weights do.

    Args:
        sites: the training sites, as stored.
        schema: their sources and statistics.
        config: gives the seed, the steps and the batch.
        rows: the host's rows of the global batch, of `training.batch` rows. None: all of them.
        weights: how often each site is drawn, relative to others. None: all alike.
    """

    def __init__(
        self,
        sites: Sequence[Site],
        schema: DatasetSchema,
        config: Config,
        rows: Sequence[int] | None = None,
        weights: Float64[np.ndarray, "N"] | None = None,
    ):
        self.sites, self.schema, self.config, self.weights = sites, schema, config, weights
        if weights is not None:
            self._ends = np.cumsum(weights) * (len(sites) / weights.sum())
        self.rows = range(config.training.batch) if rows is None else rows
        self._order = grain.MapDataset.range(len(sites)).shuffle(seed=config.training.seed).repeat()

    def __len__(self) -> int:
        return self.config.training.steps * len(self.rows)

    def __getitem__(self, index: SupportsIndex) -> Batch:
        return self.draw(index).to_batch()

    def draw(self, index: SupportsIndex) -> DrawnExample:
        """Draw an example without encoding it as a batch.

        Args:
            index: of the host's examples.

        Returns:
            The example in parts; its `to_batch` is what indexing returns.
        """
        step, row = divmod(int(index), len(self.rows))
        global_index = step * self.config.training.batch + self.rows[row]
        rng = np.random.default_rng([self.config.training.seed, global_index])
        site = self.sites[self._site_index(global_index)]
        days = self.config.data.time_jitter_days * DAY_MS
        site = site.shift_time(int(rng.integers(-days, days + 1)))
        return draw_parts(site, self.schema, self.config, draw_location(site, self.config, rng), rng)

    def records(self, step: int) -> list[int]:
        """Return the sites that the global batch of a step is drawn from.

        Args:
            step: counted from 1.

        Returns:
            Index of each row's site.
        """
        batch = self.config.training.batch
        return [self._site_index(global_index) for global_index in range((step - 1) * batch, step * batch)]

    def _site_index(self, global_index: int) -> int:
        position = int(cast(int, self._order[global_index]))
        if self.weights is None:
            return position
        count = len(self.sites)
        offset = np.random.default_rng([self.config.training.seed, global_index // count, _WEIGHTED]).random()
        # rounding may put the last position past the last site's end
        return min(int(np.searchsorted(self._ends, position + offset, side="right")), count - 1)


def count_empty(batch: Batch) -> dict[str, int]:
    """Count the examples from which a step learns little or nothing.

    Args:
        batch: examples with a leading axis.

    Returns:
        `examples_without_input`: no source has a frame; `examples_without_target`: no source has a valid pixel.
    """
    has_input = np.any([frames.present.any(axis=1) for frames in batch.frames.values()], axis=0)
    has_target = np.any([t.valid.reshape(len(t.valid), -1).any(axis=1) for t in batch.targets.values()], axis=0)
    counts = {"input": has_input, "target": has_target}
    return {f"examples_without_{name}": int(np.count_nonzero(~has)) for name, has in counts.items()}


def require_content(examples: HostExamples) -> None:
    """Refuse a run whose examples have no frames or nothing to reconstruct. All hosts look at the same examples.

    Args:
        examples: the host's examples.

    Raises:
        ValueError: none of the run's first examples has both an input frame and a target.
    """
    of_all_hosts = HostExamples(examples.sites, examples.schema, examples.config, weights=examples.weights)
    number = min(len(of_all_hosts), MAX_EMPTY)
    if all(any(count_empty(stack([of_all_hosts[index]])).values()) for index in range(number)):
        raise ValueError(
            f"{examples.config.data.path or 'the sample'}: none of the run's first {number} examples has a frame of an"
            " input source and a valid target: are the sites' support periods those of their frames?"
        )


def training_batches(examples: HostExamples, steps_done: int = 0) -> grain.DatasetIterator:
    """Iterate over the host's remaining batches; reading begins at once.

    The position to resume from is the step count: it is the same on any number of hosts, workers and threads. Call
    `close()` to stop the workers.

    Examples are read ahead: `READ_AHEAD` batches, or as many as `READ_AHEAD_BYTES` hold, but at least four for each
    worker. If two batches fit in that, a thread stacks the next batch.

    Args:
        examples: the host's examples.
        steps_done: steps of `training.steps` that need no batch any more.

    Returns:
        An iterator of batches with a leading axis of the host's rows.

    Raises:
        ValueError: the machine's shared memory is too small for the workers.
    """
    batch, workers, threads = len(examples.rows), examples.config.data.workers, examples.config.data.threads
    size = sum(leaf.nbytes for leaf in jax.tree.leaves(absent_example(examples.config)))
    ahead_count = min(READ_AHEAD * batch, READ_AHEAD_BYTES // size)
    stacked = min(1, ahead_count // (2 * batch))  # batches that wait stacked; another one is being stacked
    ahead_count -= 2 * stacked * batch
    source = grain.MapDataset.source(examples)[steps_done * batch :]
    if workers:
        read = read_in_processes(source, workers, ahead_count, collected=batch, size=size)
    else:
        buffer = max(threads, ahead_count)
        read = source.to_iter_dataset(grain.ReadOptions(num_threads=threads, prefetch_buffer_size=buffer))
    batches = iter(read.batch(batch, drop_remainder=True, batch_fn=stack))
    iterator = grain.experimental.ThreadPrefetchDatasetIterator(batches, prefetch_buffer_size=stacked)
    with signals_blocked():
        batches.start_prefetch()  # starts all workers at once; otherwise each would start after the one before has read
    return iterator


def stack(examples: Sequence[Batch]) -> Batch:
    """Stack examples on a new leading axis.

    Args:
        examples: batches of one sequence, without a batch axis.

    Returns:
        One batch.
    """
    return jax.tree.map(lambda *leaves: np.stack(leaves), *examples)
