"""Checkpoints through Orbax: all that a run is, in one composite.

Parameters, the optimiser's state, the step, the data's position, the config and the normalisation; and the held-out
loss where it was taken at that step.
"""

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
from aef_jax.sharding.distributed import agreed_checkpoint
from aef_jax.training.step import TrainState, abstract_model
from configs.config import Config
from configs.serialization.config_json import to_json

Which = Literal["latest", "best"]
"""Of a run's checkpoints: the one of the most steps, or that of the lowest held-out loss."""

SCORE = "heldout"


class Checkpointer:
    """The checkpoints of one run. Each is written aside and then renamed, so that a broken write is never seen.

    Kept are the latest few, the best by held-out loss, and for good those at multiples of `training.keep_every`.
    """

    def __init__(self, run: RunFolder, config: Config, normalization: Normalization, data: dict[str, Any]):
        """`data` says what is trained on, which must be the same where a run goes on.

        Raises ValueError where the processes of a run cannot agree on its latest checkpoint.
        """
        kept = config.training
        policies = [
            policy.LatestN(n=kept.keep_last),
            policy.BestN(n=1, get_metric_fn=lambda scores: -scores[SCORE], keep_checkpoints_without_metrics=False),
        ]
        if kept.keep_every:
            policies.append(policy.EveryNSteps(interval_steps=kept.keep_every))
        options = ocp.CheckpointManagerOptions(
            preservation_policy=policy.AnyPreservationPolicy(policies),
            best_fn=lambda scores: scores[SCORE],  # without it Orbax does not save the scores
            best_mode="min",
            enable_async_checkpointing=True,
        )
        self.manager = ocp.CheckpointManager(run.checkpoints.absolute(), options=options)
        # the manager knows what this host has listed, which may not be what the others have
        self.latest_step = agreed_checkpoint(run.checkpoints, self.manager.latest_step())
        self.batch = config.training.batch
        self.about = {"config": json.loads(to_json(config)), "normalization": normalization.as_table(), "data": data}

    def save(self, state: TrainState, score: float | None = None) -> None:
        """Starts writing the state of `step` steps done; unless that step is there already.

        `score` is its held-out loss, where there is one.
        """
        step = int(state.step)
        if step == self.latest_step:
            return
        self.manager.save(
            step,
            args=ocp.args.Composite(
                params=ocp.args.StandardSave(nnx.to_pure_dict(state.params)),
                optimizer=ocp.args.StandardSave(_pure(state.optimizer)),
                data=ocp.args.JsonSave({"next_example": step * self.batch}),
                run=ocp.args.JsonSave(self.about),
            ),
            metrics=None if score is None else {SCORE: score},
        )
        self.latest_step = step

    def restore(self, target: TrainState) -> TrainState:
        """The latest state, onto the shapes and shardings of `target`.

        Raises ValueError where there is none, its parameters are not those of `target`, or it was saved at another
        place in the data than where its step would be.
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
                run=ocp.args.JsonRestore(),
            ),
        )
        params = _filled(target.params, restored["params"])
        optimizer = jax.tree.unflatten(jax.tree.structure(target.optimizer), restored["optimizer"])
        count = jax.device_put(jax.numpy.asarray(step, target.step.dtype), target.step.sharding)
        if restored["run"]["data"] != self.about["data"]:
            raise ValueError(f"{saved} was trained on {restored['run']['data']}, expected {self.about['data']}")
        if restored["data"] != {"next_example": step * self.batch}:
            raise ValueError(f"{saved}: it goes on with {restored['data']}, expected example {step * self.batch}")
        return TrainState(params, optimizer, count)

    def close(self) -> None:
        """Waits until everything is written."""
        self.manager.close()


def restore_params(
    folder: Path, config: Config, sharding: jax.sharding.Sharding | None = None, which: Which = "latest"
) -> nnx.State:
    """The parameters of a run's latest or best checkpoint, nothing else of it.

    Raises ValueError, naming the folder, where there is none, or its parameters are not those of `config`.
    """
    sharding = sharding or jax.sharding.SingleDeviceSharding(jax.local_devices()[0])
    _, shapes = abstract_model(config)
    target = jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=sharding), shapes)
    pure = nnx.to_pure_dict(target)
    # no manager, which would make folders: the run may be somebody else's, or being trained
    steps = ocp.utils.checkpoint_steps(folder.absolute()) if folder.is_dir() else []
    if not steps:
        raise ValueError(f"{folder} holds no checkpoint: train first")
    step = max(steps) if which == "latest" else _best(folder, steps)
    saved = folder.absolute() / str(step) / "params"
    _check_saved(saved, pure)
    with ocp.StandardCheckpointer() as checkpointer:
        return _filled(target, checkpointer.restore(saved, pure))


def _best(folder: Path, steps: list[int]) -> int:
    scores = {}
    for step in steps:
        file = folder / str(step) / "metrics" / "metrics"
        if file.is_file():
            scores[step] = float(json.loads(file.read_text())[SCORE])
    if not scores:
        raise ValueError(f"{folder}: no checkpoint has a held-out loss by which it could be the best")
    return min(scores, key=lambda step: scores[step])


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
