"""From a JAX run's folder to PyTorch's weights, and back, without losing a bit of them or of what goes with them."""

from dataclasses import dataclass
from pathlib import Path

from parity.aef.conversion.checkpoints import Checkpoint, open_checkpoint
from parity.aef.conversion.tensor_reader import Stream
from parity.aef.conversion.torch_checkpoint import SHARD_SIZE, TorchCheckpoint, check_torch_target, write_torch
from parity.aef.conversion.write_run import check_run_target, write_run
from parity.aef.model import abstract_jax, abstract_torch
from parity.capture.tensors import torch_specs
from parity.files.cast import cast_specs
from parity.files.weights_file import SUFFIX
from parity.mapping.model_map import dotted
from parity.mapping.spec import Spec, check
from parity.mapping.weights import twins


@dataclass(frozen=True)
class How:
    """What can be asked of a conversion."""

    overwrite: bool = False
    dtype: str | None = None
    """Parameters are cast to it; None leaves them as they are. Moments always stay as they are."""
    shard_size: int = SHARD_SIZE
    """Bytes of a shard, where a folder of PyTorch's weights is written."""
    allow_nonfinite: bool = False


def convert(source: Path, target: Path, how: How = How()) -> str:
    """Converts a run's folder, or one of its checkpoints, to PyTorch's weights, or PyTorch's weights to a run's folder.

    Returns a sentence on what was written.

    Raises ValueError, and writes nothing, where `source` is neither or is damaged, `target` is there already and is not
    to be overwritten, or the tensors are not exactly those of the config's model (WeightsError, which lists them all).
    """
    checkpoint = _open(source, target, how)
    to_file = target.suffix == SUFFIX
    moments = {} if to_file else checkpoint.moments
    names = checkpoint.params | moments
    with Stream(checkpoint, names, how.dtype, how.allow_nonfinite) as stream:
        if isinstance(checkpoint, TorchCheckpoint):
            write_run(target, checkpoint, stream.tensor, stream.digests, how.overwrite)
        else:
            params = cast_specs(checkpoint.params, how.dtype)
            saved, size = checkpoint.saved, how.shard_size
            write_torch(target, saved, params, moments, stream.tensor, size, how.overwrite, stream.digests)
    return _summary(target, checkpoint, moments, stream)


def plan(source: Path, target: Path, how: How = How()) -> str:
    """What `convert` would do: a line for each tensor, with where it is in JAX and in PyTorch. Raises as `convert`,
    but for what only the numbers themselves show."""
    checkpoint = _open(source, target, how)
    config = checkpoint.config
    lines = []
    for twin in twins(abstract_jax(config)):
        block = f" {list(twin.index)}" if twin.index else ""
        found = checkpoint.params[twin.name]
        cast = f" -> {how.dtype}" if how.dtype and found.dtype.name != how.dtype else ""
        lines.append(f"{dotted(twin.path)}{block} <-> {twin.name}  {found}{cast}")
    if checkpoint.moments and target.suffix != SUFFIX:
        lines.append("and the same of Adam's moments: mu <-> exp_avg, nu <-> exp_avg_sq")
    return "\n".join(
        [*lines, f"nothing was written: {target} would have {_size(checkpoint, target, how):,} bytes of tensors"]
    )


def _size(checkpoint: Checkpoint, target: Path, how: How) -> int:
    moments = {} if target.suffix == SUFFIX else checkpoint.moments
    return sum(spec.nbytes for spec in (cast_specs(checkpoint.params, how.dtype) | moments).values())


def _open(source: Path, target: Path, how: How) -> Checkpoint:
    """What is to be converted, after every check that needs no numbers."""
    checkpoint = open_checkpoint(source)
    if isinstance(checkpoint, TorchCheckpoint) and target.suffix == SUFFIX:
        raise ValueError(f"{source} is of PyTorch, so {target} should be the name of a folder, for a run of JAX")
    if isinstance(checkpoint, TorchCheckpoint):
        check_run_target(target, how.overwrite)
        checkpoint.check(how.dtype)
    else:
        check_torch_target(target, how.overwrite)
        check(checkpoint.params, torch_specs(abstract_torch(checkpoint.config)))
    return checkpoint


def _summary(target: Path, checkpoint: Checkpoint, moments: dict[str, Spec], stream: Stream) -> str:
    numbers = sum(spec.nbytes // spec.dtype.itemsize for spec in checkpoint.params.values())
    text = f"wrote {target}: {len(checkpoint.params)} tensors, {numbers:,} parameters, of step {checkpoint.saved.step}"
    if moments:
        text += ", with Adam's moments and counters"
    elif checkpoint.moments:
        text += f"; Adam's moments were left behind: give a folder instead of a {SUFFIX} to carry them"
    return text if stream.cast is None else f"{text}; {stream.cast}"
