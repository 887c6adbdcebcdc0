"""Which devices exchange what a collective sends, out of how XLA writes it."""

import math
import re

import numpy as np

from aef_jax.aot.hlo.module import Instruction

_ORDER = r"(\[[\d,]+\](?:T\([\d,]+\))?)"
_LISTED = re.compile(r"\{\{([\d,]+)\}")
_IOTA = re.compile(rf"\[(\d+),(\d+)\]<={_ORDER}")
_MESH = re.compile(rf"mesh\[([^\]]*)\](?:, device_ids=\((?:(?:(?:\[[\d,]+\])?<=)?{_ORDER}|([\d,]+))\))? \{{([^}}]*)\}}")
_AXES = re.compile(r"'(\w+)'(?::\((\d+)\)(\d+))?")


def members(instruction: Instruction, devices: int) -> list[int]:
    """The first group, by the places of its devices in the mesh; all groups are taken to lie alike.

    XLA writes groups in one of three ways, or none for all `devices`. Raises ValueError for a way that is not known.
    """
    written = instruction.attribute(r"replica_groups=(.*)")
    if written is None or written.startswith("{}"):
        return list(range(devices))
    if listed := _LISTED.match(written):
        return [int(number) for number in listed.group(1).split(",")]
    if iota := _IOTA.match(written):
        return _iota(iota.group(3)).reshape(int(iota.group(1)), int(iota.group(2)))[0].tolist()
    mesh = _MESH.match(written)
    group = _of_mesh(*mesh.groups()) if mesh else None
    if group is None:
        raise ValueError(f"{instruction.name}: cannot tell which devices exchange it: replica_groups={written[:80]}")
    return group


def pairs(instruction: Instruction) -> list[tuple[int, int]]:
    """Source and target of all that a collective-permute sends to another device."""
    written = instruction.attribute(r"source_target_pairs=\{([{}\d,]*)\}") or ""
    found = [(int(source), int(target)) for source, target in re.findall(r"\{(\d+),(\d+)\}", written)]
    return [(source, target) for source, target in found if source != target]


def _of_mesh(sides: str, order: str | None, listed: str | None, axes: str) -> list[int] | None:
    """`mesh['a'=4,'b'=2], device_ids=([2,4]T(1,0)) {'a'}`: devices that differ along these axes of a mesh alone.

    Devices are in their order, in that of an array of their numbers that was transposed, or listed. `'a':(2)2` is a
    part of an axis: of its 4 places, seen as 2 x 2, the 2 after the first 2. None where the numbers do not fit.
    """
    parts = {name: (int(before or 1), int(size or 0)) for name, before, size in _AXES.findall(axes)}
    shape, index = [], []
    for name, written in re.findall(r"'(\w+)'=(\d+)", sides):
        side = int(written)
        before, size = parts.get(name, (side, 1))
        size = size or side
        shape += [before, size, side // (before * size)]
        index += [0, slice(None), 0]
    ids = np.array([int(number) for number in listed.split(",")]) if listed else _iota(order or f"[{math.prod(shape)}]")
    if len(ids) != math.prod(shape) or len(parts) != len(_AXES.findall(axes)):
        return None
    return ids.reshape(shape)[tuple(index)].ravel().tolist()


def _iota(text: str) -> np.ndarray:
    """`[2,4]T(1,0)`: the numbers from 0 on, reshaped, transposed, and laid flat again."""
    sides, _, permutation = text.partition("T")
    shape = [int(side) for side in sides.strip("[]").split(",")]
    numbers = np.arange(np.prod(shape)).reshape(shape)
    if permutation:
        numbers = numbers.transpose([int(axis) for axis in permutation.strip("()").split(",")])
    return numbers.ravel()
