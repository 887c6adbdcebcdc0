"""Parse the text of an optimized HLO module: its computations and how often each of them runs.

JAX exposes a compiled program only as text. The grammar is XLA's (openxla.org/xla/operation_semantics).
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
    """One instruction of an HLO computation."""

    name: str
    shape: str
    """The result's shape as XLA writes it: `bf16[4,8]{1,0}`, or a tuple of such shapes."""
    opcode: str
    rest: str
    """The text after the opening parenthesis: the operands and the attributes."""

    def attribute(self, pattern: str) -> str | None:
        """Search the operands and attributes for a regular expression.

        Args:
            pattern: a regular expression with one group.

        Returns:
            The text of the first group, or None if nothing matches.
        """
        match = re.search(pattern, self.rest)
        return match.group(1) if match else None

    @property
    def operand(self) -> str | None:
        """Name of the first operand."""
        return self.attribute(r"^[^%]*%([\w.\-]+)")

    @property
    def cycles(self) -> int:
        """Cycles that XLA's compiler for TPUs estimates. 0 if it gives no estimate, as for every collective."""
        return int(self.attribute(r'"estimated_cycles":"(\d+)"') or 0)


@dataclass(frozen=True)
class Visit:
    """A computation at one of the places that call it."""

    instructions: list[Instruction]
    loops: tuple[int | None, ...] = ()
    """Trip counts of the loops around the computation, outermost first. None if the program does not state one."""
    inner_loops: tuple[int | None, ...] = ()
    """Trip counts of the loops in the body of the innermost loop of `loops`."""
    part_of: "tuple[Visit, int] | None" = None
    """The visit and the index of the instruction (a fusion or an `async-start`) that consists of this computation."""

    def executed(self, index: int) -> "tuple[Visit, int]":
        """Return the instruction that the device executes for the instruction at `index`.

        Args:
            index: position of an instruction in `instructions`.

        Returns:
            A visit and an index in it: of the instruction itself, or of the fusion or `async-start` that contains it.
        """
        return self.part_of[0].executed(self.part_of[1]) if self.part_of else (self, index)

    @property
    def times(self) -> int:
        """Number of runs. A loop of unknown length counts once."""
        times = 1
        for trips in self.loops:
            times *= trips or 1
        return times


def visits(text: str) -> Iterator[Visit]:
    """Walk the computations of a module, each once for every place that calls it.

    All branches of a conditional are visited. Reducers are skipped: they work on single numbers.

    Args:
        text: the optimized HLO module.

    Yields:
        The visits, callers before callees.
    """
    computations, entry = _computations(text)

    def visit(name: str, **context) -> Iterator[Visit]:
        caller = Visit(computations[name], **context)
        yield caller
        for index, instruction in enumerate(caller.instructions):
            called = dict(_CALLED.findall(instruction.rest))
            inner = context
            if instruction.opcode == "while":
                trips = _trip_count(instruction, computations)
                loops = [other for other in computations[called["body"]] if other.opcode == "while"]
                inside = tuple(_trip_count(other, computations) for other in loops)
                inner = context | {"loops": (*caller.loops, trips), "inner_loops": inside}
            elif instruction.opcode in ("call", "conditional"):
                called |= {branch: branch for branch in _branches(instruction)}
            elif instruction.opcode in ("fusion", "async-start"):
                inner = context | {"part_of": (caller, index)}
            else:
                continue
            for callee in called.values():
                yield from visit(callee, **inner)

    yield from visit(entry)


def shape_bytes(shape: str) -> int:
    """Return the size of an array, or of all arrays of a tuple, without padding.

    Args:
        shape: as XLA writes it.

    Returns:
        Bytes.
    """
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
        elif match := _INSTRUCTION.match(line):
            current.append(Instruction(*match.groups()))
    return computations, entry


def _branches(instruction: Instruction) -> list[str]:
    names = instruction.attribute(_BRANCHES.pattern) or ""
    return [name.strip().lstrip("%") for name in names.split(",") if name.strip()]


def _trip_count(loop: Instruction, computations: dict[str, list[Instruction]]) -> int | None:
    """Return the trip count that XLA states, or else the bound of a counter that starts at 0.

    XLA's compiler for TPUs states none. A scan counts up from 0.
    """
    if known := loop.attribute(_TRIPS.pattern):
        return int(known)
    condition = computations[dict(_CALLED.findall(loop.rest))["condition"]]
    root = condition[-1]
    bound = root.attribute(_BOUND.pattern) if root.opcode == "compare" else None
    constants = {i.name: i.rest for i in condition if i.opcode == "constant" and i.shape.startswith("s32[]")}
    return int(constants[bound].partition(")")[0]) if bound in constants else None
