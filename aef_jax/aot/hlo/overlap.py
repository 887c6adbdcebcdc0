"""What collectives hide behind: computation between their start and their end."""

from collections.abc import Sequence

from aef_jax.aot.hlo.module import Instruction, Visit

_PRODUCTS = ("convolution", "dot", "fusion")


def meanwhile(visit: Visit, index: int) -> range:
    """The places, where what is executed stands, of what the program may compute while a collective is sent.

    That is what lies between start and done. A fusion that holds a collective beside products is its own meanwhile; all
    else waits, a fusion that merely cuts what it sends to size (as TPUs scatter a reduction) too.
    """
    executed, at = visit.executed(index)
    instruction = executed.instructions[at]
    if instruction.opcode.endswith("-start"):
        return range(at + 1, done(executed.instructions, at))
    computes = visit.part_of is not None and any(other.opcode in _PRODUCTS for other in visit.instructions)
    return range(at, at + 1) if computes else range(at, at)


def done(instructions: Sequence[Instruction], start: int) -> int:
    """The place of what ends that which starts at `start`. Raises ValueError where nothing does."""
    name = instructions[start].name
    for index, other in enumerate(instructions[start + 1 :], start + 1):
        if other.operand == name and other.opcode.endswith("-done"):
            return index
        if other.operand == name and other.opcode.endswith("-update"):
            name = other.name
    raise ValueError(f"the HLO module starts {instructions[start].name} and never ends it")


def hidden(sent: Sequence[tuple[range, float]], hides: Sequence[float]) -> list[float]:
    """How much of each collective of one computation is sent while the program computes.

    What hides one hides no other that is in flight at the same time; the first to end takes first. (Collectives on
    different links could both be hidden; that is not counted.) Loops and calls between start and done hide nothing:
    XLA's estimates are of single instructions.

    Args:
        sent: of each, its meanwhile and its bytes.
        hides: bytes that cross a link while each instruction runs.
    """
    left, found = list(hides), [0.0] * len(sent)
    for which in sorted(range(len(sent)), key=lambda which: (sent[which][0].stop, sent[which][0].start)):
        span, size = sent[which]
        for index in span:
            taken = min(left[index], size - found[which])
            left[index] -= taken
            found[which] += taken
    return found
