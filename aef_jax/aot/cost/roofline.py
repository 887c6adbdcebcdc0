"""The least time that a step can take on a chip: what each operator computes and moves, against what the chip can.

An operator takes the longer of its products' time at the chip's peak and its bytes' time at the memory's bandwidth;
operators follow one another; of collectives, the time in which the program waits for them comes on top.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from aef_jax.aot.cost.chips import Chip
from aef_jax.aot.cost.traffic import Frames, training_traffic
from aef_jax.aot.hlo.collectives import Collective
from configs.batch import Batch
from configs.config import Config
from configs.flops import training_flops

STEPS = 100_000
"""Of the paper's training run."""


@dataclass(frozen=True)
class Operator:
    """What one operator costs one device in one step."""

    name: str
    flops: float
    bytes: float
    flop_seconds: float
    memory_seconds: float

    @property
    def seconds(self) -> float:
        return max(self.flop_seconds, self.memory_seconds)


@dataclass(frozen=True)
class Roofline:
    operators: tuple[Operator, ...]
    exposed_seconds: float
    """Of collectives, while the program computes nothing."""
    hidden_seconds: float
    """Of collectives, while it computes, as long as XLA takes that to be; not part of the whole."""

    @property
    def seconds(self) -> float:
        return sum(operator.seconds for operator in self.operators) + self.exposed_seconds

    @property
    def flops(self) -> float:
        return sum(operator.flops for operator in self.operators)

    @property
    def bytes(self) -> float:
        return sum(operator.bytes for operator in self.operators)

    def hours(self, steps: int = STEPS) -> float:
        return steps * self.seconds / 3600


def roofline(
    config: Config,
    batch: Batch,
    weights: Mapping[str, int],
    mesh: Mapping[str, int],
    chip: Chip,
    sent: Sequence[Collective],
) -> Roofline:
    """Of one training step on a batch that is split evenly over all devices of a mesh.

    Args:
        batch: global; only its shapes count.
        weights: numbers of parameters by operator.
        mesh: devices along each axis.
        sent: of the compiled step.
    """
    frames = {name: source.pixels.shape[1] for name, source in batch.frames.items()}
    student = {name: source.index.shape[1] for name, source in batch.student.items()}
    targets, text = tuple(batch.targets), batch.text is not None
    sequences = batch.shared_period.shape[0] / math.prod(mesh.values())
    flops = training_flops(config, frames, student, targets, text)
    moved, weights_moved = training_traffic(
        config,
        Frames(frames, len(targets) + 1 + text),
        Frames(student, 1) if config.objective.consistency else None,
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
    exposed = sum(one.exposed_seconds(chip.link_bandwidth) for one in sent)
    hidden = sum(one.seconds(chip.link_bandwidth) for one in sent) - exposed
    return Roofline(tuple(operators), exposed, hidden)
