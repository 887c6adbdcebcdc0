"""Parse which devices take part in a collective."""

import math
import re

import numpy as np

from aef_jax.aot.hlo.module import Instruction

_ORDER = r"(\[[\d,]+\](?:T\([\d,]+\))?)"
_LISTED = re.compile(r"\{\{([\d,]+)\}")
_IOTA = re.compile(rf"\[(\d+),(\d+)\]<={_ORDER}")
_MESH = re.compile(rf"mesh\[([^\]]*)\](?:, device_ids=\((?:(?:(?:\[[\d,]+\])?<=)?{_ORDER}|([\d,]+))\))? \{{([^}}]*)\}}")
_AXES = re.compile(r"'(\w+)'(?::\((\d+)\)(\d+))?")


def first_group(instruction: Instruction, devices: int) -> list[int]:
    """Return the first of the groups of devices that a collective runs over.

    The groups are assumed to be laid out alike. XLA writes them in one of three notations, or omits them if the
    collective runs over all devices.

    Args:
        instruction: any collective but a collective-permute.
        devices: number of devices of the mesh.

    Returns:
        The positions of the group's devices in the mesh.

    Raises:
        ValueError: if the groups are written in an unknown notation.
    """
    written = instruction.attribute(r"replica_groups=(.*)")
    if written is None or written.startswith("{}"):
        return list(range(devices))
    if listed := _LISTED.match(written):
        return [int(number) for number in listed.group(1).split(",")]
    if iota := _IOTA.match(written):
        return _parse_iota(iota.group(3)).reshape(int(iota.group(1)), int(iota.group(2)))[0].tolist()
    mesh = _MESH.match(written)
    group = _parse_mesh(*mesh.groups()) if mesh else None
    if group is None:
        raise ValueError(f"{instruction.name}: unknown notation of its device groups: replica_groups={written[:80]}")
    return group


def source_target_pairs(instruction: Instruction) -> list[tuple[int, int]]:
    """Return the transfers of a collective-permute from a device to another one.

    Args:
        instruction: a collective-permute.

    Returns:
        Source and target of each transfer. Transfers from a device to itself are left out.
    """
    written = instruction.attribute(r"source_target_pairs=\{([{}\d,]*)\}") or ""
    pairs = [(int(source), int(target)) for source, target in re.findall(r"\{(\d+),(\d+)\}", written)]
    return [(source, target) for source, target in pairs if source != target]


def _parse_mesh(sides: str, order: str | None, listed: str | None, axes: str) -> list[int] | None:
    """Parse `mesh['a'=4,'b'=2], device_ids=([2,4]T(1,0)) {'a'}`: the devices that differ only along the axes in braces.

    The devices are in ascending order, in the order of a transposed array of their numbers, or listed. `'a':(2)2` is a
    part of an axis: with the axis reshaped to (2, 2, the rest), the factor of size 2 after the first factor of 2.
    Returns None if the numbers do not fit together.
    """
    parts = {name: (int(before or 1), int(size or 0)) for name, before, size in _AXES.findall(axes)}
    shape, index = [], []
    for name, written in re.findall(r"'(\w+)'=(\d+)", sides):
        side = int(written)
        before, size = parts.get(name, (side, 1))
        size = size or side
        shape += [before, size, side // (before * size)]
        index += [0, slice(None), 0]
    ids = (
        np.array([int(number) for number in listed.split(",")])
        if listed
        else _parse_iota(order or f"[{math.prod(shape)}]")
    )
    if len(ids) != math.prod(shape) or len(parts) != len(_AXES.findall(axes)):
        return None
    return ids.reshape(shape)[tuple(index)].ravel().tolist()


def _parse_iota(text: str) -> np.ndarray:
    """Parse `[2,4]T(1,0)`: the numbers from 0 on, reshaped, transposed and flattened."""
    sides, _, permutation = text.partition("T")
    shape = [int(side) for side in sides.strip("[]").split(",")]
    numbers = np.arange(np.prod(shape)).reshape(shape)
    if permutation:
        numbers = numbers.transpose([int(axis) for axis in permutation.strip("()").split(",")])
    return numbers.ravel()
