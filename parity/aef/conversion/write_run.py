"""Writes a checkpoint of PyTorch's as the folder of a JAX run, part by part."""

import json
from collections.abc import Callable
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
import orbax.checkpoint as ocp
from flax import nnx, traverse_util
from jaxtyping import Shaped

from aef_jax.run.folder import RunFolder
from parity.aef.conversion.jax_checkpoint import MANIFEST
from parity.aef.conversion.metadata import CheckpointMetadata
from parity.aef.conversion.optimizer_state import OptimizerState
from parity.aef.conversion.torch_checkpoint import TorchCheckpoint
from parity.aef.model import abstract_jax
from parity.files.contiguous import fill
from parity.files.lazy_arrays import LazyArray, LazyTree
from parity.files.replacing_folder import check_folder, replacing_folder
from parity.mapping.model_map import Path as JaxPath
from parity.mapping.model_map import dotted
from parity.mapping.spec import Spec
from parity.mapping.weights import ParamLink, param_links

ReadTensor = Callable[[str], Shaped[np.ndarray, "..."]]


def check_run_target(target: Path, overwrite: bool) -> None:
    """Raises ValueError where a run's folder is not to take the place of what is there."""
    check_folder(target, overwrite, _is_ours)


def write_run(
    target: Path, source: TorchCheckpoint, tensor: ReadTensor, digests: dict[str, str], overwrite: bool
) -> None:
    """Writes what `tensor` gives for the names of `source` as the one checkpoint of a run.

    It can be embedded with; and trained on, where `source` has moments. `digests` is filled by `tensor` with the
    checksum of what it gave. The folder appears whole or not at all; with `overwrite` it takes the place of one that
    holds nothing but such a run. Raises ValueError where it cannot, or the normalisation is none.
    """
    with replacing_folder(target, overwrite, _is_ours) as temporary:
        folder = RunFolder(temporary)
        _write_texts(folder, source.saved)
        _write_checkpoint(folder.checkpoints.absolute(), source, tensor)
        manifest = folder.checkpoints / str(source.saved.step) / MANIFEST / "metadata"
        manifest.write_text(json.dumps(digests))  # known only now that all is written


def _is_ours(name: str) -> bool:
    run = RunFolder(Path())
    return name in (path.name for path in (run.config_path, run.normalization_path, run.checkpoints))


def _write_texts(folder: RunFolder, saved: CheckpointMetadata) -> None:
    folder.config_path.write_text(saved.config)
    if saved.normalization is not None:
        folder.normalization_path.write_text(saved.normalization)
        try:
            folder.read_normalization()
        except (ValueError, RecursionError) as error:
            raise ValueError("what the weights carry as their normalisation is not one of a run") from error


def _write_checkpoint(folder: Path, source: TorchCheckpoint, tensor: ReadTensor) -> None:
    saved, trees = source.saved, _trees(source, tensor)
    texts: dict[str, Any] = {MANIFEST: {}}
    scores = {}
    if saved.training is not None and source.moments:
        normalization = None if saved.normalization is None else json.loads(saved.normalization)
        about = {"config": json.loads(saved.config), "normalization": normalization, "data": saved.training.data}
        texts |= {"data": saved.training.position, "run": about}
        scores = saved.training.scores
    args = {name: tree.args for name, tree in trees.items()} | {k: ocp.args.JsonSave(v) for k, v in texts.items()}
    handlers = {name: tree.handler for name, tree in trees.items()} | {k: ocp.JsonCheckpointHandler() for k in texts}
    options = ocp.CheckpointManagerOptions(
        enable_async_checkpointing=False,
        best_fn=lambda scores: 0.0,  # without one Orbax does not save the scores
    )
    try:
        with ocp.CheckpointManager(folder, item_handlers=handlers, options=options) as manager:
            manager.save(saved.step, args=ocp.args.Composite(**args), metrics=scores or None)
    except Exception as error:
        for tree in trees.values():
            tree.check()  # the cause: Orbax itself only finds that arrays are missing
        raise OSError(f"{folder} cannot be written: {str(error).strip().partition(chr(10))[0]}") from error


def _trees(source: TorchCheckpoint, tensor: ReadTensor) -> dict[str, LazyTree]:
    """The items `params` and, where there are moments, `optimizer`: a list of the optimiser's leaves."""
    structure = abstract_jax(source.config)
    leaves = traverse_util.flatten_dict(nnx.to_pure_dict(nnx.state(structure, nnx.Param)))
    of_leaf: dict[JaxPath, list[ParamLink]] = {path: [] for path in leaves}
    for param_link in param_links(structure):
        of_leaf[param_link.path].append(param_link)
    params = {path: _lazy(Spec.of(leaf), of_leaf[path], tensor, "") for path, leaf in leaves.items()}
    turn = Lock()
    trees = {"params": LazyTree(traverse_util.unflatten_dict(params), turn)}
    if source.moments and source.saved.training is not None:
        state = OptimizerState.of(source.config, structure)
        made: dict[int, LazyArray] = {}
        for moment, places in state.moments.items():
            for path, pairs in of_leaf.items():
                place = places[dotted(path)]
                made[place] = _lazy(state.leaves[place], pairs, tensor, f"{moment}.")
        for name, place in state.counters.items():
            value = state.counter(name, source.saved.training.counters[name])
            made[place] = LazyArray(state.leaves[place], lambda _, array, value=value: np.copyto(array, value))
        trees["optimizer"] = LazyTree([made[place] for place in range(len(state.leaves))], turn)
    return trees


def _lazy(spec: Spec, pairs: list[ParamLink], tensor: ReadTensor, prefix: str) -> LazyArray:
    """The JAX array that `pairs` make up: one tensor, or one for each index of its stacked axes."""
    stacked = bool(pairs[0].index)

    def fill_entries(entries: slice, array: Shaped[np.ndarray, "..."]) -> None:
        there = range(*entries.indices(spec.shape[0])) if stacked else range(0)
        for param_link in pairs:
            if stacked and param_link.index[0] not in there:
                continue
            index = (param_link.index[0] - there[0], *param_link.index[1:]) if stacked else ()
            fill(array[(*index, ...)], param_link.layout.to_jax(tensor(f"{prefix}{param_link.name}")))

    return LazyArray(spec, fill_entries, stacked)
