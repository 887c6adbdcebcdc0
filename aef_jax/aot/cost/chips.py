"""TPU chips: what their makers publish of them, and the machines made of them that XLA compiles for without one."""

import math
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import jax
from jax.experimental import topologies

GIB, GB = 2**30, 10**9


@dataclass(frozen=True)
class Chip:
    """Of one chip; bytes, and bytes or operations per second."""

    name: str
    peak_flops: float
    """Products in bfloat16, summed in float32: what XLA uses at its default precision for float32, too."""
    clock: float
    """Cycles per second: the peak over the products that its matrix units finish in a cycle: 128 x 128 each, eight of
    them, or four; of v6e four of 256 x 256."""
    hbm_bytes: int
    hbm_bandwidth: float
    link_bandwidth: float
    """Of one link of the torus, one way."""
    source: str
    axes: int
    """Of its torus: two links for each."""
    largest: int
    """Chips of the largest slice."""
    topology: str
    """An example of a machine."""


_DOCS = "https://docs.cloud.google.com/tpu/docs/"
_LINKS = "link: bidirectional ICI bandwidth per chip, over both ways and its links"

CHIPS = {
    chip.name: chip
    for chip in (
        Chip(
            name="v4",
            peak_flops=275e12,
            clock=275e12 / (2 * 8 * 128**2),
            hbm_bytes=32 * GIB,
            hbm_bandwidth=1200e9,
            link_bandwidth=45e9,
            source=f"{_DOCS}v4 (link: 1.1 PB/s of all-reduce per pod, over 4096 chips of 6 links; also"
            " https://jax-ml.github.io/scaling-book/tpus)",
            axes=3,
            largest=4096,
            topology="v4:8x8x8",
        ),
        Chip(
            name="v5e",
            peak_flops=197e12,
            clock=197e12 / (2 * 4 * 128**2),
            hbm_bytes=16 * GB,
            hbm_bandwidth=819e9,
            link_bandwidth=50e9,
            source=f"{_DOCS}v5e ({_LINKS}: 400 GB/s, 4 links)",
            axes=2,
            largest=256,
            topology="v5e:16x16",
        ),
        Chip(
            name="v5p",
            peak_flops=459e12,
            clock=459e12 / (2 * 8 * 128**2),
            hbm_bytes=95 * GIB,
            hbm_bandwidth=2765e9,
            link_bandwidth=100e9,
            source=f"{_DOCS}v5p ({_LINKS}: 1200 GB/s, 6 links)",
            axes=3,
            largest=8960,
            topology="v5p:8x8x8",
        ),
        Chip(
            name="v6e",
            peak_flops=918e12,
            clock=918e12 / (2 * 4 * 256**2),
            hbm_bytes=32 * GB,
            hbm_bandwidth=1600e9,
            link_bandwidth=100e9,
            source=f"{_DOCS}v6e ({_LINKS}: 800 GB/s, 4 links)",
            axes=2,
            largest=256,
            topology="v6e:16x16",
        ),
    )
}


def machine(topology: str) -> tuple[Chip, list[Any]]:
    """The chip and all devices (jax.Device) of a machine such as `v4:8x8x8`, none of which need exist.

    A device of a v4 or v5p is a whole chip: its two cores work as one ("megacore").

    Raises ValueError for a machine that is not one, ModuleNotFoundError where XLA's compiler for TPUs is missing.
    """
    chip, sides = _parsed(topology)
    # XLA would ask the metadata server of a cloud machine otherwise, and wait for it
    os.environ.setdefault("TPU_SKIP_MDS_QUERY", "1")
    os.environ.setdefault("TPU_WORKER_HOSTNAMES", "localhost")
    os.environ.setdefault("TPU_ACCELERATOR_TYPE", "v4-8")  # any: it only warns where none is named
    os.environ.setdefault("ALLOW_MULTIPLE_LIBTPU_LOAD", "1")  # no chip is opened that another process could want
    try:
        import libtpu  # noqa: F401  # pyright: ignore[reportMissingImports]
    except ModuleNotFoundError:
        raise ModuleNotFoundError("XLA's compiler for TPUs is not installed; pip install 'aef[tpu]'") from None
    options: dict[str, Any] = {"wrap": wraps(chip, sides), "chip_config_name": "megacore"} if chip.axes == 3 else {}
    try:
        described = topologies.get_topology_desc(platform="tpu", topology_name=topology, **options)
    except jax.errors.JaxRuntimeError as error:
        raise ValueError(f"--topology is {topology!r}, which XLA refuses: {str(error).splitlines()[0]}") from None
    return chip, list(described.devices)


def wraps(chip: Chip, sides: Sequence[int]) -> tuple[bool, ...]:
    """Which axes of a machine of these sides are closed to rings: all or none.

    A v4 or v5p is made of cubes of 4 x 4 x 4, which optical switches close; of v5e and v6e a whole pod alone is taken
    to be a torus.
    """
    torus = all(side % 4 == 0 for side in sides) if chip.axes == 3 else math.prod(sides) == chip.largest
    return (torus,) * len(sides)


def _parsed(topology: str) -> tuple[Chip, tuple[int, ...]]:
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
