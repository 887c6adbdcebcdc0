"""Open checkpoints of either framework; both have `params`, `moments`, `saved`, `config`, `tensor` and `digest`."""

from pathlib import Path

from configs.config import Config
from parity.aef.conversion.jax_checkpoint import JaxCheckpoint, is_run
from parity.aef.conversion.torch_checkpoint import MODEL, TorchCheckpoint
from parity.files.weights_file import SUFFIX
from parity.files.weights_folder import has_weights

Checkpoint = JaxCheckpoint | TorchCheckpoint


def open_checkpoint(path: Path, config: Config | None = None) -> Checkpoint:
    """Open a run's folder, one of its checkpoints, or PyTorch's weights.

    Args:
        path: a folder or file.
        config: the config of weights that carry none.

    Returns:
        The checkpoint; its tensors are read when they are asked for.

    Raises:
        ValueError: the path is none of these, or has a config of its own beside the given one.
    """
    if not path.exists():
        raise ValueError(f"{path} does not exist")
    if is_run(path) and not has_weights(path, MODEL):
        if config is not None:
            raise ValueError(f"{path} is a run, which has a config of its own: leave --config out")
        return JaxCheckpoint(path)
    if path.is_dir() and not has_weights(path, MODEL):
        raise ValueError(f"{path} is not the folder of a run (config.json), nor of weights ({MODEL}{SUFFIX})")
    return TorchCheckpoint(path, config)
