"""A run's folder as an embedder of the user's own frames."""

from pathlib import Path

from aef_jax.inference.embed import make_embedder
from aef_jax.run.checkpoint import restore_params
from aef_jax.run.folder import RunFolder
from aef_jax.run.steps import Which
from configs.fields.embedder import Embedder


def load_run(path: str | Path, checkpoint: Which = "latest") -> Embedder:
    """Load a trained model, ready to embed frames.

    Args:
        path: the folder of a run, as `aef train` writes it.
        checkpoint: "latest", "best" by validation loss, or the step of one.

    Returns:
        The embedder; its model is compiled once for each shape of tiles and frames.

    Raises:
        ValueError: the folder holds no run or no such checkpoint, or it is damaged; the message names it.
    """
    run = RunFolder(Path(path))
    config = run.read_config()
    params, embed = restore_params(run.checkpoints, config, which=checkpoint), make_embedder(config)
    return Embedder(config, run.read_normalization(), lambda frames, periods: embed(params, frames, periods))
