"""Write a checkpoint of PyTorch's as the folder of a JAX run."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from flax import nnx, traverse_util
from jaxtyping import Shaped

from aef_jax.files.atomic import replace_folder, require_folder_target
from aef_jax.run.checksums import write_checksums
from aef_jax.run.folder import CONFIG_FILE, NORMALIZATION_FILES, RunFolder
from aef_jax.run.format import DATA, MANIFEST, METRICS, OPTIMIZER, PARAMS, RUN, run_item
from parity.aef.conversion.metadata import CheckpointMetadata
from parity.aef.conversion.optimizer_state import MOMENTS, OptimizerState
from parity.aef.conversion.torch_checkpoint import TorchCheckpoint
from parity.aef.model import abstract_jax
from parity.files.orbax_tree import save_json, save_tree
from parity.mapping.model_map import dotted
from parity.mapping.spec import Spec
from parity.mapping.weights import param_links

ReadTensor = Callable[[str], Shaped[np.ndarray, "..."]]


def require_run_target(target: Path, overwrite: bool) -> None:
    """Refuse to write a run over what must not be lost.

    Args:
        target: the run's folder.
        overwrite: whether a converted run may be replaced.

    Raises:
        ValueError: something is there and is not to be overwritten, or holds more than a converted run.
    """
    require_folder_target(target, overwrite, _is_of_run)


def write_run(
    target: Path, source: TorchCheckpoint, tensor: ReadTensor, digests: Mapping[str, str], overwrite: bool
) -> None:
    """Write PyTorch's tensors as the one checkpoint of a run.

    Such a run can be embedded with, and continued if `source` has moments. The folder appears whole or not at all.
    Memory holds the parameters, and after them both moments.

    Args:
        target: the run's folder.
        source: names the tensors and holds everything but them.
        tensor: reads a tensor by its name in PyTorch.
        digests: checksums by name; read after `tensor` has been called for each.
        overwrite: replace a folder that holds nothing but a converted run.

    Raises:
        ValueError: the folder must not be replaced, a tensor is refused, or the statistics are invalid.
        OSError: the folder cannot be written.
    """
    with replace_folder(target, overwrite, _is_of_run) as temporary:
        folder = RunFolder(temporary)
        _write_texts(folder, source.saved)
        checkpoint = folder.checkpoints / str(source.saved.step)
        checkpoint.mkdir(parents=True)
        _save(save_tree, checkpoint / PARAMS, _params(source, tensor))
        if source.moments:
            _save(save_tree, checkpoint / OPTIMIZER, _optimizer(source, tensor))
        texts = _json_items(source.saved) if source.moments else {}
        for item, tree in {**texts, MANIFEST: dict(digests)}.items():
            _save(save_json, checkpoint / item, tree, METRICS if item == METRICS else "metadata")
        write_checksums(checkpoint)


def _is_of_run(name: str) -> bool:
    return name in (CONFIG_FILE, *NORMALIZATION_FILES, RunFolder(Path()).checkpoints.name)


def _write_texts(folder: RunFolder, saved: CheckpointMetadata) -> None:
    folder.config_path.write_text(saved.config)
    if saved.normalization is not None:
        folder.normalization_path.write_text(saved.normalization)
        try:
            folder.read_normalization()
        except ValueError as error:
            raise ValueError("what the weights carry as their normalization is not one of a run") from error


def _json_items(saved: CheckpointMetadata) -> dict[str, Any]:
    """Return the items that training continues with, and the scores if there are any."""
    assert saved.training is not None
    normalization = None if saved.normalization is None else json.loads(saved.normalization)
    items = {DATA: saved.training.position, RUN: run_item(json.loads(saved.config), normalization, saved.training.data)}
    return items | ({METRICS: saved.training.scores} if saved.training.scores else {})


def _params(source: TorchCheckpoint, tensor: ReadTensor) -> dict[str, Any]:
    leaves = traverse_util.flatten_dict(nnx.to_pure_dict(nnx.state(abstract_jax(source.config), nnx.Param)))
    return _filled(source, {dotted(path): Spec.of(leaf) for path, leaf in leaves.items()}, tensor, "")


def _optimizer(source: TorchCheckpoint, tensor: ReadTensor) -> dict[str, Any]:
    assert source.saved.training is not None
    state = OptimizerState.of(source.config, abstract_jax(source.config))
    counters = source.saved.training.counters
    trees = {name: _filled(source, state.moments[moment], tensor, f"{moment}.") for moment, name in MOMENTS.items()}
    return trees | {name: state.counter(name, counters[name]) for name in state.counters}


def _filled(source: TorchCheckpoint, specs: Mapping[str, Spec], tensor: ReadTensor, prefix: str) -> dict[str, Any]:
    """Return a tree of JAX's arrays, each filled from one tensor, or from one for each index of its stacked axes."""
    arrays: dict[tuple, np.ndarray] = {}
    for param_link in param_links(abstract_jax(source.config)):
        if param_link.path not in arrays:
            arrays[param_link.path] = np.empty(*specs[dotted(param_link.path)])
        array = param_link.select(arrays[param_link.path])
        array[...] = param_link.layout.to_jax(tensor(f"{prefix}{param_link.name}"))
    return traverse_util.unflatten_dict(arrays)


def _save(save: Callable[..., None], folder: Path, *arguments: Any) -> None:
    try:
        save(folder, *arguments)
    except Exception as error:
        raise OSError(f"{folder} cannot be written: {str(error).strip().partition(chr(10))[0]}") from error
