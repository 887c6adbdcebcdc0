"""The training loop, from top to bottom."""

import sys
from collections.abc import Callable
from contextlib import closing
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import jax
from jax.sharding import Mesh

from aef_jax.data.loading.pipeline import HostExamples, require_content, training_batches
from aef_jax.data.loading.training_data import TrainingData
from aef_jax.evaluation.labeled_sites import LabeledSites, open_labeled_sites
from aef_jax.run.checkpoint import Checkpointer
from aef_jax.run.data_levels import level_warning
from aef_jax.run.folder import RunFolder
from aef_jax.run.lock import training_lock
from aef_jax.run.steps import checkpoint_steps, go_back
from aef_jax.run.warm_start import plan_warm_start, read_warm_start, save_warm_start, warm_state
from aef_jax.sharding.agreement import check_agreement
from aef_jax.sharding.distributed import check_joined, check_shared, on_first
from aef_jax.sharding.mesh import training_mesh
from aef_jax.sharding.placement import abstract_batch, host_rows, to_devices
from aef_jax.training.freeze import require_freezable
from aef_jax.training.preemption import PreemptionGuard
from aef_jax.training.profiler import Profile
from aef_jax.training.reporter import Reporter
from aef_jax.training.step import (
    TrainState,
    abstract_model,
    abstract_state,
    compile_in_thread,
    init_state,
    make_train_step,
)
from configs.config import Config
from configs.serialization.printable import print_lines


def train(
    config: Config,
    folder: RunFolder,
    data: TrainingData,
    profiled: range | None = None,
    checkpoint: int | None = None,
    init_from: Path | None = None,
) -> int:
    """Train to `training.steps`, from a checkpoint of the folder if it has one.

    Args:
        config: of the run.
        folder: of the run.
        data: the examples to train on and to evaluate with.
        profiled: steps, counted from 1, whose trace is written for xprof.
        checkpoint: the step of the checkpoint to go back to. Later ones are moved to `set_aside`. None: the latest.
        init_from: the folder of a run whose weights a new run begins with, as far as they fit. None: fresh weights.

    Returns:
        The steps done. After SIGINT or SIGTERM they may be fewer; the state is saved and the same call resumes.

    Raises:
        ValueError: if the folder holds another run, is trained in by another process or is not shared by all hosts,
            the checkpoint is missing or damaged, the devices do not fit the mesh, no example has both a frame and a
            target, shared memory is too small for the workers' examples, no step would be profiled, the labels do not
            fit the data, or the processes were started with different settings or data.
        FloatingPointError: if too many consecutive steps were skipped because they were not finite.
    """
    check_joined()
    check_agreement(_described(config, data))
    for remark in data.remarks if jax.process_index() == 0 else ():
        print_lines(f"aef: {remark}", file=sys.stderr)
    mesh = training_mesh(config)
    folder.require_same_run(config)
    require_freezable(config, abstract_model(config)[1])
    rows = host_rows(config.training.batch, mesh)
    examples = HostExamples(data.training, data.schema, config, rows, data.weights)
    require_content(examples)
    labels = open_labeled_sites(config)
    with training_lock(folder.path):
        _start(folder, config, data, checkpoint, init_from)
        return _train(config, folder, data, examples, mesh, profiled, labels)


def _described(config: Config, data: TrainingData) -> dict[str, Any]:
    """Return what all processes must share; each may have the data in another folder."""
    settings = asdict(replace(config, data=replace(config.data, path="")))
    return settings | {"data set": data.data_fingerprint | {"normalization": data.schema.normalization.as_table()}}


def _train(
    config: Config,
    folder: RunFolder,
    data: TrainingData,
    examples: HostExamples,
    mesh: Mesh,
    profiled: range | None,
    labels: LabeledSites | None,
) -> int:
    # State
    checkpointer = Checkpointer(folder, config, data.schema.normalization, data.data_fingerprint)
    done = checkpointer.latest_step or 0
    profile = Profile(folder.profile, profiled, range(done + 1, config.training.steps + 1))
    step = _compile(checkpointer, examples, config, mesh)  # beside all that comes before the loop
    state = _begin(folder, checkpointer, config, mesh, data)
    reporter = Reporter(config, folder, data, examples, mesh, done, labels)
    # Loop
    batches = training_batches(examples, steps_done=done)
    # closing the checkpointer finishes a checkpoint that is being written, whatever ends the loop
    with PreemptionGuard() as stop, closing(batches), closing(checkpointer), reporter, profile:
        while done < config.training.steps and not stop.should_stop(done):
            batch = reporter.wait_for(batches)
            profile.before(done + 1)
            state, terms = step(state, to_devices(batch, mesh))
            done += 1
            reporter.step(done, terms, batch)
            profile.after(done, state)
            due = done == config.training.steps or done % config.training.evaluate_every == 0
            score = reporter.evaluate(done, state.params) if due else None
            if due or done % config.training.checkpoint_every == 0:
                reporter.flush()  # write the metrics of a step before its checkpoint
                with reporter.goodput.lost_to("saving"):
                    checkpointer.save(state, score)
            if due:
                reporter.draw(done, state.params)
        reporter.flush()
        with reporter.goodput.lost_to("saving"):
            checkpointer.save(state)
    return done


def _start(
    folder: RunFolder, config: Config, data: TrainingData, checkpoint: int | None, init_from: Path | None
) -> None:
    """Write the run's folder on the first host and check that all hosts see it."""

    def write() -> None:
        folder.require_same_run(config)  # another process may have begun it before this one took the lock
        save_warm_start(folder, config, init_from)
        latest = max(checkpoint_steps(folder.checkpoints), default=0)
        if checkpoint is not None:
            go_back(folder.checkpoints, checkpoint, folder.set_aside)
            if checkpoint != latest:
                folder.record_change(checkpoint, "checkpoint", latest, checkpoint)
        done = latest if checkpoint is None else checkpoint
        for change in folder.start(config, data.schema.normalization, done):
            print_lines(f"aef: {change}", file=sys.stderr)

    on_first(write)
    check_shared(folder.path)


def _compile(checkpointer: Checkpointer, examples: HostExamples, config: Config, mesh: Mesh) -> Callable:
    """Return the step, which compiles meanwhile; a run that has ended needs none."""
    step = make_train_step(config, mesh)
    if checkpointer.latest_step == config.training.steps:
        return step
    return compile_in_thread(
        step, abstract_state(config, mesh), abstract_batch(examples[0], config.training.batch, mesh)
    )


def _begin(folder: RunFolder, checkpointer: Checkpointer, config: Config, mesh: Mesh, data: TrainingData) -> TrainState:
    """Return the state of the latest checkpoint, or else a new one, with the weights that the run is to begin with."""
    if checkpointer.latest_step is not None:
        return checkpointer.restore(abstract_state(config, mesh))
    state, origin = init_state(config, mesh), read_warm_start(folder)
    if origin is None:
        return state
    plan = plan_warm_start(config, Path(origin[0]), origin[1])
    if jax.process_index() == 0:
        where = config.data.path or "the sample"
        warning = level_warning(RunFolder(Path(plan.run)).checkpoints, plan.step, data.levels, where)
        for line in (*plan.lines(), *filter(None, [warning])):
            print_lines(f"aef: {line}", file=sys.stderr)
    return warm_state(state, plan, mesh)
