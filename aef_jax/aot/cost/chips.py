"""Describe TPU chips and the machines made of them that XLA compiles for in their absence."""

import math
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import jax
from jax.experimental import topologies

from aef_jax.training.accelerators import ACCELERATORS


@dataclass(frozen=True)
class Chip:
    """Published numbers of one TPU chip, in bytes, FLOP/s and bytes per second."""

    name: str
    peak_flops: float
    clock: float
    """Cycles per second: the peak divided by the FLOP of all matrix units in one cycle."""
    hbm_bytes: int
    hbm_bandwidth: float
    link_bandwidth: float
    """One link of the torus, one way."""
    source: str
    axes: int
    """Number of axes of the torus. A chip has two links along each axis."""
    largest: int
    """Number of chips of the largest slice."""
    topology: str
    """The name of an example machine."""


def _chip(name: str, matrix_units: int, unit_side: int, link_source: str, **numbers: Any) -> Chip:
    """Make a chip whose `matrix_units` finish `unit_side` x `unit_side` multiply-adds each in one cycle."""
    published = ACCELERATORS[name]
    assert published.hbm_bytes is not None
    return Chip(
        name=name,
        peak_flops=published.peak_flops,
        clock=published.peak_flops / (2 * matrix_units * unit_side**2),
        hbm_bytes=published.hbm_bytes,
        source=f"{published.source} (link: {link_source})",
        **numbers,
    )


_LINKS = "bidirectional ICI bandwidth per chip, over both ways and its links"

CHIPS = {
    chip.name: chip
    for chip in (
        _chip(
            "v4",
            matrix_units=8,
            unit_side=128,
            link_source="1.1 PB/s of all-reduce per pod, over 4096 chips of 6 links; also"
            " https://jax-ml.github.io/scaling-book/tpus",
            hbm_bandwidth=1200e9,
            link_bandwidth=45e9,
            axes=3,
            largest=4096,
            topology="v4:8x8x8",
        ),
        _chip(
            "v5e",
            matrix_units=4,
            unit_side=128,
            link_source=f"{_LINKS}: 400 GB/s, 4 links",
            hbm_bandwidth=819e9,
            link_bandwidth=50e9,
            axes=2,
            largest=256,
            topology="v5e:16x16",
        ),
        _chip(
            "v5p",
            matrix_units=8,
            unit_side=128,
            link_source=f"{_LINKS}: 1200 GB/s, 6 links",
            hbm_bandwidth=2765e9,
            link_bandwidth=100e9,
            axes=3,
            largest=8960,
            topology="v5p:8x8x8",
        ),
        _chip(
            "v6e",
            matrix_units=4,
            unit_side=256,
            link_source=f"{_LINKS}: 800 GB/s, 4 links",
            hbm_bandwidth=1600e9,
            link_bandwidth=100e9,
            axes=2,
            largest=256,
            topology="v6e:16x16",
        ),
    )
}


def topology_devices(topology: str) -> tuple[Chip, list[Any]]:
    """Describe a machine that need not exist.

    A device of a v4 or v5p is a whole chip: its two cores work as one ("megacore").

    Args:
        topology: the chip and the sides of the machine's torus, such as `v4:8x8x8`.

    Returns:
        The chip and all devices of the machine (jax.Device).

    Raises:
        ValueError: if there is no such machine.
        ModuleNotFoundError: if XLA's compiler for TPUs is not installed.
    """
    chip, sides = _parse_topology(topology)
    # otherwise XLA asks the metadata server of a cloud machine and waits for the answer
    os.environ.setdefault("TPU_SKIP_MDS_QUERY", "1")
    os.environ.setdefault("TPU_WORKER_HOSTNAMES", "localhost")
    os.environ.setdefault("TPU_ACCELERATOR_TYPE", "v4-8")  # any value: without one XLA prints a warning
    os.environ.setdefault("ALLOW_MULTIPLE_LIBTPU_LOAD", "1")  # no chip is opened, so no other process is disturbed
    try:
        import libtpu  # noqa: F401  # pyright: ignore[reportMissingImports]
    except ModuleNotFoundError:
        raise ModuleNotFoundError("XLA's compiler for TPUs is not installed: pip install 'aef[tpu]'") from None
    options: dict[str, Any] = {}
    if chip.axes == 3:
        options = {"wrap": wrapped_axes(chip, sides), "chip_config_name": "megacore"}
    try:
        described = topologies.get_topology_desc(platform="tpu", topology_name=topology, **options)
    except jax.errors.JaxRuntimeError as error:
        raise ValueError(f"--topology is {topology!r}, but XLA rejects it: {str(error).splitlines()[0]}") from None
    return chip, list(described.devices)


def wrapped_axes(chip: Chip, sides: Sequence[int]) -> tuple[bool, ...]:
    """Return which axes of a machine are closed to rings: all or none.

    Machines of v4 and v5p consist of cubes of 4 x 4 x 4 chips, which optical switches close to a torus. Of v5e and v6e,
    only a whole pod is assumed to be a torus.

    Args:
        chip: the machine's chips.
        sides: number of chips along each axis.

    Returns:
        For each axis, whether it is closed.
    """
    torus = all(side % 4 == 0 for side in sides) if chip.axes == 3 else math.prod(sides) == chip.largest
    return (torus,) * len(sides)


def _parse_topology(topology: str) -> tuple[Chip, tuple[int, ...]]:
    name, _, sides = topology.partition(":")
    if name not in CHIPS or not re.fullmatch(r"[1-9]\d*(x[1-9]\d*)*", sides):
        examples = ", ".join(chip.topology for chip in CHIPS.values())
        raise ValueError(
            f"--topology is {topology!r}, expected a chip and the sides of its torus, as one of {examples}"
        )
    lengths = tuple(int(side) for side in sides.split("x"))
    if len(lengths) != CHIPS[name].axes:
        raise ValueError(f"--topology is {topology!r}, expected {CHIPS[name].axes} sides, as in {CHIPS[name].topology}")
    if math.prod(lengths) > CHIPS[name].largest:
        raise ValueError(
            f"--topology is {topology!r}: {math.prod(lengths):,} chips, expected at most {CHIPS[name].largest:,},"
            f" the largest machine of {name}"
        )
    return CHIPS[name], lengths
