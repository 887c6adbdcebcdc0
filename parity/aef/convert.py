"""From a JAX run's folder to a PyTorch weights file, and back, without losing a bit of it or of what goes with it."""

from pathlib import Path

from configs.io import from_json
from configs.run import Config
from parity.aef.model import abstract_jax, abstract_torch
from parity.aef.saved_run import Saved, read_params, read_run, write_run
from parity.mismatch import Spec, check
from parity.tensors import torch_specs
from parity.weights import to_jax, to_torch, twins
from parity.weights_file import SUFFIX, WeightsFile, write_weights

CONFIG, NORMALISATION, STEP = "aef_config", "aef_normalisation", "aef_step"
"""Where a weights file carries the run's config (JSON), its normalisation (JSON) and its step, in its metadata."""


def convert(source: Path, target: Path, overwrite: bool = False) -> str:
    """Converts a run's folder, or one of its checkpoints, to a weights file, and a weights file to a run's folder.

    Returns a sentence on what was written.

    Raises ValueError, and writes nothing, where `source` is neither or is damaged, `target` is there already and is not
    to be overwritten, or the tensors are not exactly those of the config's model (WeightsError, which lists them all).
    """
    if not source.exists():
        raise ValueError(f"{source} does not exist")
    to_file = source.is_dir()
    if to_file != (target.suffix == SUFFIX):
        expected = f"a name that ends in {SUFFIX}" if to_file else "the name of a folder"
        raise ValueError(f"{source} is a {'folder' if to_file else 'file'}, so {target} should be {expected}")
    if not overwrite and (target.exists() or target.is_symlink()):
        raise ValueError(f"{target} exists already: give another name, or --overwrite")
    return run_to_file(source, target) if to_file else file_to_run(source, target, overwrite)


def run_to_file(run: Path, target: Path) -> str:
    """Writes the latest checkpoint of a run, or one of its checkpoints, as PyTorch's weights."""
    config, saved, checkpoint = read_run(run)
    structure = abstract_jax(config)
    tensors = to_torch(structure, read_params(checkpoint, structure))
    check({name: Spec.of(a) for name, a in tensors.items()}, torch_specs(abstract_torch(config)))
    metadata = {CONFIG: saved.config, NORMALISATION: saved.normalisation, STEP: str(saved.step)}
    write_weights(target, tensors, {key: text for key, text in metadata.items() if text is not None})
    return _summary(target, tensors, saved.step)


def file_to_run(path: Path, target: Path, overwrite: bool) -> str:
    """Writes PyTorch's weights as the one checkpoint of a run."""
    file = WeightsFile.open(path)
    config, saved = read_metadata(file)
    structure = abstract_jax(config)
    check(file.specs, {twin.name: twin.spec for twin in twins(structure)})
    tensors = file.read()
    write_run(target, saved, to_jax(structure, tensors), overwrite)
    return _summary(target, tensors, saved.step)


def read_metadata(file: WeightsFile) -> tuple[Config, Saved]:
    """What the file says beside its tensors. Raises ValueError, naming the file, where that is no run's."""
    if CONFIG not in file.metadata:
        raise ValueError(
            f"{file.path} carries no config under {CONFIG!r} in its metadata, which says what model it is of"
        )
    text, step = file.metadata[CONFIG], file.metadata.get(STEP, "0")
    try:
        config = from_json(text)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{file.path}: {CONFIG} in its metadata: {error}") from None
    if not (step.isascii() and step.isdecimal() and len(step) < 19):
        raise ValueError(f"{file.path}: {STEP} in its metadata is {step!r}, expected a number of steps")
    if config.model.blocks > len(file.specs):  # before so many are built, abstract as they are
        raise ValueError(
            f"{file.path}: its config has {config.model.blocks} blocks, and it has {len(file.specs)} tensors"
        )
    return config, Saved(text, file.metadata.get(NORMALISATION), int(step))


def _summary(target: Path, tensors: dict, step: int) -> str:
    numbers = sum(tensor.size for tensor in tensors.values())
    return f"wrote {target}: {len(tensors)} tensors, {numbers:,} parameters, of step {step}"
