"""A run's folder as an embedder."""

from functools import partial
from pathlib import Path

from aef_jax.inference.embed import CompiledEmbed
from aef_jax.run.checkpoint import restore_params
from aef_jax.run.folder import RunFolder
from aef_jax.run.steps import Which
from configs.fields.embedder import Embedder


def load_run(path: str | Path, checkpoint: Which = "latest") -> Embedder:
    """Load a trained model, ready to embed frames on all devices of this host.

    Args:
        path: the folder of a run, as `aef train` writes it.
        checkpoint: "latest", "best" by validation loss, or the step of one.

    Returns:
        The embedder; its model is compiled for a few numbers of frames.

    Raises:
        ValueError: the folder holds no run or no such checkpoint, or it is damaged; the message names it.
    """
    run = RunFolder(Path(path))
    config = run.read_config()
    embed = CompiledEmbed(config)
    params = embed.place(restore_params(run.checkpoints, config, which=checkpoint))
    return Embedder(config, run.read_normalization(), partial(embed, params))
