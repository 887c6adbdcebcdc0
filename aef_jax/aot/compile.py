"""Compile the training step for an absent machine and read from the program what it costs."""

import time
from dataclasses import dataclass
from typing import Any

import jax

from aef_jax.aot.abstract_batch import abstract_batch
from aef_jax.aot.cost.chips import Chip, topology_devices
from aef_jax.aot.cost.parameters import operator_weights
from aef_jax.aot.cost.roofline import Roofline, compute_roofline
from aef_jax.aot.hlo.collectives import Collective, find_collectives_on
from aef_jax.aot.hlo.estimates import Estimates, read_estimates
from aef_jax.aot.memory import Memory, explain_excess, explain_xla_error, memory_of
from aef_jax.sharding.mesh import training_mesh
from aef_jax.training.step import TrainState, abstract_state, make_train_step
from configs.config import Config


@dataclass(frozen=True)
class Compiled:
    """A training step that was compiled for a machine, and its costs. Sizes are bytes of one device."""

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
    """Whether XLA optimized the step as it does for training."""

    @property
    def in_blocks(self) -> list[Collective]:
        """The collectives in loops over the blocks, forward or backward."""
        return [each for each in self.collectives if each.in_loop_of(self.config.model.num_blocks)]


LOW_EFFORT: dict[str, Any] = {"exec_time_optimization_effort": -1.0}
"""XLA's options for the least effort. Compiling takes an eighth of the time. The code is half as fast by XLA's
estimates and overlaps no collective with computation."""


def compile_step(config: Config, topology: str, full: bool = False) -> Compiled:
    """Lower and compile `make_train_step` for a global batch with all sources.

    Args:
        config: of the training run.
        topology: the machine, such as v4:8x8x8; its devices make up the mesh of `config.mesh`.
        full: optimize as training does. Otherwise XLA spends the least effort: the step takes a little more memory, the
            collectives are the same but none is hidden, and the estimates are of slower code.

    Returns:
        The costs of the compiled step.

    Raises:
        ValueError: if the step does not fit into the chips' memory, the mesh does not fit the machine, or the batch
            does not fit the mesh.
    """
    chip, devices = topology_devices(topology)
    mesh = training_mesh(config, devices)
    sides = {str(name): size for name, size in mesh.shape.items()}
    state, batch = abstract_state(config, mesh), abstract_batch(config, mesh)
    started_at = time.perf_counter()
    lowered = make_train_step(config, mesh).lower(state, batch)
    lowered_at = time.perf_counter()
    try:
        compiled, memory = _compile_to_fit(lowered, full, chip, config, sides, state)
    except ValueError as error:
        raise ValueError(f"{topology}: {error}{'' if full else '; --full needs a little less memory'}") from None
    compiled_at = time.perf_counter()
    weights = operator_weights(config)
    hlo = compiled.as_text() or ""
    collectives = find_collectives_on(chip, hlo, [device.coords for device in mesh.devices.flat])
    roofline = compute_roofline(config, batch, weights, sides, chip, collectives)
    return Compiled(
        config=config,
        topology=topology,
        chip=chip,
        mesh=sides,
        parameters=sum(weights.values()),
        lowering_seconds=lowered_at - started_at,
        compile_seconds=compiled_at - lowered_at,
        memory=memory,
        collectives=collectives,
        roofline=roofline,
        full=full,
        estimates=read_estimates(hlo, chip, frozenset(operator.name for operator in roofline.operators)),
    )


def _compile_to_fit(
    lowered: jax.stages.Lowered, full: bool, chip: Chip, config: Config, mesh: dict[str, int], state: TrainState
) -> tuple[jax.stages.Compiled, Memory]:
    """Compile a step. Raises ValueError if it takes too much memory, by XLA's refusal or by the compiled program."""
    try:
        compiled = lowered.compile(None if full else LOW_EFFORT)
    except jax.errors.JaxRuntimeError as error:
        explanation = explain_xla_error(str(error), config, mesh, state)
        if explanation is None:
            raise
        raise ValueError(explanation) from None
    memory = memory_of(compiled, chip)
    if memory.peak > memory.hbm:
        raise ValueError(explain_excess(memory.peak, memory.hbm, config, mesh, state))
    return compiled, memory
