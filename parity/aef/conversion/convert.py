"""Convert a JAX run's folder to PyTorch's weights, and back, to the bit and with everything that training needs."""

from dataclasses import dataclass
from pathlib import Path

from configs.config import Config
from parity.aef.conversion.checkpoints import Checkpoint, open_checkpoint
from parity.aef.conversion.tensor_reader import TensorReader
from parity.aef.conversion.torch_checkpoint import SHARD_SIZE, TorchCheckpoint, require_torch_target, write_torch
from parity.aef.conversion.write_run import require_run_target, write_run
from parity.aef.model import abstract_jax, abstract_torch
from parity.capture.tensors import torch_specs
from parity.files.cast import cast_specs
from parity.files.weights_file import SUFFIX
from parity.mapping.model_map import dotted
from parity.mapping.spec import Spec, check_specs
from parity.mapping.weights import param_links


@dataclass(frozen=True)
class ConvertOptions:
    """Options of a conversion."""

    overwrite: bool = False
    dtype: str | None = None
    """Cast parameters to it; None leaves them as they are. Moments always stay as they are."""
    shard_size: int = SHARD_SIZE
    """Bytes of a shard in a folder of PyTorch's weights."""
    allow_nonfinite: bool = False
    config: Config | None = None
    """The config of weights that carry none."""


def convert(source: Path, target: Path, options: ConvertOptions = ConvertOptions()) -> str:
    """Convert a run's folder, or one of its checkpoints, to PyTorch's weights, or weights to a run's folder.

    Args:
        source: what to convert.
        target: a .safetensors file or a folder for weights, a folder for a run.
        options: options of the conversion.

    Returns:
        A sentence on what was written.

    Raises:
        ValueError: `source` is neither or is damaged, or `target` exists and is not to be overwritten; nothing is
            written.
        WeightsError: the tensors are not exactly those of the config's model; the message lists all that differ, and
            nothing is written.
    """
    checkpoint = _open(source, target, options)
    moments = {} if target.suffix == SUFFIX else checkpoint.moments
    names = checkpoint.params | moments
    with TensorReader(checkpoint, names, options.dtype, options.allow_nonfinite) as reader:
        if isinstance(checkpoint, TorchCheckpoint):
            write_run(target, checkpoint, reader.tensor, reader.digests, options.overwrite)
        else:
            params = cast_specs(checkpoint.params, options.dtype)
            saved, size = checkpoint.saved, options.shard_size
            write_torch(target, saved, params, moments, reader.tensor, size, options.overwrite, reader.digests)
    return _summary(target, checkpoint, moments, reader)


def plan(source: Path, target: Path, options: ConvertOptions = ConvertOptions()) -> str:
    """Describe what `convert` would do.

    Args:
        source: what to convert.
        target: where to.
        options: options of the conversion.

    Returns:
        A line for each tensor, with where it is in JAX and in PyTorch.

    Raises:
        ValueError: as `convert`, except for errors that only the numbers show.
    """
    checkpoint = _open(source, target, options)
    lines = []
    for param_link in param_links(abstract_jax(checkpoint.config)):
        block = f" {list(param_link.index)}" if param_link.index else ""
        spec = checkpoint.params[param_link.name]
        cast = f" -> {options.dtype}" if options.dtype and spec.dtype.name != options.dtype else ""
        lines.append(f"{dotted(param_link.path)}{block} <-> {param_link.name}  {spec}{cast}")
    if checkpoint.moments and target.suffix != SUFFIX:
        lines.append("and the same of Adam's moments: mu <-> exp_avg, nu <-> exp_avg_sq")
    return "\n".join(
        [*lines, f"nothing was written: {target} would have {_size(checkpoint, target, options):,} bytes of tensors"]
    )


def _size(checkpoint: Checkpoint, target: Path, options: ConvertOptions) -> int:
    moments = {} if target.suffix == SUFFIX else checkpoint.moments
    return sum(spec.nbytes for spec in (cast_specs(checkpoint.params, options.dtype) | moments).values())


def _open(source: Path, target: Path, options: ConvertOptions) -> Checkpoint:
    """Open what is to be converted, after every check that needs no numbers."""
    checkpoint = open_checkpoint(source, options.config)
    if isinstance(checkpoint, TorchCheckpoint) and target.suffix == SUFFIX:
        raise ValueError(f"{source} is of PyTorch, so {target} should be the name of a folder, for a run of JAX")
    if isinstance(checkpoint, TorchCheckpoint):
        require_run_target(target, options.overwrite)
        checkpoint.require_model(options.dtype)
    else:
        require_torch_target(target, options.overwrite)
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
