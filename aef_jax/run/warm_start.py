"""Begin a run with the weights of another run, as far as they fit; the optimizer, steps and statistics are its own."""

import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import jax
from flax import nnx
from flax.traverse_util import unflatten_dict
from jax.sharding import Mesh

from aef_jax.files.atomic import replace_file
from aef_jax.run.checkpoint import named_leaves, restore_params
from aef_jax.run.folder import RunFolder
from aef_jax.run.steps import Which, find_step
from aef_jax.sharding.mesh import replicated
from aef_jax.training.step import TrainState, abstract_model
from configs.config import Config
from configs.serialization.strict_json import read_json
from configs.source import Source


@dataclass(frozen=True)
class WarmStart:
    """Which arrays of a checkpoint a run begins with, as its `init.json` records."""

    run: str
    """Folder of the other run, absolute."""
    step: int
    """Its checkpoint."""
    copied: list[str]
    """Names of the arrays that are copied."""
    fresh: dict[str, str]
    """Why each other array of the model is not: its name, and the reason."""
    unused: list[str]
    """Arrays of the checkpoint that the model does not have, or has fresh."""

    def lines(self) -> Iterator[str]:
        """Describe the warm start.

        Yields:
            A line each for the checkpoint, and for the parts of the model that are copied, fresh and unused.
        """
        yield f"the weights are those of {self.run}, checkpoint {self.step}"
        yield f"  {len(self.copied)} arrays are copied: {', '.join(_parts(self.copied))}"
        if self.fresh:
            copied = set(_parts(self.copied))  # of a part that is copied but for some arrays, these are named
            names = ((name if _part(name) in copied else _part(name), reason) for name, reason in self.fresh.items())
            reasons = {f"{name} ({reason})": None for name, reason in names}
            yield f"  {len(self.fresh)} arrays are fresh: {', '.join(reasons)}"
        if self.unused:
            yield f"  {len(self.unused)} arrays of the checkpoint are not used: {', '.join(_parts(self.unused))}"


def plan_warm_start(config: Config, path: Path, which: Which = "latest") -> WarmStart:
    """Decide which arrays of another run's checkpoint a new run begins with.

    An array is copied if the model has one of the same name and shape. The encoder and the decoder of a source whose
    bands, classes or metadata differ are fresh whatever their shapes.

    Args:
        config: of the new run.
        path: folder of the other run.
        which: its checkpoint.

    Returns:
        The plan.

    Raises:
        ValueError: the path is not the folder of a run with a checkpoint, or no array of its encoder fits.
    """
    if path.suffix == ".safetensors" or any(path.glob("*.safetensors")):
        raise ValueError(f"{path} holds weights of PyTorch: make a run of them by aef-parity convert {path} RUN")
    other = RunFolder(path.absolute())
    other_config, step = other.read_config(), find_step(other.checkpoints, which)
    new, old = (_shapes(each) for each in (config, other_config))
    changed = _changed_sources(config.sources, other_config.sources)
    fresh = {}
    for name, shape in new.items():
        if name not in old:
            fresh[name] = "not there"
        elif _part(name) in changed:
            fresh[name] = "another definition of the source there"
        elif old[name] != shape:
            fresh[name] = f"of shape {old[name]} there, {shape} here"
    copied = [name for name in new if name not in fresh]
    if not any(name.startswith("encoder.") for name in copied):
        name = next(name for name in fresh if name.startswith("encoder."))
        raise ValueError(
            f"{path}: no array of its encoder fits, expected a model of the same sizes: {name} is {fresh[name]}"
        )
    return WarmStart(str(other.path), step, copied, fresh, [name for name in old if name not in copied])


def save_warm_start(folder: RunFolder, config: Config, init_from: Path | None) -> None:
    """Record in a new run's folder with which weights it begins.

    Args:
        folder: of the new run. A run that has begun keeps what it recorded.
        config: its config.
        init_from: folder of the other run; None for fresh weights.

    Raises:
        ValueError: the run has begun already with other weights, or as `plan_warm_start`.
    """
    if folder.started:
        if init_from is not None and (read_warm_start(folder) or ("", 0))[0] != str(init_from.absolute()):
            raise ValueError(f"{folder.path} holds a run that began with other weights: give a new folder with --run")
    elif init_from is None:
        folder.init_path.unlink(missing_ok=True)  # of a start that was killed before the config was written
    else:
        plan = plan_warm_start(config, init_from)
        with replace_file(folder.init_path) as temporary:
            temporary.write_text(json.dumps(asdict(plan), indent=1))


def read_warm_start(folder: RunFolder) -> tuple[str, int] | None:
    """Read with which weights a run began.

    Args:
        folder: of the run.

    Returns:
        The folder of the other run and the step of its checkpoint, or None if the weights were fresh.

    Raises:
        ValueError: the file is invalid; the message names it.
    """
    if not folder.init_path.exists():
        return None
    tree = read_json(folder.init_path)
    run, step = (tree.get("run"), tree.get("step")) if isinstance(tree, dict) else (None, None)
    if not isinstance(run, str) or type(step) is not int:
        raise ValueError(f"{folder.init_path} names no checkpoint of another run, expected run and step")
    return run, step


def warm_state(fresh: TrainState, plan: WarmStart, mesh: Mesh) -> TrainState:
    """Put the copied arrays into a fresh state.

    Args:
        fresh: the state before the first step.
        plan: what is copied.
        mesh: the devices.

    Returns:
        The state, with the shardings of `fresh`.

    Raises:
        ValueError: the other run is gone or damaged.
    """
    other = RunFolder(Path(plan.run))
    params = restore_params(other.checkpoints, other.read_config(), replicated(mesh), plan.step)
    values, saved = (_flat(tree) for tree in (fresh.params, params))
    for name in plan.copied:
        values[name] = jax.device_put(saved[name], values[name].sharding)
    tree = unflatten_dict({tuple(name.split(".")): value for name, value in values.items()})
    nnx.replace_by_pure_dict(fresh.params, tree)
    return fresh


def _shapes(config: Config) -> dict[str, tuple[int, ...]]:
    return {name: tuple(leaf.shape) for name, leaf in _flat(abstract_model(config)[1]).items()}


def _flat(params: nnx.State) -> dict[str, Any]:
    return named_leaves(nnx.to_pure_dict(params))


def _changed_sources(new: Iterable[Source], old: Iterable[Source]) -> set[str]:
    """Return the parts of the model that mean something else, because their source does."""
    forms = {source.name: source.record_form for source in old}
    names = [source.name for source in new if forms.get(source.name, source.record_form) != source.record_form]
    return {f"{part}.{name}" for part in ("source_encoders", "decoders") for name in names}


def _part(name: str) -> str:
    """Return the part of the model that an array belongs to, such as `decoders.landsat`."""
    return ".".join(name.split(".")[:2])


def _parts(names: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(map(_part, names)))
