"""Compute the least time that a step can take on a chip, from what each operator computes and moves.

An operator takes the longer of two times: that of its products at the chip's peak, and that of its bytes at the
memory's bandwidth. Operators run one after another. The time in which the program waits for collectives is added.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from aef_jax.aot.cost.chips import Chip
from aef_jax.aot.cost.traffic import FrameCounts, training_traffic
from aef_jax.aot.hlo.collectives import Collective
from configs.batch import Batch
from configs.config import Config
from configs.flops import training_flops

PAPER_STEPS = 100_000
"""Steps of the paper's training run."""


@dataclass(frozen=True)
class Operator:
    """The cost of one operator on one device in one step."""

    name: str
    flops: float
    bytes: float
    flop_seconds: float
    memory_seconds: float

    @property
    def seconds(self) -> float:
        """The longer of the two times."""
        return max(self.flop_seconds, self.memory_seconds)


@dataclass(frozen=True)
class Roofline:
    """The cost of one step on one device."""

    operators: tuple[Operator, ...]
    exposed_seconds: float
    """Time of collectives during which the program computes nothing."""
    hidden_seconds: float
    """Time of collectives during which the program computes, by XLA's estimates; not part of `seconds`."""

    @property
    def seconds(self) -> float:
        """Least time of a step, collectives that the program waits for included."""
        return sum(operator.seconds for operator in self.operators) + self.exposed_seconds

    @property
    def flops(self) -> float:
        """Floating point operations of all operators."""
        return sum(operator.flops for operator in self.operators)

    @property
    def bytes(self) -> float:
        """Bytes that all operators move through HBM."""
        return sum(operator.bytes for operator in self.operators)

    def hours(self, steps: int = PAPER_STEPS) -> float:
        """Return the least time of a training run.

        Args:
            steps: of the run.

        Returns:
            Hours.
        """
        return steps * self.seconds / 3600


def compute_roofline(
    config: Config,
    batch: Batch,
    weights: Mapping[str, int],
    mesh: Mapping[str, int],
    chip: Chip,
    collectives: Sequence[Collective],
) -> Roofline:
    """Compute the cost of one training step on a batch that is split evenly over all devices of a mesh.

    Args:
        config: of the training run.
        batch: the global batch; only its shapes count.
        weights: number of parameters of each operator.
        mesh: number of devices along each axis.
        chip: that the devices are.
        collectives: of the compiled step.

    Returns:
        The cost on one device.
    """
    frames = {name: source.pixels.shape[1] for name, source in batch.frames.items()}
    student = {name: source.index.shape[1] for name, source in batch.student.items()}
    targets, text = tuple(batch.targets), batch.text is not None
    sequences = batch.shared_period.shape[0] / math.prod(mesh.values())
    flops = training_flops(config, frames, student, targets, text)
    moved, weights_moved = training_traffic(
        config,
        FrameCounts(frames, len(targets) + 1 + text),
        FrameCounts(student, 1) if config.objective.consistency else None,
        targets,
        weights,
        shards=mesh["fsdp"],
    )
    operators = []
    for name in dict.fromkeys([*flops, *moved, *weights_moved]):
        computed = sequences * flops.get(name, 0)
        bytes_moved = sequences * moved.get(name, 0) + weights_moved.get(name, 0)
        operators.append(
            Operator(name, computed, bytes_moved, computed / chip.peak_flops, bytes_moved / chip.hbm_bandwidth)
        )
    exposed = sum(collective.exposed_seconds(chip.link_bandwidth) for collective in collectives)
    hidden = sum(collective.seconds(chip.link_bandwidth) for collective in collectives) - exposed
    return Roofline(tuple(operators), exposed, hidden)
