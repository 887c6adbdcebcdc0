"""Checkpoints through Orbax: parameters, optimiser, step and the data's position in one composite."""

from pathlib import Path
from typing import Any, cast

import jax
import orbax.checkpoint as ocp
from flax import nnx
from flax.traverse_util import flatten_dict

from aef_jax.step import TrainState, abstract_model
from configs.run import Config

KEPT = 2


class Checkpointer:
    """The checkpoints of one run. Each is written aside and then renamed, so that a broken write is never seen."""

    def __init__(self, folder: Path):
        options = ocp.CheckpointManagerOptions(max_to_keep=KEPT, enable_async_checkpointing=True)
        self.manager = ocp.CheckpointManager(folder.absolute(), options=options)

    @property
    def latest_step(self) -> int | None:
        return self.manager.latest_step()

    def save(self, state: TrainState, data_state: dict[str, Any]) -> None:
        """Starts writing the state of `step` steps done; unless that step is there already."""
        step = int(state.step)
        if step == self.latest_step:
            return
        self.manager.save(
            step,
            args=ocp.args.Composite(
                params=ocp.args.StandardSave(nnx.to_pure_dict(state.params)),
                optimizer=ocp.args.StandardSave(_pure(state.optimizer)),
                data=ocp.args.JsonSave(data_state),
            ),
        )

    def restore(self, target: TrainState) -> tuple[TrainState, dict[str, Any]]:
        """The latest state, onto the shapes and shardings of `target`, and the data's position.

        Raises ValueError where there is none, or its parameters are not those of `target`.
        """
        step = self.latest_step
        if step is None:
            raise ValueError(f"{self.manager.directory} holds no checkpoint: train first")
        saved = Path(self.manager.directory) / str(step)
        if not (saved / "optimizer").exists():
            raise ValueError(f"{saved} holds parameters alone, which can be embedded with; training needs a new run")
        _check_saved(saved / "params", nnx.to_pure_dict(target.params))
        restored = self.manager.restore(
            step,
            args=ocp.args.Composite(
                params=ocp.args.StandardRestore(nnx.to_pure_dict(target.params)),
                optimizer=ocp.args.StandardRestore(_pure(target.optimizer)),
                data=ocp.args.JsonRestore(),
            ),
        )
        params = _filled(target.params, restored["params"])
        optimizer = jax.tree.unflatten(jax.tree.structure(target.optimizer), restored["optimizer"])
        count = jax.device_put(jax.numpy.asarray(step, target.step.dtype), target.step.sharding)
        return TrainState(params, optimizer, count), restored["data"]

    def close(self) -> None:
        """Waits until everything is written."""
        self.manager.close()


def restore_params(folder: Path, config: Config, sharding: jax.sharding.Sharding | None = None) -> nnx.State:
    """The parameters of a run's latest checkpoint, nothing else of it.

    Raises ValueError, naming the folder, where there is no checkpoint, or its parameters are not those of `config`.
    """
    sharding = sharding or jax.sharding.SingleDeviceSharding(jax.local_devices()[0])
    _, shapes = abstract_model(config)
    target = jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=sharding), shapes)
    pure = nnx.to_pure_dict(target)
    # no manager, which would make folders: the run may be somebody else's, or being trained
    steps = ocp.utils.checkpoint_steps(folder.absolute()) if folder.is_dir() else []
    if not steps:
        raise ValueError(f"{folder} holds no checkpoint: train first")
    saved = folder.absolute() / str(max(steps)) / "params"
    _check_saved(saved, pure)
    with ocp.StandardCheckpointer() as checkpointer:
        return _filled(target, checkpointer.restore(saved, pure))


def save_params(folder: Path, params: nnx.State, step: int = 0) -> None:
    """Writes parameters alone, as checkpoint `step` of a run that can be embedded with, and not resumed."""
    with ocp.CheckpointManager(folder.absolute()) as manager:
        manager.save(step, args=ocp.args.Composite(params=ocp.args.StandardSave(nnx.to_pure_dict(params))))
        manager.wait_until_finished()


def _check_saved(folder: Path, target: dict[str, Any]) -> None:
    """Raises ValueError where shapes or dtypes differ: Orbax would cast to another dtype without a word."""
    with ocp.StandardCheckpointer() as checkpointer:
        saved = checkpointer.metadata(folder).item_metadata.tree
    found, expected = (
        {".".join(map(str, path)): (tuple(leaf.shape), str(leaf.dtype)) for path, leaf in flat.items()}
        for flat in (cast(dict[tuple, Any], flatten_dict(tree)) for tree in (saved, target))
    )
    different = sorted(name for name in found.keys() | expected.keys() if found.get(name) != expected.get(name))
    if different:
        first = different[0]
        raise ValueError(
            f"{folder} does not fit the run's config in {len(different)} parameters: {first} is"
            f" {found.get(first, 'missing')}, expected {expected.get(first, 'none')}"
        )


def _pure(optimizer) -> list:
    """The optimiser's state as a flat list: its own types are optax's affair, its order is the tree's."""
    return jax.tree.leaves(optimizer)


def _filled(target: nnx.State, values: dict[str, Any]) -> nnx.State:
    nnx.replace_by_pure_dict(target, values)
    return target
