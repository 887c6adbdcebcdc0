"""Save and restore checkpoints with Orbax: parameters, optimizer state, step, position in the data, and scores."""

import json
from pathlib import Path
from typing import Any, Literal, cast

import jax
import orbax.checkpoint as ocp
from flax import nnx
from flax.traverse_util import flatten_dict
from orbax.checkpoint.checkpoint_managers import preservation_policy as policy

from aef_jax.data.store.normalization import Normalization
from aef_jax.run.folder import RunFolder
from aef_jax.run.format import (
    DATA,
    DATA_KEY,
    METRICS,
    NEXT_EXAMPLE,
    OPTIMIZER,
    PARAMS,
    RUN,
    SCORE,
    run_item,
    score_of,
    version_of,
)
from aef_jax.run.optimizer_tree import fill_optimizer, optimizer_tree, tree_from_leaves
from aef_jax.sharding.distributed import agreed_checkpoint
from aef_jax.training.step import TrainState, abstract_model
from configs.config import Config
from configs.serialization.config_json import to_json

Which = Literal["latest", "best"]
"""Which checkpoint of a run: that of the most steps, or that of the lowest validation loss."""


class Checkpointer:
    """Write and read the checkpoints of one run.

    Orbax writes each to a temporary folder and renames it, so an interrupted write leaves no checkpoint. The manager
    keeps the latest `training.keep_last`, the best by validation loss, and all at multiples of `training.keep_every`.

    Args:
        run: the run's folder.
        config: the run's config.
        normalization: the run's statistics.
        data: what identifies the training data; a run can only be continued on the same data.

    Raises:
        ValueError: the processes of a run cannot agree on its latest checkpoint.
    """

    def __init__(self, run: RunFolder, config: Config, normalization: Normalization, data: dict[str, Any]):
        training = config.training
        policies = [
            policy.LatestN(n=training.keep_last),
            policy.BestN(n=1, get_metric_fn=lambda scores: -score_of(scores), keep_checkpoints_without_metrics=False),
        ]
        if training.keep_every:
            policies.append(policy.EveryNSteps(interval_steps=training.keep_every))
        options = ocp.CheckpointManagerOptions(
            preservation_policy=policy.AnyPreservationPolicy(policies),
            best_fn=score_of,  # without it Orbax does not save the scores
            best_mode="min",
            enable_async_checkpointing=True,
        )
        self.manager = ocp.CheckpointManager(run.checkpoints.absolute(), options=options)
        # the manager knows what this host has listed, which may not be what the others have
        self.latest_step = agreed_checkpoint(run.checkpoints, self.manager.latest_step())
        self.batch = training.batch
        self.run = run_item(json.loads(to_json(config)), normalization.as_table(), data)

    def save(self, state: TrainState, score: float | None = None) -> None:
        """Start to write a state in the background, unless its step is saved already.

        Args:
            state: the state after `state.step` steps.
            score: its validation loss, if it was evaluated.
        """
        step = int(state.step)
        if step == self.latest_step:
            return
        self.manager.save(
            step,
            args=ocp.args.Composite(
                **{
                    PARAMS: ocp.args.StandardSave(nnx.to_pure_dict(state.params)),
                    OPTIMIZER: ocp.args.StandardSave(optimizer_tree(state.optimizer)),
                    DATA: ocp.args.JsonSave({NEXT_EXAMPLE: step * self.batch}),
                    RUN: ocp.args.JsonSave(self.run),
                }
            ),
            metrics=None if score is None else {SCORE: score},
        )
        self.latest_step = step

    def restore(self, target: TrainState) -> TrainState:
        """Restore the latest state.

        Args:
            target: abstract state with the shapes, dtypes and shardings to restore to.

        Returns:
            The state, to the bit as it was saved.

        Raises:
            ValueError: there is no checkpoint, it holds parameters alone, its arrays do not fit `target`, it was
                trained on other data, or its position in the data is not that of its step.
        """
        step = self.latest_step
        if step is None:
            raise ValueError(f"{self.manager.directory} holds no checkpoint: train first")
        saved = Path(self.manager.directory) / str(step)
        if not (saved / OPTIMIZER).exists():
            raise ValueError(f"{saved} holds parameters alone, which can be embedded with; training needs a new run")
        items = {name: ocp.args.JsonRestore() for name in (DATA, RUN)}
        texts = self.manager.restore(step, args=ocp.args.Composite(**items))
        if texts[RUN][DATA_KEY] != self.run[DATA_KEY]:
            raise ValueError(f"{saved} was trained on {texts[RUN][DATA_KEY]}, expected {self.run[DATA_KEY]}")
        if texts[DATA] != {NEXT_EXAMPLE: step * self.batch}:
            raise ValueError(f"{saved}: it goes on with {texts[DATA]}, expected example {step * self.batch}")
        has_names = version_of(texts[RUN]) > 1
        params, optimizer = nnx.to_pure_dict(target.params), optimizer_tree(target.optimizer)
        _check_saved(saved / PARAMS, params)
        if has_names:
            _check_saved(saved / OPTIMIZER, optimizer)
        trees = {PARAMS: params, OPTIMIZER: optimizer if has_names else jax.tree.leaves(target.optimizer)}
        items = {name: ocp.args.StandardRestore(tree) for name, tree in trees.items()}
        restored = self.manager.restore(step, args=ocp.args.Composite(**items))
        tree = restored[OPTIMIZER]
        tree = tree if has_names else tree_from_leaves(target.optimizer, tree)
        count = jax.device_put(jax.numpy.asarray(step, target.step.dtype), target.step.sharding)
        return TrainState(_filled(target.params, restored[PARAMS]), fill_optimizer(target.optimizer, tree), count)

    def close(self) -> None:
        """Wait until everything is written."""
        self.manager.close()


def restore_params(
    folder: Path, config: Config, sharding: jax.sharding.Sharding | None = None, which: Which = "latest"
) -> nnx.State:
    """Restore the parameters of a run's checkpoint, and nothing else of it.

    Args:
        folder: the run's folder of checkpoints.
        config: the run's config.
        sharding: where each parameter goes; by default the first local device.
        which: the latest or the best checkpoint.

    Returns:
        The parameters.

    Raises:
        ValueError: there is no checkpoint, or its parameters are not those of `config`.
    """
    sharding = sharding or jax.sharding.SingleDeviceSharding(jax.local_devices()[0])
    _, shapes = abstract_model(config)
    target = jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=sharding), shapes)
    pure = nnx.to_pure_dict(target)
    # no manager, which would make folders: the run may be somebody else's, or being trained
    steps = checkpoint_steps(folder)
    if not steps:
        raise ValueError(f"{folder} holds no checkpoint: train first")
    step = max(steps) if which == "latest" else _best(folder, steps)
    saved = folder.absolute() / str(step) / PARAMS
    _check_saved(saved, pure)
    with ocp.StandardCheckpointer() as checkpointer:
        return _filled(target, checkpointer.restore(saved, pure))


def save_params(folder: Path, params: nnx.State, step: int = 0) -> None:
    """Write parameters alone. Such a run can be embedded with but not continued.

    Args:
        folder: the run's folder of checkpoints.
        params: the parameters.
        step: the number of the checkpoint.
    """
    with ocp.CheckpointManager(folder.absolute()) as manager:
        items = {PARAMS: ocp.args.StandardSave(nnx.to_pure_dict(params))}
        manager.save(step, args=ocp.args.Composite(**items))
        manager.wait_until_finished()


def checkpoint_steps(folder: Path) -> list[int]:
    """List the checkpoints in a folder without creating or changing anything.

    Args:
        folder: the run's folder of checkpoints, which need not exist.

    Returns:
        The steps of all checkpoints.
    """
    return ocp.utils.checkpoint_steps(folder.absolute()) if folder.is_dir() else []


def _best(folder: Path, steps: list[int]) -> int:
    scores = {}
    for step in steps:
        file = folder / str(step) / METRICS / "metrics"
        if file.is_file():
            scores[step] = float(score_of(json.loads(file.read_text())))
    if not scores:
        raise ValueError(f"{folder}: no checkpoint has a validation loss, so none is the best")
    return min(scores, key=lambda step: scores[step])


def _check_saved(folder: Path, target: dict[str, Any]) -> None:
    """Raise ValueError if shapes or dtypes differ: Orbax would cast to another dtype without a message."""
    with ocp.StandardCheckpointer() as checkpointer:
        saved = checkpointer.metadata(folder).item_metadata.tree
    actual, expected = (
        {".".join(map(str, path)): (tuple(leaf.shape), str(leaf.dtype)) for path, leaf in flat.items()}
        for flat in (cast(dict[tuple, Any], flatten_dict(tree)) for tree in (saved, target))
    )
    different = sorted(name for name in actual.keys() | expected.keys() if actual.get(name) != expected.get(name))
    if different:
        first = different[0]
        raise ValueError(
            f"{folder} does not fit the run's config in {len(different)} arrays: {first} is"
            f" {actual.get(first, 'missing')}, expected {expected.get(first, 'none')}"
        )


def _filled(target: nnx.State, values: dict[str, Any]) -> nnx.State:
    nnx.replace_by_pure_dict(target, values)
    return target
