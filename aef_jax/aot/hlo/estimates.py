"""How long XLA itself takes a compiled step to be: the cycles that its compiler for TPUs writes beside what it emits.

They are not documented. They steer its own choices, and so show what it finds costly: a layout that fits a product
badly, a pass that it could not fuse.
"""

from collections import defaultdict
from dataclasses import dataclass

from aef_jax.aot.cost.chips import Chip
from aef_jax.aot.hlo.module import visits

_SHOWN = 20


@dataclass(frozen=True)
class Costly:
    """One instruction of the program, with all its repetitions."""

    seconds: float
    times: int
    name: str
    shape: str
    origin: str
    """The operation of JAX that it comes from."""


@dataclass(frozen=True)
class Estimates:
    seconds: float
    """Of all instructions that XLA has a number for."""
    by_operator: dict[str, float]
    """Seconds, by the first named scope of an instruction that is an operator's; "other" for those without."""
    costliest: tuple[Costly, ...]


def estimates(hlo: str, chip: Chip, operators: frozenset[str]) -> Estimates:
    """Of one step on one device.

    Args:
        operators: names that scopes of the program (`jax.named_scope`) may have.
    """
    found: list[Costly] = []
    by_operator: defaultdict[str, float] = defaultdict(float)
    for visit in visits(hlo):
        for instruction in [] if visit.part_of else visit.instructions:
            if not instruction.cycles:
                continue
            origin = instruction.attribute(r'op_name="([^"]*)"') or ""
            seconds = visit.times * instruction.cycles / chip.clock
            found.append(Costly(seconds, visit.times, instruction.name, instruction.shape, origin))
            scopes = [scope for scope in origin.replace("(", "/").replace(")", "/").split("/") if scope in operators]
            by_operator[scopes[0] if scopes else "other"] += seconds
    found.sort(key=lambda costly: -costly.seconds)
    return Estimates(
        sum(by_operator.values()), dict(sorted(by_operator.items(), key=lambda item: -item[1])), tuple(found[:_SHOWN])
    )
