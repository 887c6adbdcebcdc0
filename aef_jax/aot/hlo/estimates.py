"""Read XLA's own estimates of how long a compiled step takes.

XLA's compiler for TPUs writes a number of cycles beside the instructions that it emits. The numbers are not documented.
They steer the compiler's choices and so show what it considers costly: a layout that suits a product badly, or a pass
that it could not fuse.
"""

from collections import defaultdict
from dataclasses import dataclass

from aef_jax.aot.cost.chips import Chip
from aef_jax.aot.hlo.module import visits

_NUM_COSTLIEST = 20


@dataclass(frozen=True)
class Costly:
    """One instruction of the program and the estimated time of all its runs."""

    seconds: float
    times: int
    """Number of runs in one step."""
    name: str
    shape: str
    origin: str
    """The JAX operation that the instruction comes from."""


@dataclass(frozen=True)
class Estimates:
    """XLA's estimates for one step on one device."""

    seconds: float
    """Sum over all instructions that have an estimate."""
    by_operator: dict[str, float]
    """Seconds by the first named scope that is an operator's name; "other" for instructions without such a scope."""
    costliest: tuple[Costly, ...]
    """The instructions that take longest, in descending order."""


def read_estimates(hlo: str, chip: Chip, operators: frozenset[str]) -> Estimates:
    """Sum XLA's estimates over one step on one device.

    Args:
        hlo: text of the optimized HLO module.
        chip: its clock converts cycles to seconds.
        operators: names of the scopes (`jax.named_scope`) to sum over.

    Returns:
        The estimates in seconds.
    """
    instructions: list[Costly] = []
    by_operator: defaultdict[str, float] = defaultdict(float)
    for visit in visits(hlo):
        for instruction in [] if visit.part_of else visit.instructions:
            if not instruction.cycles:
                continue
            origin = instruction.attribute(r'op_name="([^"]*)"') or ""
            seconds = visit.times * instruction.cycles / chip.clock
            instructions.append(Costly(seconds, visit.times, instruction.name, instruction.shape, origin))
            scopes = [scope for scope in origin.replace("(", "/").replace(")", "/").split("/") if scope in operators]
            by_operator[scopes[0] if scopes else "other"] += seconds
    instructions.sort(key=lambda costly: -costly.seconds)
    return Estimates(
        seconds=sum(by_operator.values()),
        by_operator=dict(sorted(by_operator.items(), key=lambda item: -item[1])),
        costliest=tuple(instructions[:_NUM_COSTLIEST]),
    )
