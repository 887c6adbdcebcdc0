"""Run the same training steps in both frameworks: from one initial state, on the same batches, with the same noise.

The noise is drawn once, as JAX's step draws it, and both get exactly the same. Both compute in
`config.model.compute_dtype`, also for parameters: float32, or float64 for the truth.
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, ExitStack
from functools import cache
from itertools import islice

import jax
import jax.numpy as jnp
import numpy as np
import torch
from jax.sharding import Mesh

import aef_jax.training.step
from aef_jax.sharding.compiler_options import compiler_options
from aef_jax.sharding.mesh import replicated, sharding, single_device_mesh
from aef_jax.sharding.placement import put, to_devices
from aef_torch.training.snapshot import Snapshot, restored, snapshot
from aef_torch.training.step import TrainState, train_step
from configs.batch import Batch, BottleneckNoise
from configs.config import Config
from parity.aef.conversion.jax_state import from_jax, to_jax
from parity.aef.training.trajectory import Trajectory
from parity.capture.quick_compile import QUICK
from parity.capture.tensors import to_tensor


def jax_steps(config: Config, start: Snapshot, batches: Iterable[Batch], mesh: Mesh | None = None) -> Trajectory:
    """Train with `aef_jax`.

    Args:
        config: The config.
        start: The initial state.
        batches: At least one, of NumPy arrays.
        mesh: The devices; None for one device.

    Returns:
        The trajectory.
    """
    draw, mesh = noise_function(config), mesh or single_device_mesh()
    with precision(config):
        step, state = _jax_step(config, mesh), to_jax(start, config, mesh)
        terms, first = [], None
        for batch in batches:
            noise = draw(batch, int(state.step))
            on = jax.tree.map(lambda _: sharding(mesh, "sequence", None, "row"), noise)
            state, step_terms = step(state, to_devices(batch, mesh), put(noise, on))
            terms.append({name: float(term) for name, term in step_terms.items()})
            first = first or from_jax(state, config)
        assert first, "there is a batch"
        return Trajectory(terms, first, from_jax(state, config))


def torch_steps(config: Config, start: Snapshot, batches: Iterable[Batch]) -> Trajectory:
    """Train with `aef_torch`, on the CPU.

    Args:
        config: The config.
        start: The initial state.
        batches: At least one, of NumPy arrays.

    Returns:
        The trajectory.
    """
    terms, first, state = [], None, None
    for state, step_terms in run_torch_steps(config, start, batches):
        terms.append(step_terms)
        first = first or snapshot(state)
    assert state, "there is a batch"
    return Trajectory(terms, first or snapshot(state), snapshot(state))


def continue_in_torch(
    config: Config, saved: Snapshot, batches: Iterable[Batch], to_step: int
) -> Iterator[tuple[TrainState, dict[str, float]]]:
    """Continue a JAX run in PyTorch.

    Args:
        config: The config.
        saved: The state of the run.
        batches: Batches from step `saved.step` on, counted from 0, as `training_batches(examples,
            steps_done=saved.step)` yields them.
        to_step: The step to train to.

    Returns:
        An iterator over the state, the same object each time, and the terms after each step.

    Raises:
        ValueError: If `to_step` is not after `saved`, or is beyond the end of the learning-rate schedule.
    """
    if not saved.step < to_step <= config.training.steps:
        raise ValueError(f"to_step is {to_step}, expected more than {saved.step} and at most {config.training.steps}")
    return run_torch_steps(config, saved, islice(batches, to_step - saved.step))


def run_torch_steps(
    config: Config, start: Snapshot, batches: Iterable[Batch]
) -> Iterator[tuple[TrainState, dict[str, float]]]:
    """Take a step for each batch.

    Args:
        config: The config.
        start: The initial state.
        batches: The batches, of NumPy arrays.

    Yields:
        The state, the same object each time, and the step's terms.
    """
    draw, state = noise_function(config), restored(start.to(getattr(torch, config.model.compute_dtype)), config)
    for batch in batches:
        batch, noise = jax.tree.map(to_tensor, (batch, draw(batch, state.step)))
        terms = train_step(state, batch, noise, config)
        yield state, {name: float(term) for name, term in terms.items()}


@cache
def noise_function(config: Config) -> Callable[[Batch, int], BottleneckNoise]:
    """Make the function that draws the noise of JAX's next step, for all parts of a batch.

    Args:
        config: The config.

    Returns:
        A function of the batch and the number of steps done.
    """
    number = config.training.grad_accum_steps

    def draw(batch: Batch, step: jax.Array) -> BottleneckNoise:
        parts = [jax.tree.map(lambda x, part=part: x[part::number], batch) for part in range(number)]
        drawn = [aef_jax.training.step.step_noise(config, of_part, step, part) for part, of_part in enumerate(parts)]
        # sequence i of part p is number i * parts + p of the batch
        return jax.tree.map(lambda *x: jnp.stack(x, axis=1).reshape(-1, *x[0].shape[1:]), *drawn)

    compiled = jax.jit(draw)
    return lambda batch, step: jax.tree.map(np.asarray, compiled(batch, jnp.asarray(step, jnp.int32)))


@cache
def _jax_step(config: Config, mesh: Mesh):
    """Compile the training step with the noise as an argument, once for all callers."""
    update, number = aef_jax.training.step.make_update_fn(config, mesh), config.training.grad_accum_steps

    def step(state: aef_jax.training.step.TrainState, batch: Batch, noise: BottleneckNoise):
        parts = aef_jax.training.step.split(noise, number)
        return update(state, batch, lambda _, part: jax.tree.map(lambda x: x[part], parts))

    shardings = jax.tree.map(lambda leaf: leaf.sharding, aef_jax.training.step.abstract_state(config, mesh))
    options = compiler_options(mesh, gradients=True) | (QUICK if config.model.compute_dtype == "float64" else {})
    return jax.jit(step, out_shardings=(shardings, replicated(mesh)), donate_argnums=0, compiler_options=options)


def precision(config: Config) -> AbstractContextManager:
    """Compute in float64 in JAX if the config says so, and never in less than float32.

    Args:
        config: The config.

    Returns:
        The context.
    """
    stack = ExitStack()
    stack.enter_context(jax.enable_x64(config.model.compute_dtype == "float64"))
    stack.enter_context(jax.default_matmul_precision("highest"))
    return stack
