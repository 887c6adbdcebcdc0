"""Training from Python: a config in, a run's folder out."""

from pathlib import Path

from aef_jax.data.loading.training_data import open_data
from aef_jax.run.folder import RunFolder
from aef_jax.training import loop
from configs.config import Config


def train(
    config: Config,
    run: str | Path = "runs/python",
    checkpoint: int | None = None,
    init_from: str | Path | None = None,
) -> Path:
    """Train a model, or go on with a run that was stopped.

    Args:
        config: what to train; a preset of `configs.presets`, or a copy with other settings by `dataclasses.replace`.
        run: the folder of the run. If it holds a run of this config, training goes on from its latest checkpoint.
        checkpoint: the step of an older checkpoint to go on from; later ones are moved to `set_aside` in the folder.
        init_from: the folder of a run whose weights a new run begins with, as far as they fit.

    Returns:
        The folder of the run, for `load_run`. Ctrl-C ends training early, with the state saved.

    Raises:
        ValueError: the folder holds a run of another config, another process trains in it, the checkpoint is missing or
            damaged, or the data do not fit the config.
        FloatingPointError: too many steps in a row were not finite.
    """
    folder = RunFolder(Path(run))
    data = open_data(config, folder.read_normalization() if folder.started else None)
    loop.train(config, folder, data, checkpoint=checkpoint, init_from=Path(init_from) if init_from else None)
    return folder.path
