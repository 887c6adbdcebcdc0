"""Find what a compiled program sends between devices, in its optimized HLO."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from aef_jax.aot.cost.chips import Chip, wrapped_axes
from aef_jax.aot.cost.torus import Coordinates, Torus, torus_sides
from aef_jax.aot.hlo.module import Instruction, Visit, shape_bytes, visits
from aef_jax.aot.hlo.overlap import done_index, hidden_bytes, overlap_span
from aef_jax.aot.hlo.replica_groups import first_group, source_target_pairs

KINDS = ("all-reduce", "all-gather", "reduce-scatter", "all-to-all", "collective-permute")


@dataclass(frozen=True)
class Collective:
    """One collective instruction of the program."""

    kind: str
    payload: int
    """Bytes that one device holds of the result or of the operand, whichever is larger."""
    group: int
    """Number of devices that exchange the payload."""
    sent: float
    """Bytes that cross the busiest link, one way, in each run (see torus.py)."""
    loops: tuple[int | None, ...]
    """Trip counts of the loops around the instruction (see Visit)."""
    inner_loops: tuple[int | None, ...]
    """Trip counts of the loops inside the innermost of these (see Visit)."""
    times: int
    """Number of runs in one step."""
    origin: str
    """The JAX operation that the instruction comes from."""
    hidden: float = 0.0
    """Bytes of `sent` that cross the link while the program computes (see overlap.py)."""

    def seconds(self, link_bandwidth: float) -> float:
        """Return the time of all runs, limited by bandwidth alone.

        Args:
            link_bandwidth: bytes per second of one link, one way.

        Returns:
            Seconds in one step.
        """
        return self.times * self.sent / link_bandwidth

    def exposed_seconds(self, link_bandwidth: float) -> float:
        """Return the part of `seconds` in which the program waits.

        Args:
            link_bandwidth: bytes per second of one link, one way.

        Returns:
            Seconds in one step.
        """
        return self.times * (self.sent - self.hidden) / link_bandwidth

    def in_loop_of(self, trips: int) -> bool:
        """Return whether the instruction is directly in a loop of `trips` trips.

        A loop that contains another loop of `trips` trips does not count: if a batch has as many parts as the model has
        blocks, the loop over parts has the length of a loop over blocks and contains such loops.

        Args:
            trips: the trip count.

        Returns:
            True if the innermost loop around the instruction has this trip count.
        """
        return self.loops[-1:] == (trips,) and trips not in self.inner_loops


def find_collectives_on(chip: Chip, hlo: str, coordinates: Coordinates) -> list[Collective]:
    """Find the collectives of a program that runs on all chips of a machine.

    Args:
        chip: the machine's chips.
        hlo: text of the optimized HLO module.
        coordinates: of each chip on the machine's torus.

    Returns:
        The collectives, as `find_collectives` returns them.
    """
    wraps = wrapped_axes(chip, torus_sides(coordinates))
    return find_collectives(hlo, coordinates, wraps, chip.link_bandwidth / chip.clock)


def find_collectives(
    hlo: str, coordinates: Coordinates, wraps: Sequence[bool] = (), bytes_per_cycle: float = 0.0
) -> list[Collective]:
    """Find the collectives of a program. An asynchronous start and its done are one collective.

    Collectives over groups of a single device are ignored.

    Args:
        hlo: text of the optimized HLO module.
        coordinates: of each device on the torus.
        wraps: whether each axis of the torus is closed to a ring; missing axes are open.
        bytes_per_cycle: bytes that a link carries, one way, in one cycle of XLA's estimates. At 0 nothing is hidden.

    Returns:
        The collectives, one for each place in the program that runs them.

    Raises:
        ValueError: if a collective is written in an unknown notation.
    """
    torus, by_computation = Torus(coordinates, wraps), {}
    for visit in visits(hlo):
        for index in range(len(visit.instructions)):
            if collective := _collective(visit, index, torus):
                executed, _ = visit.executed(index)
                _, spans = by_computation.setdefault(id(executed), (executed, []))
                spans.append((overlap_span(visit, index), collective))
    collectives = []
    for executed, spans in by_computation.values():
        capacities = [bytes_per_cycle * instruction.cycles for instruction in executed.instructions]
        hidden = hidden_bytes([(span, collective.sent) for span, collective in spans], capacities)
        collectives += [replace(collective, hidden=size) for (_, collective), size in zip(spans, hidden, strict=True)]
    return collectives


def _collective(visit: Visit, index: int, torus: Torus) -> Collective | None:
    instruction = visit.instructions[index]
    kind, result = instruction.opcode.removesuffix("-start"), instruction.shape
    if kind not in KINDS:
        return None
    if kind != instruction.opcode:
        result = visit.instructions[done_index(visit.instructions, index)].shape
    payload = shape_bytes(result)
    if kind == "collective-permute":
        exchanged = source_target_pairs(instruction)
        group = 2 if exchanged else 1
        crossings = torus.hops(exchanged) if exchanged else 0
    else:
        devices = first_group(instruction, len(torus.coordinates))
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
    """Return whether each device keeps only its slice of an all-reduce: TPUs scatter a reduction in such a fusion."""
    parts = {other.name for other in visit.instructions if other.operand == reduced.name} | {reduced.name}
    return visit.part_of is not None and any(
        other.opcode == "dynamic-slice" and other.operand in parts for other in visit.instructions
    )


def _origin(visit: Visit, index: int) -> str:
    """Return the JAX operation of an instruction, or else that of the fusion that contains it."""
    origin = visit.instructions[index].attribute(r'op_name="([^"]*)"')
    return origin or (_origin(*visit.part_of) if visit.part_of else "")
