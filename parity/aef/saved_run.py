"""The folder of a JAX run, as far as embedding with it needs: config, normalisation, and the parameters.

Parameters are read to the host and exactly as they were saved: restoring casts silently where it is asked for another
dtype, so what is there is compared first.
"""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import numpy as np
import orbax.checkpoint as ocp
from flax import nnx
from jax.sharding import SingleDeviceSharding

from aef_jax.checkpoint import save_params
from aef_jax.run_folder import RunFolder
from configs.run import Config
from parity.mismatch import WeightsError, check
from parity.weights import state_specs


@dataclass(frozen=True)
class Saved:
    """What a run's folder and a weights file both hold beside the parameters; texts are kept as they are."""

    config: str
    normalisation: str | None
    step: int


def read_run(path: Path) -> tuple[Config, Saved, Path]:
    """The config, what goes with the parameters, and the checkpoint: the latest of a run's folder, or one of its own.

    Raises ValueError where the path is neither.
    """
    folder = RunFolder(path)
    if not folder.config_path.exists() and path.parent.name == folder.checkpoints.name:
        folder = RunFolder(path.parent.parent)
    config = folder.read_config()
    steps = ocp.utils.checkpoint_steps(folder.checkpoints.absolute()) if folder.checkpoints.is_dir() else []
    if not steps:
        raise ValueError(f"{folder.checkpoints} holds no checkpoint")
    if folder.path != path and path.name not in map(str, steps):
        raise ValueError(f"{path} is no checkpoint, expected one of the steps {sorted(steps)}")
    step = max(steps) if folder.path == path else int(path.name)
    text = folder.normalisation_path.read_text() if folder.normalisation_path.exists() else None
    return config, Saved(folder.config_path.read_text(), text, step), folder.checkpoints / str(step)


def read_params(checkpoint: Path, structure: nnx.Module) -> dict[str, Any]:
    """The pure dictionary of a checkpoint's parameters, as NumPy arrays.

    Raises WeightsError where they are not exactly those of `structure`, ValueError where they cannot be read.
    """
    item = checkpoint.absolute() / "params"
    here = SingleDeviceSharding(jax.devices()[0])  # wherever they were saved: Orbax would ask for the same devices
    target = jax.tree.map(
        lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=here),
        nnx.to_pure_dict(nnx.state(structure, nnx.Param)),
    )
    with ocp.StandardCheckpointer() as checkpointer, _told(checkpoint):
        saved = checkpointer.metadata(item).item_metadata.tree
        check(state_specs(saved), state_specs(target))
        return jax.tree.map(np.asarray, checkpointer.restore(item, target))


def write_run(run: Path, saved: Saved, params: nnx.State, overwrite: bool) -> None:
    """Writes a folder that can be embedded with, and not resumed; it appears whole or not at all.

    With `overwrite` it takes the place of a folder that holds nothing but such a run.
    Raises ValueError where it cannot, or the normalisation is none.
    """
    with _replacing_folder(run, overwrite) as temporary:
        folder = RunFolder(temporary)
        folder.config_path.write_text(saved.config)
        if saved.normalisation is not None:
            folder.normalisation_path.write_text(saved.normalisation)
            try:
                folder.read_normalisation()
            except (ValueError, RecursionError) as error:
                raise ValueError("what the weights carry as their normalisation is not one of a run") from error
        save_params(folder.checkpoints, params, saved.step)


@contextmanager
def _replacing_folder(target: Path, overwrite: bool) -> Iterator[Path]:
    """Gives a temporary folder beside `target`, which takes its place at the end, or is removed after an exception."""
    if overwrite and target.exists():
        _check_replaceable(target)
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary, old = (target.with_name(f".{target.name}.{os.getpid()}.{end}") for end in ("tmp", "old"))
    temporary.mkdir()
    try:
        yield temporary
        if overwrite and target.exists():
            target.rename(old)
        temporary.rename(target)
        shutil.rmtree(old, ignore_errors=True)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _check_replaceable(run: Path) -> None:
    """Raises ValueError where a folder holds more than `write_run` writes: it would be lost."""
    folder = RunFolder(run)
    ours = {path.name for path in (folder.config_path, folder.normalisation_path, folder.checkpoints)}
    more = sorted(path.name for path in run.iterdir() if path.name not in ours) if run.is_dir() else [run.name]
    if more:
        raise ValueError(f"{run} holds more than converted weights ({more[0]}): it is not overwritten")


@contextmanager
def _told(checkpoint: Path) -> Iterator[None]:
    try:
        yield
    except WeightsError:
        raise
    except Exception as error:  # whatever Orbax and its storage raise for a damaged file
        reason = str(error).strip().partition("\n")[0] or type(error).__name__
        raise ValueError(f"{checkpoint} cannot be read: {reason}") from error
