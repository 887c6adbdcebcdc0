"""What a compiled program sends between devices, out of its optimised HLO."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from aef_jax.aot.cost.chips import Chip, wraps
from aef_jax.aot.cost.torus import Coordinates, Torus, sides_of
from aef_jax.aot.hlo.module import Instruction, Visit, bytes_of, visits
from aef_jax.aot.hlo.overlap import done, hidden, meanwhile
from aef_jax.aot.hlo.replica_groups import members, pairs

KINDS = ("all-reduce", "all-gather", "reduce-scatter", "all-to-all", "collective-permute")


@dataclass(frozen=True)
class Collective:
    """One instruction of the program."""

    kind: str
    payload: int
    """Bytes that one device holds of the result, or of the operand, whichever is larger."""
    group: int
    """Devices that exchange it."""
    sent: float
    """Bytes that cross the busiest link, one way, each time (see torus.py)."""
    loops: tuple[int | None, ...]
    """Trip counts of the loops around it (see Visit)."""
    inner_loops: tuple[int | None, ...]
    times: int
    origin: str
    """The operation of JAX that it comes from."""
    hidden: float = 0.0
    """Of the bytes sent, those that cross the link while the program computes (see overlap.py)."""

    def seconds(self, link_bandwidth: float) -> float:
        """Of all times, if nothing but bandwidth counts."""
        return self.times * self.sent / link_bandwidth

    def exposed_seconds(self, link_bandwidth: float) -> float:
        """Of these, those in which the program waits."""
        return self.times * (self.sent - self.hidden) / link_bandwidth

    def in_loop_of(self, trips: int) -> bool:
        """Whether the innermost loop around it has so many trips, and is not one around such a loop.

        (A batch in as many parts as there are blocks is a loop like those over blocks, which it holds.)
        """
        return self.loops[-1:] == (trips,) and trips not in self.inner_loops


def on_chips(hlo: str, chip: Chip, coordinates: Coordinates) -> list[Collective]:
    """All of a program that all chips of a machine run."""
    return collectives(hlo, coordinates, wraps(chip, sides_of(coordinates)), chip.link_bandwidth / chip.clock)


def collectives(
    hlo: str, coordinates: Coordinates, wraps: Sequence[bool] = (), bytes_per_cycle: float = 0.0
) -> list[Collective]:
    """All of a program's; a pair of start and done is one. What has but one device in its group is none.

    Args:
        wraps: of each axis of the torus; none does where it is not said.
        bytes_per_cycle: that a link carries, one way, in a cycle of XLA's estimates; at 0 nothing is hidden.

    Raises ValueError where a collective is written in a way that is not known.
    """
    torus, together = Torus(coordinates, wraps), {}
    for visit in visits(hlo):
        for index in range(len(visit.instructions)):
            if one := _collective(visit, index, torus):
                executed, _ = visit.executed(index)
                together.setdefault(id(executed), (executed, []))[1].append((meanwhile(visit, index), one))
    found = []
    for executed, sent in together.values():
        hides = [bytes_per_cycle * instruction.cycles for instruction in executed.instructions]
        sizes = hidden([(span, one.sent) for span, one in sent], hides)
        found += [replace(one, hidden=size) for (_, one), size in zip(sent, sizes, strict=True)]
    return found


def _collective(visit: Visit, index: int, torus: Torus) -> Collective | None:
    instruction = visit.instructions[index]
    kind, result = instruction.opcode.removesuffix("-start"), instruction.shape
    if kind not in KINDS:
        return None
    if kind != instruction.opcode:
        result = visit.instructions[done(visit.instructions, index)].shape
    payload = bytes_of(result)
    if kind == "collective-permute":
        exchanged = pairs(instruction)
        group = 2 if exchanged else 1
        crossings = torus.hops(exchanged) if exchanged else 0
    else:
        devices = members(instruction, len(torus.coordinates))
        group = len(devices)
        payload *= group if kind == "reduce-scatter" else 1
        kind = "reduce-scatter" if kind == "all-reduce" and _scatters(instruction, visit) else kind
        crossings = torus.crossings(kind, devices) if group > 1 else 0
    if group == 1:
        return None
    return Collective(
        kind=kind,
        payload=payload,
        group=group,
        sent=payload * crossings,
        loops=visit.loops,
        inner_loops=visit.inner_loops,
        times=visit.times,
        origin=_origin(visit, index),
    )


def _scatters(reduced: Instruction, visit: Visit) -> bool:
    """Whether an all-reduce is in a fusion in which each device keeps but its part: so TPUs scatter a reduction."""
    parts = {other.name for other in visit.instructions if other.operand == reduced.name} | {reduced.name}
    return visit.part_of is not None and any(
        other.opcode == "dynamic-slice" and other.operand in parts for other in visit.instructions
    )


def _origin(visit: Visit, index: int) -> str:
    """Its own, or that of what it is a part of."""
    origin = visit.instructions[index].attribute(r'op_name="([^"]*)"')
    return origin or (_origin(*visit.part_of) if visit.part_of else "")
