"""What a compiled program sends between devices, out of its optimised HLO."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from aef_jax.ahead.hlo import Instruction, Visit, bytes_of, visits

KINDS = ("all-reduce", "all-gather", "reduce-scatter", "all-to-all", "collective-permute")
_COMPUTES = ("fusion", "convolution", "dot", "custom-call", "while", "call", "conditional")

Coordinates = Sequence[Sequence[int]]
"""Of each device of the mesh, in its order, on the torus."""


@dataclass(frozen=True)
class Collective:
    """One instruction of the program."""

    kind: str
    payload: int
    """Bytes that one device holds of the result, or of the operand, whichever is larger."""
    group: int
    """Devices that exchange it."""
    links: int
    """Of each device that the group spans."""
    sent: float
    """Bytes that cross one device's links each time, those included that it passes on."""
    loops: tuple[int | None, ...]
    """Trip counts of the loops around it (see Visit)."""
    times: int
    overlapped: bool
    """Whether the program computes between its start and its end."""
    origin: str
    """The operation of JAX that it comes from."""

    def seconds(self, link_bandwidth: float) -> float:
        """Of all times, if nothing but bandwidth counts."""
        return self.times * self.sent / (self.links * link_bandwidth)

    def in_loop_of(self, trips: int) -> bool:
        return trips in self.loops


def collectives(hlo: str, coordinates: Coordinates) -> list[Collective]:
    """All of a program's; a pair of start and done is one. What has but one device in its group is none."""
    found = [
        _collective(visit, index, instruction, coordinates)
        for visit in visits(hlo)
        for index, instruction in enumerate(visit.instructions)
        if instruction.opcode.removesuffix("-start") in KINDS
    ]
    return [collective for collective in found if collective.group > 1]


def _collective(visit: Visit, index: int, instruction: Instruction, coordinates: Coordinates) -> Collective:
    kind = instruction.opcode.removesuffix("-start")
    overlapped, result = visit.asynchronous, instruction.shape
    if kind != instruction.opcode:
        done, between = _done(visit.instructions[index + 1 :], instruction.name)
        overlapped, result = any(other.opcode in _COMPUTES for other in between), done.shape
    members = _members(instruction, len(coordinates))
    payload = bytes_of(result) * (len(members) if kind == "reduce-scatter" else 1)
    extents = [len(set(along)) for along in zip(*(coordinates[member] for member in members), strict=True)]
    return Collective(
        kind=kind,
        payload=payload,
        group=len(members),
        links=max(1, sum(min(extent - 1, 2) for extent in extents)),
        sent=payload * _crossings(kind, len(members), extents),
        loops=visit.loops,
        times=visit.times,
        overlapped=overlapped,
        origin=instruction.attribute(r'op_name="([^"]*)"') or "",
    )


def _done(after: Sequence[Instruction], start: str) -> tuple[Instruction, Sequence[Instruction]]:
    """What ends a collective, and what the program does until then."""
    for index, other in enumerate(after):
        if other.opcode.endswith("-done") and re.match(
            rf"%?{re.escape(start)}\b(?![.\-])", other.rest.split("%", 1)[-1]
        ):
            return other, after[:index]
    raise ValueError(f"the HLO module starts {start} and never ends it")


def _crossings(kind: str, devices: int, extents: Sequence[int]) -> float:
    """How often the payload crosses a device's links, in rings along the torus (jax-ml.github.io/scaling-book)."""
    match kind:
        case "all-reduce":
            return 2 * (devices - 1) / devices
        case "all-to-all":
            # what is for a device half around the ring passes through all between: a quarter, on average
            return sum(extent / 4 for extent in extents if extent > 1)
        case "collective-permute":
            return 1
        case _:
            return (devices - 1) / devices


def _members(instruction: Instruction, devices: int) -> list[int]:
    """The first group of devices. XLA writes groups in one of three ways, or none for all devices."""
    rest = instruction.rest
    if instruction.opcode.startswith("collective-permute"):
        pair = re.search(r"source_target_pairs=\{\{(\d+),(\d+)\}", rest)
        return [int(number) for number in pair.groups()] if pair else []
    if listed := re.search(r"replica_groups=\{\{([\d,]+)\}", rest):
        return [int(number) for number in listed.group(1).split(",")]
    if iota := re.search(r"replica_groups=\[(\d+),(\d+)\](<=\[[\d,]+\](?:T\([\d,]+\))?)", rest):
        return _iota(iota.group(3)).reshape(int(iota.group(1)), int(iota.group(2)))[0].tolist()
    if mesh := re.search(
        r"replica_groups=mesh\[([^\]]*)\](?:, device_ids=\((?:\[[\d,]+\])?(<=[^)]*\)?)\))? \{([^}]*)\}", rest
    ):
        sides = dict(re.findall(r"'(\w+)'=(\d+)", mesh.group(1)))
        order = _iota(mesh.group(2)) if mesh.group(2) else np.arange(devices)
        axes = {name.split(":")[0] for name in re.findall(r"'([\w:]+)'", mesh.group(3))}
        index = tuple(slice(None) if name in axes else 0 for name in sides)
        return order.reshape([int(side) for side in sides.values()])[index].ravel().tolist()
    return list(range(devices))


def _iota(text: str) -> np.ndarray:
    """`<=[2,4]T(1,0)`: the numbers from 0 on, reshaped, transposed, and laid flat again."""
    sides, _, permutation = text.removeprefix("<=").partition("T")
    shape = [int(side) for side in sides.strip("[]").split(",")]
    numbers = np.arange(np.prod(shape)).reshape(shape)
    if permutation:
        numbers = numbers.transpose([int(axis) for axis in permutation.strip("()").split(",")])
    return numbers.ravel()
