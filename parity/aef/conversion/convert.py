"""From a JAX run's folder to PyTorch's weights, and back, without losing a bit of them or of what goes with them."""

from dataclasses import dataclass
from pathlib import Path

from parity.aef.conversion.checkpoints import Checkpoint, open_checkpoint
from parity.aef.conversion.tensor_reader import TensorReader
from parity.aef.conversion.torch_checkpoint import SHARD_SIZE, TorchCheckpoint, check_torch_target, write_torch
from parity.aef.conversion.write_run import check_run_target, write_run
from parity.aef.model import abstract_jax, abstract_torch
from parity.capture.tensors import torch_specs
from parity.files.cast import cast_specs
from parity.files.weights_file import SUFFIX
from parity.mapping.model_map import dotted
from parity.mapping.spec import Spec, check_specs
from parity.mapping.weights import param_links


@dataclass(frozen=True)
class ConvertOptions:
    """What can be asked of a conversion."""

    overwrite: bool = False
    dtype: str | None = None
    """Parameters are cast to it; None leaves them as they are. Moments always stay as they are."""
    shard_size: int = SHARD_SIZE
    """Bytes of a shard, where a folder of PyTorch's weights is written."""
    allow_nonfinite: bool = False


def convert(source: Path, target: Path, how: ConvertOptions = ConvertOptions()) -> str:
    """Converts a run's folder, or one of its checkpoints, to PyTorch's weights, or PyTorch's weights to a run's folder.

    Returns a sentence on what was written.

    Raises ValueError, and writes nothing, where `source` is neither or is damaged, `target` is there already and is not
    to be overwritten, or the tensors are not exactly those of the config's model (WeightsError, which lists them all).
    """
    checkpoint = _open(source, target, how)
    to_file = target.suffix == SUFFIX
    moments = {} if to_file else checkpoint.moments
    names = checkpoint.params | moments
    with TensorReader(checkpoint, names, how.dtype, how.allow_nonfinite) as reader:
        if isinstance(checkpoint, TorchCheckpoint):
            write_run(target, checkpoint, reader.tensor, reader.digests, how.overwrite)
        else:
            params = cast_specs(checkpoint.params, how.dtype)
            saved, size = checkpoint.saved, how.shard_size
            write_torch(target, saved, params, moments, reader.tensor, size, how.overwrite, reader.digests)
    return _summary(target, checkpoint, moments, reader)


def plan(source: Path, target: Path, how: ConvertOptions = ConvertOptions()) -> str:
    """What `convert` would do: a line for each tensor, with where it is in JAX and in PyTorch. Raises as `convert`,
    but for what only the numbers themselves show.
    """
    checkpoint = _open(source, target, how)
    config = checkpoint.config
    lines = []
    for param_link in param_links(abstract_jax(config)):
        block = f" {list(param_link.index)}" if param_link.index else ""
        found = checkpoint.params[param_link.name]
        cast = f" -> {how.dtype}" if how.dtype and found.dtype.name != how.dtype else ""
        lines.append(f"{dotted(param_link.path)}{block} <-> {param_link.name}  {found}{cast}")
    if checkpoint.moments and target.suffix != SUFFIX:
        lines.append("and the same of Adam's moments: mu <-> exp_avg, nu <-> exp_avg_sq")
    return "\n".join(
        [*lines, f"nothing was written: {target} would have {_size(checkpoint, target, how):,} bytes of tensors"]
    )


def _size(checkpoint: Checkpoint, target: Path, how: ConvertOptions) -> int:
    moments = {} if target.suffix == SUFFIX else checkpoint.moments
    return sum(spec.nbytes for spec in (cast_specs(checkpoint.params, how.dtype) | moments).values())


def _open(source: Path, target: Path, how: ConvertOptions) -> Checkpoint:
    """What is to be converted, after every check that needs no numbers."""
    checkpoint = open_checkpoint(source)
    if isinstance(checkpoint, TorchCheckpoint) and target.suffix == SUFFIX:
        raise ValueError(f"{source} is of PyTorch, so {target} should be the name of a folder, for a run of JAX")
    if isinstance(checkpoint, TorchCheckpoint):
        check_run_target(target, how.overwrite)
        checkpoint.check(how.dtype)
    else:
        check_torch_target(target, how.overwrite)
        check_specs(checkpoint.params, torch_specs(abstract_torch(checkpoint.config)))
    return checkpoint


def _summary(target: Path, checkpoint: Checkpoint, moments: dict[str, Spec], reader: TensorReader) -> str:
    numbers = sum(spec.nbytes // spec.dtype.itemsize for spec in checkpoint.params.values())
    text = f"wrote {target}: {len(checkpoint.params)} tensors, {numbers:,} parameters, of step {checkpoint.saved.step}"
    if moments:
        text += ", with Adam's moments and counters"
    elif checkpoint.moments:
        text += f"; Adam's moments were left behind: give a folder instead of a {SUFFIX} to carry them"
    return text if reader.cast is None else f"{text}; {reader.cast}"
