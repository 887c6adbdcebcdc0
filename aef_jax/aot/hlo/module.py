"""The text of an optimised HLO module: its computations, and how often each of them runs.

JAX gives no other view of a compiled program than its text; the grammar is XLA's (openxla.org/xla/operation_semantics).
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

_HEADER = re.compile(r"^(ENTRY )?%?([\w.\-]+) \(.*\{$")
_INSTRUCTION = re.compile(r"^\s+(?:ROOT )?%?([\w.\-]+) = (\(.*?\)|\S+) ([a-z][\w\-]*)\((.*)$")
_ARRAY = re.compile(r"\b([a-z]+)(\d*)\w*\[([\d,]*)\]")
_CALLED = re.compile(r"\b(condition|body|calls|to_apply|true_computation|false_computation)=%?([\w.\-]+)")
_BRANCHES = re.compile(r"\bbranch_computations=\{([^}]*)\}")
_TRIPS = re.compile(r'"known_trip_count":\{"n":"(\d+)"\}')
_BOUND = re.compile(r"%?([\w.\-]+)\), direction=LT")


class Instruction(NamedTuple):
    name: str
    shape: str
    """As XLA writes it: `bf16[4,8]{1,0}`, or a tuple of such."""
    opcode: str
    rest: str
    """Its operands, from the first on, and its attributes."""

    def attribute(self, pattern: str) -> str | None:
        """The first group of a regular expression that is looked for in operands and attributes."""
        found = re.search(pattern, self.rest)
        return found.group(1) if found else None

    @property
    def operand(self) -> str | None:
        """The name of the first one."""
        return self.attribute(r"^[^%]*%([\w.\-]+)")

    @property
    def cycles(self) -> int:
        """How long XLA's compiler for TPUs takes it to be; 0 where it says nothing, as of all that is sent."""
        return int(self.attribute(r'"estimated_cycles":"(\d+)"') or 0)


@dataclass(frozen=True)
class Visit:
    """A computation where it is called from."""

    instructions: list[Instruction]
    loops: tuple[int | None, ...] = ()
    """Trip counts of the loops around it, the outermost first; None where the program itself cannot know."""
    inner_loops: tuple[int | None, ...] = ()
    """Trip counts of the loops in the body of the innermost of these."""
    part_of: "tuple[Visit, int] | None" = None
    """Where it is all that another instruction does (a fusion, an `async-start`): where that stands, and its place."""

    def executed(self, index: int) -> "tuple[Visit, int]":
        """Where what the device executes stands, and its place: this instruction, or what it is a part of."""
        return self.part_of[0].executed(self.part_of[1]) if self.part_of else (self, index)

    @property
    def times(self) -> int:
        """How often it runs; a loop whose length is not known counts once."""
        times = 1
        for trips in self.loops:
            times *= trips or 1
        return times


def visits(text: str) -> Iterator[Visit]:
    """Every computation of the module, once for each place that it is called from; branches as if all were taken.

    Reducers, which work on single numbers, are left out.
    """
    computations, entry = _computations(text)

    def visit(name: str, **place) -> Iterator[Visit]:
        here = Visit(computations[name], **place)
        yield here
        for index, instruction in enumerate(here.instructions):
            called = dict(_CALLED.findall(instruction.rest))
            inner = place
            if instruction.opcode == "while":
                trips = _trip_count(instruction, computations)
                loops = [other for other in computations[called["body"]] if other.opcode == "while"]
                inside = tuple(_trip_count(other, computations) for other in loops)
                inner = place | {"loops": (*here.loops, trips), "inner_loops": inside}
            elif instruction.opcode in ("call", "conditional"):
                called |= {branch: branch for branch in _branches(instruction)}
            elif instruction.opcode in ("fusion", "async-start"):
                inner = place | {"part_of": (here, index)}
            else:
                continue
            for callee in called.values():
                yield from visit(callee, **inner)

    yield from visit(entry)


def bytes_of(shape: str) -> int:
    """Of an array, or of all arrays of a tuple, without padding."""
    return sum(_bytes(*array.groups()) for array in _ARRAY.finditer(shape))


def _bytes(kind: str, bits: str, sides: str) -> int:
    elements = 1
    for side in filter(None, sides.split(",")):
        elements *= int(side)
    return -(-elements * (int(bits) if bits else {"pred": 8}.get(kind, 0)) // 8)


def _computations(text: str) -> tuple[dict[str, list[Instruction]], str]:
    computations: dict[str, list[Instruction]] = {}
    current, entry = [], ""
    for line in text.splitlines():
        if header := _HEADER.match(line):
            current = computations[header.group(2)] = []
            entry = header.group(2) if header.group(1) else entry
        elif found := _INSTRUCTION.match(line):
            current.append(Instruction(*found.groups()))
    return computations, entry


def _branches(instruction: Instruction) -> list[str]:
    names = instruction.attribute(_BRANCHES.pattern) or ""
    return [name.strip().lstrip("%") for name in names.split(",") if name.strip()]


def _trip_count(loop: Instruction, computations: dict[str, list[Instruction]]) -> int | None:
    """As XLA says it; or, as its compiler for TPUs says nothing, the bound of what counts up from 0, as a scan does."""
    if known := loop.attribute(_TRIPS.pattern):
        return int(known)
    condition = computations[dict(_CALLED.findall(loop.rest))["condition"]]
    root = condition[-1]
    bound = root.attribute(_BOUND.pattern) if root.opcode == "compare" else None
    constants = {i.name: i.rest for i in condition if i.opcode == "constant" and i.shape.startswith("s32[]")}
    return int(constants[bound].partition(")")[0]) if bound in constants else None
