"""Read how much of a device's memory a compiled step takes, and suggest what would fit if it takes too much."""

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

_OUT_OF_MEMORY = re.compile(
    r"\(([\d.]+)([KMG])\) exceeds available HBM \(([\d.]+)([KMG])\)|Used ([\d.]+)([KMG]) of ([\d.]+)([KMG]) hbm"
)
_UNITS = {"K": 2**10, "M": 2**20, "G": 2**30}


@dataclass(frozen=True)
class Memory:
    """The memory of one device, in bytes."""

    arguments: int
    outputs: int
    temporaries: int
    aliased: int
    """Part of the outputs that reuses the memory of arguments."""
    code: int
    peak_data: int
    """The most of everything but code that is alive at the same time, by XLA. Not all temporaries are: XLA compiles
    steps whose arguments and temporaries add up to more than the chip has."""
    hbm: int

    @property
    def peak(self) -> int:
        """The most memory that the step uses, code included."""
        return self.peak_data + self.code

    @property
    def spare(self) -> float:
        """Share of the chip's memory that is free at the peak."""
        return 1 - self.peak / self.hbm


def memory_of(compiled: jax.stages.Compiled, chip: Chip) -> Memory:
    """Read the memory that a compiled step takes of one device.

    Args:
        compiled: the step.
        chip: that the step is compiled for.

    Returns:
        The memory in bytes.

    Raises:
        ValueError: if XLA reports none.
    """
    stats = compiled.memory_analysis()
    if stats is None:
        raise ValueError("XLA reports no memory statistics for this executable")
    return Memory(
        arguments=stats.argument_size_in_bytes,
        outputs=stats.output_size_in_bytes,
        temporaries=stats.temp_size_in_bytes,
        aliased=stats.alias_size_in_bytes,
        code=stats.generated_code_size_in_bytes,
        peak_data=stats.peak_memory_in_bytes,
        hbm=chip.hbm_bytes,
    )


def bytes_per_device(tree) -> int:
    """Sum the bytes that one device holds of a tree of arrays.

    Args:
        tree: of arrays or of jax.ShapeDtypeStruct with shardings.

    Returns:
        Bytes, without padding.
    """
    shards = ((leaf.sharding.shard_shape(leaf.shape), leaf.dtype) for leaf in jax.tree.leaves(tree))
    return sum(math.prod(shape) * np.dtype(dtype).itemsize for shape, dtype in shards)


def explain_xla_error(error: str, config: Config, mesh: dict[str, int], state: TrainState) -> str | None:
    """Explain XLA's refusal to compile a step that takes too much memory.

    Args:
        error: XLA's message.
        config: of the training run.
        mesh: number of devices along each axis.
        state: of training, as arrays or as shapes with shardings.

    Returns:
        One sentence (see `explain_excess`), or None if the error has another cause.
    """
    match = _OUT_OF_MEMORY.search(error)
    if match is None:
        return None
    needed, needed_unit, available, available_unit = (group for group in match.groups() if group)
    return explain_excess(
        float(needed) * _UNITS[needed_unit], float(available) * _UNITS[available_unit], config, mesh, state
    )


def explain_excess(needed: float, available: float, config: Config, mesh: dict[str, int], state: TrainState) -> str:
    """Say how much memory a step needs that does not fit, and suggest changes that would make it fit.

    Parameters, their gradients and Adam's moments take the same memory whatever the number of sequences of a device;
    `fsdp` splits them. All else is assumed to grow with the number of sequences of a device; `seq` splits each of them.
    What is saved for the backward pass is not told apart, so whether `remat` is enough is left open.

    Args:
        needed: bytes that the step needs of a chip.
        available: bytes that the chip has.
        config: of the training run.
        mesh: number of devices along each axis.
        state: of training, as arrays or as shapes with shardings.

    Returns:
        One sentence.
    """
    gradients = bytes_per_device(state.params)
    fixed = bytes_per_device(state) + gradients
    proposals = _proposals(needed, available, fixed, gradients, config, mesh)
    fits = [f"by these numbers {' or '.join(proposals)} would fit"] if proposals else []
    if config.model.remat != "block":
        fits.append("--model.remat block may be enough")
    if not proposals:
        fits.append("otherwise it needs more chips, or larger ones" if fits else "it needs more chips, or larger ones")
    return (
        f"the step needs {readable(needed)}B per chip, of which parameters, gradients and moments are"
        f" {readable(fixed)}B, and XLA has {readable(available)}B: {'; '.join(fits)}"
    )


def _proposals(
    needed: float, available: float, fixed: int, gradients: int, config: Config, mesh: dict[str, int]
) -> list[str]:
    """List changes each of which alone makes `fixed` and what grows with the sequences fit."""
    rows, growing = mesh["data"] * mesh["fsdp"], max(needed - fixed, 0)
    proposals = []
    if config.model.compute_dtype == "float32" and fixed + growing / 2 <= available:
        proposals.append("--model.compute_dtype bfloat16")
    # accumulation needs one more array of the gradients' size; `needed` includes it if the batch already has parts
    parts, summed = config.training.grad_accum_steps, fixed + gradients
    of_parts = growing if parts == 1 else max(needed - summed, 0)
    for more in _divisors(config.training.batch // (rows * parts)):
        if summed + of_parts / more <= available:
            proposals.append(f"--training.grad_accum_steps {parts * more}")
            break
    for more in _divisors(mesh["data"]):
        if fixed / more + growing <= available:
            proposals.append(f"--mesh data={mesh['data'] // more},fsdp={mesh['fsdp'] * more},seq={mesh['seq']}")
            break
    for more in _divisors(config.data.tile_side // PIXELS_PER_TIME_CELL // mesh["seq"]):
        if fixed + growing / more <= available:
            proposals.append(f"seq={mesh['seq'] * more} on {more} times the chips")
            break
    return proposals


def _divisors(number: int) -> list[int]:
    """List the divisors above 1, smallest first."""
    return [divisor for divisor in range(2, number + 1) if number % divisor == 0]
