"""Open checkpoints of either framework; both have `params`, `moments`, `saved`, `config`, `tensor` and `digest`."""

from pathlib import Path

from parity.aef.conversion.jax_checkpoint import JaxCheckpoint, is_run
from parity.aef.conversion.torch_checkpoint import MODEL, TorchCheckpoint
from parity.files.weights_file import SUFFIX
from parity.files.weights_folder import has_weights

Checkpoint = JaxCheckpoint | TorchCheckpoint


def open_checkpoint(path: Path) -> Checkpoint:
    """Open a run's folder, one of its checkpoints, or PyTorch's weights.

    Args:
        path: a folder or file.

    Returns:
        The checkpoint; its tensors are read when they are asked for.

    Raises:
        ValueError: the path is none of these.
    """
    if not path.exists():
        raise ValueError(f"{path} does not exist")
    if is_run(path):
        return JaxCheckpoint(path)
    if path.is_dir() and not has_weights(path, MODEL):
        raise ValueError(f"{path} is not the folder of a run (config.json), nor of weights ({MODEL}{SUFFIX})")
    return TorchCheckpoint(path)
