"""The training loop, from top to bottom."""

from contextlib import closing

from jax.sharding import Mesh

from aef_jax.data.loading.pipeline import HostExamples, training_batches
from aef_jax.data.loading.training_data import TrainingData
from aef_jax.run.checkpoint import Checkpointer
from aef_jax.run.folder import RunFolder
from aef_jax.sharding.distributed import check_joined, check_shared, on_first
from aef_jax.sharding.mesh import training_mesh
from aef_jax.sharding.placement import host_rows, to_devices
from aef_jax.training.preemption import PreemptionGuard
from aef_jax.training.profiler import Profile
from aef_jax.training.reporter import Reporter
from aef_jax.training.step import TrainState, abstract_state, init_state, make_train_step
from configs.config import Config


def train(config: Config, folder: RunFolder, data: TrainingData, profiled: range | None = None) -> int:
    """Trains to `training.steps`, from the folder's latest checkpoint if it has one; returns the steps done.

    Fewer were done only where a signal asked to stop; then the state is saved, and the same call goes on with it. A
    trace of the steps `profiled` (counted from 1) is written for xprof.

    Raises ValueError where the folder holds another run or is not one to all hosts, the devices do not fit the mesh,
    shared memory does not hold what workers read, or no step would be profiled; FloatingPointError where too many steps
    in a row were not finite.
    """
    # Devices
    check_joined()
    mesh = training_mesh(config)

    # Data and state
    folder.check(config)
    examples = HostExamples(data.training, data.schema, config, host_rows(config.training.batch, mesh))
    _start(folder, config, data)
    checkpointer = Checkpointer(folder, config, data.schema.normalization, data.data_fingerprint)
    state = _begin(checkpointer, config, mesh)
    done = int(state.step)
    profile = Profile(folder.profile, profiled, range(done + 1, config.training.steps + 1))

    # Reporting
    reporter = Reporter(config, folder, data, examples, mesh, resumed_at=done)

    # Loop
    step = make_train_step(config, mesh)
    batches = training_batches(examples, steps_done=done)
    # whatever ends the loop, a checkpoint that is being written is finished
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
                reporter.flush()  # what the metrics say of a step is written before the step is saved
                checkpointer.save(state, score)
            if due:
                reporter.draw(done, state.params)
        reporter.flush()
        checkpointer.save(state)
    return done


def _start(folder: RunFolder, config: Config, data: TrainingData) -> None:
    """One host writes; all must see it."""
    on_first(lambda: folder.start(config, data.schema.normalization))
    check_shared(folder.path)


def _begin(checkpointer: Checkpointer, config: Config, mesh: Mesh) -> TrainState:
    """A fresh state, or that of the latest checkpoint."""
    if checkpointer.latest_step is None:
        return init_state(config, mesh)
    return checkpointer.restore(abstract_state(config, mesh))
