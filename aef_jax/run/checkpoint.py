"""Save and restore checkpoints with Orbax: parameters, optimizer state, step, position in the data, and scores."""

import json
import math
from pathlib import Path
from typing import Any

import jax
import orbax.checkpoint as ocp
from flax import nnx
from orbax.checkpoint.checkpoint_managers import preservation_policy as policy

from aef_jax.data.store.normalization import Normalization
from aef_jax.run.checksums import ChecksummedPath
from aef_jax.run.folder import RunFolder
from aef_jax.run.format import (
    DATA,
    DATA_KEY,
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
from aef_jax.run.steps import Which, find_step, read_json_item, reading, require_scores, require_whole
from aef_jax.sharding.distributed import agreed_checkpoint, on_first
from aef_jax.training.step import TrainState, abstract_model
from configs.config import Config
from configs.serialization.config_json import to_json
from configs.serialization.printable import printable_value


class Checkpointer:
    """Write and read the checkpoints of one run.

    Orbax writes each to a temporary folder and renames it, so an interrupted write leaves no checkpoint; its checksums
    are written last. The manager keeps the latest `training.keep_last`, the best by validation loss, and all at
    multiples of `training.keep_every`.

    Args:
        run: the run's folder.
        config: the run's config.
        normalization: the run's statistics.
        data: what identifies the training data; a run can only be continued on the same data.

    Raises:
        ValueError: the processes of a run cannot agree on its latest checkpoint, or a validation loss is damaged.
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
            temporary_path_class=ChecksummedPath,
            cleanup_tmp_directories=True,  # a folder is trained in by one command at a time
        )
        require_scores(run.checkpoints)  # the manager reads them all
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
            metrics={SCORE: score} if score is not None and math.isfinite(score) else None,  # JSON has no NaN
        )
        self.latest_step = step

    def restore(self, target: TrainState) -> TrainState:
        """Restore the latest state.

        Args:
            target: abstract state with the shapes, dtypes and shardings to restore to.

        Returns:
            The state, to the bit as it was saved.

        Raises:
            ValueError: there is no checkpoint, it is damaged or holds parameters alone, its arrays do not fit `target`,
                it was trained on other data, or its position in the data is not that of its step.
        """
        step = self.latest_step
        folder = Path(self.manager.directory)
        if step is None:
            raise ValueError(f"{folder} holds no checkpoint: train first")
        on_first(lambda: require_whole(folder, step))
        with reading(folder, step, ()) as saved:
            run, position = (read_json_item(saved, item) for item in (RUN, DATA))
            arrays = {item: _specs(saved / item) for item in (PARAMS, OPTIMIZER) if (saved / item).exists()}
        if OPTIMIZER not in arrays or run is None:
            raise ValueError(f"{saved} holds parameters alone, which can be embedded with; training needs a new run")
        if run.get(DATA_KEY) != self.run[DATA_KEY]:
            raise ValueError(
                f"{saved} was trained on {printable_value(run.get(DATA_KEY))}, expected {self.run[DATA_KEY]}"
            )
        if position != {NEXT_EXAMPLE: step * self.batch}:
            raise ValueError(
                f"{saved}: it goes on with {printable_value(position)}, expected example {step * self.batch}"
            )
        has_names = version_of(run) > 1
        params, optimizer = nnx.to_pure_dict(target.params), optimizer_tree(target.optimizer)
        _check_specs(saved / PARAMS, arrays.get(PARAMS, {}), params)
        if has_names:
            _check_specs(saved / OPTIMIZER, arrays[OPTIMIZER], optimizer)
        trees = {PARAMS: params, OPTIMIZER: optimizer if has_names else jax.tree.leaves(target.optimizer)}
        items = {name: ocp.args.StandardRestore(tree) for name, tree in trees.items()}
        with reading(folder, step, ()):
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
        which: the checkpoint.

    Returns:
        The parameters.

    Raises:
        ValueError: there is no such checkpoint, it is damaged, or its parameters are not those of `config`.
    """
    sharding = sharding or jax.sharding.SingleDeviceSharding(jax.local_devices()[0])
    _, shapes = abstract_model(config)
    target = jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=sharding), shapes)
    pure = nnx.to_pure_dict(target)
    # no manager, which would make folders: the run may be somebody else's, or being trained
    step = find_step(folder, which)
    with reading(folder, step, {PARAMS}) as checkpoint:
        specs = _specs(checkpoint / PARAMS)
    _check_specs(checkpoint / PARAMS, specs, pure)
    with reading(folder, step, ()), ocp.StandardCheckpointer() as checkpointer:  # verified above
        restored = checkpointer.restore(checkpoint / PARAMS, pure)
    return _filled(target, restored)


def save_params(folder: Path, params: nnx.State, step: int = 0) -> None:
    """Write parameters alone. Such a run can be embedded with but not continued.

    Args:
        folder: the run's folder of checkpoints.
        params: the parameters.
        step: the number of the checkpoint.
    """
    options = ocp.CheckpointManagerOptions(temporary_path_class=ChecksummedPath)
    with ocp.CheckpointManager(folder.absolute(), options=options) as manager:
        items = {PARAMS: ocp.args.StandardSave(nnx.to_pure_dict(params))}
        manager.save(step, args=ocp.args.Composite(**items))
        manager.wait_until_finished()


def _specs(folder: Path) -> dict[str, Any]:
    """Return the shape and dtype of each array of an item, by its dotted name."""
    with ocp.StandardCheckpointer() as checkpointer:
        return _named_specs(checkpointer.metadata(folder).item_metadata.tree)


def named_leaves(tree: Any) -> dict[str, Any]:
    """List the leaves of a tree by their dotted names.

    Args:
        tree: nested dictionaries.

    Returns:
        The leaves by name.
    """
    leaves = jax.tree_util.tree_leaves_with_path(tree)
    return {jax.tree_util.keystr(path, simple=True, separator="."): leaf for path, leaf in leaves}


def _named_specs(tree: Any) -> dict[str, Any]:
    return {name: (tuple(leaf.shape), str(leaf.dtype)) for name, leaf in named_leaves(tree).items()}


def _check_specs(folder: Path, actual: dict[str, Any], target: dict[str, Any]) -> None:
    """Raise ValueError if shapes or dtypes differ: Orbax would cast to another dtype without a message."""
    expected = _named_specs(target)
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
