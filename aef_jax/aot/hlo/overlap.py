"""Compute how much of each collective is sent while the program computes."""

from collections.abc import Sequence

from aef_jax.aot.hlo.module import Instruction, Visit

_PRODUCTS = ("convolution", "dot", "fusion")


def overlap_span(visit: Visit, index: int) -> range:
    """Return the positions of the instructions that may compute while a collective is being sent.

    For an asynchronous collective these are the instructions between its start and its done. A fusion that contains a
    collective and matrix products overlaps with itself. Nothing overlaps with any other collective, in particular not
    with a fusion that only slices the result of its collective (the form in which TPUs scatter a reduction).

    Args:
        visit: the computation that contains the collective.
        index: the collective's position in it.

    Returns:
        Positions in the computation that contains the executed instruction (see `Visit.executed`).
    """
    executed, position = visit.executed(index)
    instruction = executed.instructions[position]
    if instruction.opcode.endswith("-start"):
        return range(position + 1, done_index(executed.instructions, position))
    computes = visit.part_of is not None and any(other.opcode in _PRODUCTS for other in visit.instructions)
    return range(position, position + 1) if computes else range(position, position)


def done_index(instructions: Sequence[Instruction], start: int) -> int:
    """Return the position of the `-done` instruction that ends an asynchronous instruction.

    Args:
        instructions: one computation.
        start: position of the `-start` instruction.

    Returns:
        The position of the `-done` instruction.

    Raises:
        ValueError: if the computation has none.
    """
    name = instructions[start].name
    for index, other in enumerate(instructions[start + 1 :], start + 1):
        if other.operand == name and other.opcode.endswith("-done"):
            return index
        if other.operand == name and other.opcode.endswith("-update"):
            name = other.name
    raise ValueError(f"the HLO module has no done instruction for {instructions[start].name}")


def hidden_bytes(spans: Sequence[tuple[range, float]], capacities: Sequence[float]) -> list[float]:
    """Compute how much of each collective of one computation is sent while the program computes.

    An instruction hides the bytes of one collective at a time; the collective that ends first is served first.
    (Collectives on different links could be hidden at the same time; this is not modeled.) Loops and calls between
    start and done hide nothing, because XLA's estimates are of single instructions.

    Args:
        spans: for each collective, its `overlap_span` and the bytes that it sends.
        capacities: for each instruction, the bytes that cross a link while it runs.

    Returns:
        For each collective, the bytes that are hidden.
    """
    left, hidden = list(capacities), [0.0] * len(spans)
    for collective in sorted(range(len(spans)), key=lambda index: (spans[index][0].stop, spans[index][0].start)):
        span, size = spans[collective]
        for index in span:
            taken = min(left[index], size - hidden[collective])
            left[index] -= taken
            hidden[collective] += taken
    return hidden
