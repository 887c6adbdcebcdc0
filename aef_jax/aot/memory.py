"""What a compiled step takes of a device's memory; and what would fit where it takes too much."""

import math
import re
from dataclasses import dataclass

import jax
import numpy as np

from aef_jax.aot.cost.chips import Chip
from aef_jax.console.units import readable
from aef_jax.training.step import TrainState
from configs.config import Config
from configs.model import PIXELS_PER_TIME_CELL

_TOO_MUCH = re.compile(
    r"\(([\d.]+)([KMG])\) exceeds available HBM \(([\d.]+)([KMG])\)|Used ([\d.]+)([KMG]) of ([\d.]+)([KMG]) hbm"
)
_UNITS = {"K": 2**10, "M": 2**20, "G": 2**30}


@dataclass(frozen=True)
class Memory:
    """Bytes of one device."""

    arguments: int
    outputs: int
    temporaries: int
    aliased: int
    """Of the outputs that take the place of arguments."""
    code: int
    at_once: int
    """The most of all but the code that is alive at the same time, by XLA: not all temporaries are. (It compiles steps
    whose arguments and temporaries add up to more than a chip has.)"""
    hbm: int

    @property
    def peak(self) -> int:
        return self.at_once + self.code

    @property
    def spare(self) -> float:
        """Share of the chip's memory that is left."""
        return 1 - self.peak / self.hbm


def memory_of(compiled: jax.stages.Compiled, chip: Chip) -> Memory:
    stats = compiled.memory_analysis()
    if stats is None:
        raise ValueError("XLA tells nothing of the memory that this executable takes")
    return Memory(
        arguments=stats.argument_size_in_bytes,
        outputs=stats.output_size_in_bytes,
        temporaries=stats.temp_size_in_bytes,
        aliased=stats.alias_size_in_bytes,
        code=stats.generated_code_size_in_bytes,
        at_once=stats.peak_memory_in_bytes,
        hbm=chip.hbm_bytes,
    )


def bytes_per_device(tree) -> int:
    """Of arrays, or of their shapes and shardings."""
    shards = ((leaf.sharding.shard_shape(leaf.shape), leaf.dtype) for leaf in jax.tree.leaves(tree))
    return sum(math.prod(shape) * np.dtype(dtype).itemsize for shape, dtype in shards)


def too_big(error: str, config: Config, mesh: dict[str, int], state: TrainState) -> str | None:
    """One sentence out of XLA's refusal to compile a step: what it needs, what would fit. None for another error."""
    found = _TOO_MUCH.search(error)
    if found is None:
        return None
    needed, unit, there, unit_there = (group for group in found.groups() if group)
    return what_fits(float(needed) * _UNITS[unit], float(there) * _UNITS[unit_there], config, mesh, state)


def what_fits(needed: float, there: float, config: Config, mesh: dict[str, int], state: TrainState) -> str:
    """One sentence on a step that needs more bytes of a chip than there are.

    What lies on a device whatever its sequences (parameters, their gradients, Adam's moments) is split by `fsdp`, and
    all else is taken to grow with the sequences of a device, each split by `seq`. What is kept for the backward pass is
    not told apart: whether `remat` is enough is left open.
    """
    gradients = bytes_per_device(state.params)
    fixed = bytes_per_device(state) + gradients
    proposals = _proposals(needed, there, fixed, gradients, config, mesh)
    fits = [f"by these numbers {' or '.join(proposals)} would fit"] if proposals else []
    if config.model.remat != "block":
        fits.append("--model.remat block may be enough")
    if not proposals:
        fits.append("otherwise it needs more chips, or larger ones" if fits else "it needs more chips, or larger ones")
    return (
        f"the step needs {readable(needed)}B per chip, of which parameters, gradients and moments are"
        f" {readable(fixed)}B, and XLA has {readable(there)}B: {'; '.join(fits)}"
    )


def _proposals(
    needed: float, there: float, fixed: int, gradients: int, config: Config, mesh: dict[str, int]
) -> list[str]:
    """Changes each of which alone makes `fixed` and what grows with the sequences fit."""
    rows, growing = mesh["data"] * mesh["fsdp"], max(needed - fixed, 0)
    proposals = []
    if config.model.compute_dtype == "float32" and fixed + growing / 2 <= there:
        proposals.append("--model.compute_dtype bfloat16")
    # parts of a batch are added up in one more array of the gradients' size, which is there already if there are parts
    parts, summed = config.training.grad_accum_steps, fixed + gradients
    of_parts = growing if parts == 1 else max(needed - summed, 0)
    for more in _divisors(config.training.batch // (rows * parts)):
        if summed + of_parts / more <= there:
            proposals.append(f"--training.grad_accum_steps {parts * more}")
            break
    for more in _divisors(mesh["data"]):
        if fixed / more + growing <= there:
            proposals.append(f"--mesh data={mesh['data'] // more},fsdp={mesh['fsdp'] * more},seq={mesh['seq']}")
            break
    for more in _divisors(config.data.tile_side // PIXELS_PER_TIME_CELL // mesh["seq"]):
        if fixed + growing / more <= there:
            proposals.append(f"seq={mesh['seq'] * more} on {more} times the chips")
            break
    return proposals


def _divisors(number: int) -> list[int]:
    """Those above 1, the smallest first."""
    return [divisor for divisor in range(2, number + 1) if number % divisor == 0]
