"""The stream of training batches: a pure function of (seed, step), read in parallel, resumable by one integer."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import SupportsIndex

import grain
import jax
import numpy as np

from aef_jax.data.examples import draw_example, draw_place
from aef_jax.data.site import Site
from configs.batch import Batch
from configs.run import Config
from configs.timecode import DAY_MS, YEAR_DAYS
from configs.training import DataConfig


@dataclass(frozen=True)
class HostExamples:
    """All examples of a run that one host reads, in order; a random-access source for grain.

    Host h of n holds the h-th n-th of every global batch, so the global batch is the same for any number of hosts.
    """

    site: Site
    config: Config
    host: int
    hosts: int

    def __len__(self) -> int:
        return self.config.training.steps * self.local_batch

    def __getitem__(self, index: SupportsIndex) -> Batch:
        step, within = divmod(int(index), self.local_batch)
        drawn = step * self.config.training.batch + self.host * self.local_batch + within
        rng = np.random.default_rng([self.config.training.seed, drawn])
        site = self.site.delayed(_draw_delay(self.config.data, rng))
        return draw_example(site, self.config, draw_place(site, self.config, rng), rng)

    @property
    def local_batch(self) -> int:
        return self.config.training.batch // self.hosts


def training_batches(site: Site, config: Config) -> grain.DatasetIterator:
    """An iterator of `training.steps` host-local batches. Its `get_state` / `set_state` are exact."""
    examples = HostExamples(site, config, jax.process_index(), jax.process_count())
    options = grain.ReadOptions(num_threads=config.data.threads, prefetch_buffer_size=4 * examples.local_batch)
    return iter(
        grain.MapDataset.source(examples)
        .to_iter_dataset(options)
        .batch(examples.local_batch, drop_remainder=True, batch_fn=stack)
    )


def _draw_delay(config: DataConfig, rng: np.random.Generator) -> int:
    days, years = config.time_jitter_days * DAY_MS, config.time_jitter_years
    return int(rng.integers(-days, days + 1) + rng.integers(-years, years + 1) * YEAR_DAYS * DAY_MS)


def stack(examples: Sequence[Batch]) -> Batch:
    """Examples side by side on a new leading axis."""
    return jax.tree.map(lambda *leaves: np.stack(leaves), *examples)
