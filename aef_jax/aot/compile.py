"""Compiles the training step for a machine that is not there, and asks of the program what it takes."""

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
from jax.experimental import serialize_executable

from aef_jax.aot.abstract_batch import abstract_batch
from aef_jax.aot.cost.chips import Chip, machine
from aef_jax.aot.cost.parameters import operator_weights
from aef_jax.aot.cost.roofline import Roofline, roofline
from aef_jax.aot.hlo.collectives import Collective, on_chips
from aef_jax.aot.hlo.estimates import Estimates, estimates
from aef_jax.aot.memory import Memory, memory_of, too_big, what_fits
from aef_jax.files.atomic import replacing
from aef_jax.sharding.mesh import training_mesh
from aef_jax.training.step import TrainState, abstract_state, make_train_step
from configs.config import Config


@dataclass(frozen=True)
class Compiled:
    """What is known of a training step that was compiled for a machine."""

    config: Config
    topology: str
    chip: Chip
    mesh: dict[str, int]
    parameters: int
    lowering_seconds: float
    compile_seconds: float
    memory: Memory
    collectives: list[Collective]
    roofline: Roofline
    estimates: Estimates
    full: bool

    @property
    def in_blocks(self) -> list[Collective]:
        """The collectives in loops over the blocks, forward or backward."""
        return [one for one in self.collectives if one.in_loop_of(self.config.model.num_blocks)]


QUICK: dict[str, Any] = {"exec_time_optimization_effort": -1.0}
"""The least effort, an eighth of the time: code that XLA takes to be half as fast, and that hides nothing it sends."""


def compile_step(config: Config, topology: str, save: Path | None = None, full: bool = False) -> Compiled:
    """Lowers and compiles `make_train_step` on the global batch of all sources.

    Args:
        topology: such as v4:8x8x8; its devices make up the mesh of `config.mesh`.
        full: as training compiles it. Without, XLA takes the least trouble: a little more memory, the same collectives
            but none of them hidden, and estimates of slower code.
        save: where the executable is kept, for `serialize_executable.deserialize_and_load`; the trees that this asks
            for too are those of the step's arguments and results.

    Raises ValueError, with one sentence, where the step does not fit into the chips' memory, the mesh not the machine
    or the batch not the mesh.
    """
    chip, devices = machine(topology)
    mesh = training_mesh(config, devices)
    sides = {str(name): size for name, size in mesh.shape.items()}
    state, batch = abstract_state(config, mesh), abstract_batch(config, mesh)
    begun = time.perf_counter()
    lowered = make_train_step(config, mesh).lower(state, batch)
    lowered_at = time.perf_counter()
    try:
        compiled, memory = _fitting(lowered, full, chip, config, sides, state)
    except ValueError as error:
        raise ValueError(f"{topology}: {error}{'' if full else '; --full takes a little less'}") from None
    compiled_at = time.perf_counter()
    if save is not None:
        keep(compiled, save)
    weights = operator_weights(config)
    hlo = compiled.as_text() or ""
    sent = on_chips(hlo, chip, [device.coords for device in mesh.devices.flat])
    floor = roofline(config, batch, weights, sides, chip, sent)
    return Compiled(
        config=config,
        topology=topology,
        chip=chip,
        mesh=sides,
        parameters=sum(weights.values()),
        lowering_seconds=lowered_at - begun,
        compile_seconds=compiled_at - lowered_at,
        memory=memory,
        collectives=sent,
        roofline=floor,
        full=full,
        estimates=estimates(hlo, chip, frozenset(operator.name for operator in floor.operators)),
    )


def _fitting(
    lowered: jax.stages.Lowered, full: bool, chip: Chip, config: Config, mesh: dict[str, int], state: TrainState
) -> tuple[jax.stages.Compiled, Memory]:
    """Raises ValueError, with one sentence, where XLA refuses a step as too big, or compiles one that is."""
    try:
        compiled = lowered.compile(None if full else QUICK)
    except jax.errors.JaxRuntimeError as error:
        sentence = too_big(str(error), config, mesh, state)
        if sentence is None:
            raise
        raise ValueError(sentence) from None
    memory = memory_of(compiled, chip)
    if memory.peak > memory.hbm:
        raise ValueError(what_fits(memory.peak, memory.hbm, config, mesh, state))
    return compiled, memory


def keep(compiled: jax.stages.Compiled, path: Path) -> None:
    """Writes the executable, as JAX serialises it."""
    payload, _, _ = serialize_executable.serialize(compiled)
    with replacing(path) as temporary:
        temporary.write_bytes(payload)
