"""Run the comparison with faults: each must be caught, and the bisection must name its module."""

import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

import numpy as np

from configs.batch import Batch, BottleneckNoise, Frames
from configs.config import Config
from configs.fake_batch import random_batch
from configs.presets import DEBUG
from configs.sources import LANDSAT, NLCD, SENTINEL1, TEXT
from parity.aef.pair import aef_pair
from parity.aef.random_weights import random_weights
from parity.aef.training.optimizer_parity import optimizer_distance
from parity.capture.calls import WHOLE, Call
from parity.capture.trees import cast, map_arrays
from parity.comparison.bisection import Culprit, bisect
from parity.comparison.mutation import Mutation, apply_mutation
from parity.comparison.pair import Pair
from parity.comparison.tolerances import TOLERANCES

CONFIG = replace(DEBUG, model=replace(DEBUG.model, text_width=12), sources=(SENTINEL1, LANDSAT, NLCD, TEXT))
"""A small model with a source of each kind of error: shift-invariant, coarser grid, classes; metadata and text."""

OBJECTIVE, OPTIMIZER = "objective", "optimizer"
"""What a bisection names that is neither a module nor a function."""


@dataclass(frozen=True)
class Outcome:
    """The result of one mutation."""

    mutation: Mutation
    caught: bool
    named: str
    """What the bisection named: a module's class, a function's label, `objective` or `optimizer`; empty if nothing."""
    seconds: float

    @property
    def localized(self) -> bool:
        """Whether the bisection named the culprit."""
        return self.named == self.mutation.culprit

    @property
    def as_expected(self) -> bool:
        """Whether the fault was caught and located; for one that changes no number, whether it was not caught."""
        return not self.caught if self.mutation.equivalent else self.caught and self.localized


class Suite:
    """The comparison in float64: of the objective, forward and backward, and of the optimizer.

    Args:
        config: The model.
    """

    def __init__(self, config: Config = CONFIG):
        self.config, self.weights = config, random_weights(config)
        self.torch = aef_pair(config, self.weights).torch
        self.first = self.call(seed=0)

    def call(self, seed: int) -> Call:
        """Call the objective on a random batch.

        Args:
            seed: The seed of the batch.

        Returns:
            The call.
        """
        return self._pair().call(harden(*random_batch(self.config, seed=seed, sequences=3)), seed=seed)

    def in_objective(self, call: Call) -> str:
        """Bisect the objective.

        Args:
            call: A call of it.

        Returns:
            What the first difference is named; empty if there is none.
        """
        pair = self._pair()
        culprit = next(bisect(pair, call), None)
        return _name(pair, culprit) if culprit else ""

    def in_optimizer(self) -> str:
        """Compare the optimizers.

        Returns:
            `optimizer` if they differ, else an empty text.
        """
        bound = TOLERANCES["float64"].relative_l2
        return OPTIMIZER if max(optimizer_distance(self.config, self.weights)) > bound else ""

    def _pair(self) -> Pair:
        """Pair PyTorch's objective with a new JAX model, since its code may have changed."""
        return Pair(self.torch, aef_pair(self.config, self.weights, compiled=False).jax)


def survey(suite: Suite, mutations: Iterable[Mutation]) -> Iterator[Outcome]:
    """Test one fault after the other.

    Args:
        suite: The comparison.
        mutations: The faults.

    Yields:
        Their outcomes.
    """
    for mutation in mutations:
        begun = time.perf_counter()
        with apply_mutation(mutation):
            named = suite.in_optimizer() if mutation.culprit == OPTIMIZER else suite.in_objective(suite.first)
        yield Outcome(mutation, bool(named), named, time.perf_counter() - begun)


def false_alarms(suite: Suite, seeds: Iterable[int]) -> Iterator[str]:
    """Run the comparison without a fault.

    Args:
        suite: The comparison.
        seeds: Seeds of the batches.

    Yields:
        For each seed, what was named although there is no fault; normally empty.
    """
    for seed in seeds:
        yield suite.in_objective(suite.call(seed)) or suite.in_optimizer()


def harden(batch: Batch, noise: BottleneckNoise) -> tuple[Batch, BottleneckNoise]:
    """Make a batch of numbers that are not exact in float32, with NaN in absent frames, so that fewer faults can hide.

    Args:
        batch: The batch.
        noise: The noise of the bottleneck.

    Returns:
        The changed batch and noise, float64.
    """
    batch, noise = map_arrays(
        lambda x: x * (1 + 2.0**-40) if x.dtype == np.float64 else x, cast((batch, noise), "float64")
    )
    frames = {}
    for name, (pixels, timecodes, present, bands) in batch.frames.items():
        here = present[..., None]
        frames[name] = Frames(
            np.where(here[..., None, None], pixels, np.nan), np.where(here, timecodes, np.nan), present, bands
        )
    return batch._replace(frames=frames), noise


def _name(pair: Pair, culprit: Culprit) -> str:
    label = culprit.call.label
    if label == WHOLE:
        return OBJECTIVE
    return label if label in pair.torch.functions else type(pair.torch.modules[label]).__name__
