"""The training loop, from top to bottom."""

import jax
from tqdm import tqdm

from aef_jax.checkpoint import Checkpointer
from aef_jax.data.heldout import heldout_examples
from aef_jax.data.pipeline import training_batches
from aef_jax.data.sample import Split
from aef_jax.data.scaling import Normalisation
from aef_jax.data.site import Site
from aef_jax.evaluate import Evaluator
from aef_jax.metrics import MetricsWriter
from aef_jax.report import Reporter
from aef_jax.run_folder import RunFolder
from aef_jax.sharding import check_batch, make_mesh, to_devices
from aef_jax.step import abstract_state, init_state, make_train_step
from aef_jax.stopping import StopRequest
from configs.run import Config
from configs.source import Source


def train(config: Config, folder: RunFolder, whole: Site, split: Split) -> int:
    """Trains to `training.steps`, from the folder's latest checkpoint if it has one; returns the steps done.

    Fewer were done only where a signal asked to stop; then the state is saved, and the same call goes on with it.
    Raises ValueError where the folder holds another run, the devices do not fit the mesh or the loss is not finite.
    """
    # Devices
    mesh = make_mesh(config.mesh)
    check_batch(config.training.batch, mesh)

    # Data
    folder.check(config)
    source = _evaluated(config, split.heldout)
    saved = folder.read_normalisation() if folder.started else None
    normalisation = saved or Normalisation.of(split.training, config.sources)
    whole, training, heldout = (normalisation.apply(site, config.sources) for site in (whole, *split[:2]))
    batches = training_batches(training, config)
    tests = {"heldout": split.seen_ms, "heldout_dates": split.heldout_ms}
    examples = {kind: heldout_examples(heldout, source, times_ms, config) for kind, times_ms in tests.items()}
    evaluator = Evaluator(source, config, mesh)

    # State
    if jax.process_index() == 0:
        folder.start(config, normalisation)
    checkpointer = Checkpointer(folder.checkpoints)
    if checkpointer.latest_step is None:
        state, first = init_state(config, mesh), 0
    else:
        state, data_state = checkpointer.restore(abstract_state(config, mesh))
        batches.set_state(data_state)
        first = int(state.step)

    # Reporting
    writer = MetricsWriter(folder.metrics_path, folder.tensorboard, resumed_at=first)
    bar = tqdm(total=config.training.steps, initial=first, unit="step", disable=jax.process_index() > 0)
    bar.set_postfix_str("compiling the step")
    reporter = Reporter(config, folder, writer, bar, evaluator, examples, whole, normalisation)

    # Loop
    step, done = make_train_step(config, mesh), first
    try:
        with StopRequest() as stop, bar:
            while done < config.training.steps and not stop.agreed(done):
                batch = next(batches)
                state, terms = step(state, to_devices(batch, mesh))
                done += 1
                reporter.step(done, terms, batch)
                at_end = done == config.training.steps
                if at_end or done % config.training.checkpoint_every == 0:
                    reporter.flush()  # a loss that is not finite stops the run before it is saved
                    checkpointer.save(state, batches.get_state())
                if at_end or done % config.training.evaluate_every == 0:
                    reporter.evaluate(done, state.params)
            reporter.flush()
            checkpointer.save(state, batches.get_state())
    finally:
        # whatever ended the loop, a checkpoint that is being written is finished
        checkpointer.close()
        writer.close()
    return done


def _evaluated(config: Config, heldout: Site) -> Source:
    """The source of which held-out frames are reconstructed: the first input that there is."""
    for source in config.input_sources:
        if source.name in heldout.series:
            return source
    inputs = [source.name for source in config.input_sources]
    raise ValueError(f"site {heldout.name}: it holds {sorted(heldout.series)}, expected some of the inputs {inputs}")
