"""Checkpoints through Orbax: parameters, optimiser, step and the data's position in one composite."""

from pathlib import Path
from typing import Any

import jax
import orbax.checkpoint as ocp
from flax import nnx

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
        """The latest state, onto the shapes and shardings of `target`, and the data's position."""
        step = self.latest_step
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
        self.manager.wait_until_finished()
        self.manager.close()


def restore_params(folder: Path, config: Config, sharding: jax.sharding.Sharding | None = None) -> nnx.State:
    """The parameters of a run's latest checkpoint, nothing else of it.

    Raises ValueError, naming the folder, where there is no checkpoint.
    """
    sharding = sharding or jax.sharding.SingleDeviceSharding(jax.devices()[0])
    _, shapes = abstract_model(config)
    target = jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=sharding), shapes)
    with ocp.CheckpointManager(folder.absolute()) as manager:
        step = manager.latest_step() if folder.exists() else None
        if step is None:
            raise ValueError(f"{folder} holds no checkpoint: train first")
        arguments = ocp.args.Composite(params=ocp.args.StandardRestore(nnx.to_pure_dict(target)))
        return _filled(target, manager.restore(step, args=arguments)["params"])


def save_params(folder: Path, params: nnx.State, step: int = 0) -> None:
    """Writes parameters alone, as checkpoint `step` of a run that can be embedded with, and not resumed."""
    with ocp.CheckpointManager(folder.absolute()) as manager:
        manager.save(step, args=ocp.args.Composite(params=ocp.args.StandardSave(nnx.to_pure_dict(params))))
        manager.wait_until_finished()


def _pure(optimizer) -> list:
    """The optimiser's state as a flat list: its own types are optax's affair, its order is the tree's."""
    return jax.tree.leaves(optimizer)


def _filled(target: nnx.State, values: dict[str, Any]) -> nnx.State:
    nnx.replace_by_pure_dict(target, values)
    return target
