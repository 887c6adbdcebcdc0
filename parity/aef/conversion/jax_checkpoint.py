"""One checkpoint of a JAX run, tensor by tensor, by PyTorch's names and in its layout."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any

import jax
import numpy as np
from flax import nnx, traverse_util
from jaxtyping import Shaped

from aef_jax.run.folder import RunFolder
from aef_jax.run.format import DATA, DATA_KEY, MANIFEST, METRICS, OPTIMIZER, PARAMS, RUN, upgrade_scores, version_of
from aef_jax.run.optimizer_tree import tree_from_leaves
from aef_jax.run.steps import checkpoint_steps, read_json_item, require_whole
from configs.serialization.printable import printable, printable_value
from configs.serialization.read_file import read_text
from parity.aef.conversion.metadata import CheckpointMetadata, Training
from parity.aef.conversion.optimizer_state import MOMENTS, OptimizerState
from parity.aef.model import abstract_jax
from parity.files.digest import Digests, verify
from parity.files.orbax_tree import SavedTree
from parity.files.weights_file import are_digests
from parity.mapping.model_map import dotted
from parity.mapping.spec import Spec, WeightsError, check_specs
from parity.mapping.weights import ParamLink, param_links, state_specs


class JaxCheckpoint:
    """The latest checkpoint of a run's folder, or RUN/checkpoints/STEP.

    `params` and `moments` are the specs of its tensors; there may be no moments. Arrays are read to the host, whole,
    exactly as they were saved and whatever devices they were sharded over: all parameters at once, and likewise each
    moment. One of the three is kept in memory at a time, so tensors should be asked for in order.

    Args:
        path: folder of the run or of the checkpoint.

    Raises:
        ValueError: the path is neither, or cannot be read.
        WeightsError: the parameters or moments are not exactly those of the run's config.
    """

    def __init__(self, path: Path):
        self.path = path
        self.folder, self.step = _locate(path)
        self.checkpoint = self.folder.checkpoints.absolute() / str(self.step)
        require_whole(self.folder.checkpoints, self.step)
        self.config = self.folder.read_config()
        self.structure = abstract_jax(self.config)
        self.params: dict[str, Spec] = {}
        self.moments: dict[str, Spec] = {}
        self._items: dict[str, SavedTree] = {}
        self._numbers: dict[str, dict[str, Any]] = {}
        """By item: its tree of names, with the numbers of the leaves."""
        self._links: dict[str, tuple[str, ParamLink]] = {}
        """By tensor: the moment in JAX, or "" for a parameter, and where the tensor is in it."""
        self._loaded: tuple[str, dict[str, Shaped[np.ndarray, ...]]] | None = None
        version_of(self._json(RUN) or {})  # refuse the format of a newer program
        with _readable(self.checkpoint):
            links = self._add_params()
            if (self.checkpoint / OPTIMIZER).exists():
                self._add_moments(links)

    def tensor(self, name: str) -> Shaped[np.ndarray, "..."]:
        """Read one tensor.

        Args:
            name: its name in PyTorch.

        Returns:
            The tensor in PyTorch's layout and C order.

        Raises:
            ValueError: its checksum is wrong, or the checkpoint cannot be read.
        """
        moment, param_link = self._links[name]
        array = param_link.layout.to_torch(param_link.select(self._arrays(moment)[dotted(param_link.path)]))
        array = np.asarray(array, order="C")
        if self.digests is not None:
            verify(self.checkpoint, name, array, self.digests)
        return array

    def digest(self, name: str) -> str | None:
        """Return the checksum with which a tensor was written.

        Args:
            name: the tensor's name in PyTorch.

        Returns:
            The checksum, or None if the checkpoint has none.
        """
        return None if self.digests is None else self.digests[name]

    @cached_property
    def digests(self) -> Digests | None:
        """The checksums of all tensors; None for a checkpoint of the trainer."""
        digests = self._json(MANIFEST)
        if digests is not None and not are_digests(digests, self._links):
            raise ValueError(f"{self.checkpoint}: its {MANIFEST} does not list exactly the tensors that it holds")
        return digests

    @cached_property
    def saved(self) -> CheckpointMetadata:
        """Everything but the tensors."""
        normalization = self.folder.normalization_path
        text = read_text(normalization) if normalization.exists() else None
        training = None
        if self.moments:
            values = self._read_counters()
            run, position, scores = (self._json(item) for item in (RUN, DATA, METRICS))
            if run is None or position is None:
                raise ValueError(f"{self.checkpoint} holds moments, and not what they were trained on")
            data = run.get(DATA_KEY)
            if not isinstance(data, dict):
                raise ValueError(
                    f"{self.checkpoint / RUN}/metadata does not say what was trained on: its data is"
                    f" {printable_value(data)}, expected an object"
                )
            training = Training(values, position, data, upgrade_scores(scores or {}))
        return CheckpointMetadata(read_text(self.folder.config_path), text, self.step, training)

    @cached_property
    def optimizer(self) -> OptimizerState:
        """Shapes and dtypes of the run's optimizer state."""
        return OptimizerState.of(self.config, self.structure)

    def _add_params(self) -> dict[str, ParamLink]:
        """Return where each parameter is in JAX, by PyTorch's name."""
        saved = self._items[PARAMS] = SavedTree(self.checkpoint / PARAMS)
        self._numbers[PARAMS] = saved.numbers
        check_specs(_named_specs(saved, saved.numbers), state_specs(nnx.state(self.structure, nnx.Param)))
        # only now: there is a link for each block, and the config may ask for absurdly many
        links = {param_link.name: param_link for param_link in param_links(self.structure)}
        self.params |= {name: param_link.spec for name, param_link in links.items()}
        self._links |= {name: ("", param_link) for name, param_link in links.items()}
        return links

    def _add_moments(self, links: dict[str, ParamLink]) -> None:
        saved = self._items[OPTIMIZER] = SavedTree(self.checkpoint / OPTIMIZER)
        numbers = saved.numbers
        if isinstance(numbers, list):  # version 1 of the format
            leaves = jax.tree.leaves(self.optimizer.abstract)
            check_specs(_listed(saved.specs), _listed([Spec.of(leaf) for leaf in leaves]))
            numbers = tree_from_leaves(self.optimizer.abstract, numbers)
        expected = dict(self.optimizer.counters)
        for moment, name in MOMENTS.items():
            expected |= {f"{name}.{path}": spec for path, spec in self.optimizer.moments[moment].items()}
        check_specs(_named_specs(saved, numbers), expected)
        self._numbers[OPTIMIZER] = numbers
        for moment, name in MOMENTS.items():
            specs = self.optimizer.moments[moment]
            for torch_name, param_link in links.items():
                spec = Spec(param_link.spec.shape, specs[dotted(param_link.path)].dtype)
                self.moments[f"{moment}.{torch_name}"] = spec
                self._links[f"{moment}.{torch_name}"] = name, param_link

    def _arrays(self, moment: str) -> dict[str, Shaped[np.ndarray, "..."]]:
        """Return the arrays of a moment, or of the parameters for "", by their paths in JAX."""
        if self._loaded is None or self._loaded[0] != moment:
            self._loaded = None  # its memory is free before the next is read
            item = OPTIMIZER if moment else PARAMS
            numbers = _flat(self._numbers[item][moment] if moment else self._numbers[item])
            with _readable(self.checkpoint):
                arrays = self._items[item].read(numbers.values())
            self._loaded = moment, {path: arrays[number] for path, number in numbers.items()}
        return self._loaded[1]

    def _read_counters(self) -> dict[str, Any]:
        numbers = {name: self._numbers[OPTIMIZER][name] for name in self.optimizer.counters}
        with _readable(self.checkpoint):
            arrays = self._items[OPTIMIZER].read(numbers.values())
        return {name: arrays[number].item() for name, number in numbers.items()}

    def _json(self, item: str) -> dict[str, Any] | None:
        return read_json_item(self.checkpoint, item)


def is_run(path: Path) -> bool:
    """Decide whether a path looks like a run's folder, or like one of its checkpoints.

    Args:
        path: any path.

    Returns:
        Whether there is a run's config in the folder, or in the run's folder above a checkpoint.
    """
    return _run_folder(path).started and (RunFolder(path).started or path.parent.name == "checkpoints")


def _run_folder(path: Path) -> RunFolder:
    folder = RunFolder(path)
    return RunFolder(path.parent.parent) if not folder.started and path.parent.name == "checkpoints" else folder


def _locate(path: Path) -> tuple[RunFolder, int]:
    """Return the run and the checkpoint's step."""
    folder = _run_folder(path)
    steps = checkpoint_steps(folder.checkpoints)
    if not steps:
        raise ValueError(f"{folder.checkpoints} holds no checkpoint")
    if folder.path != path and path.name not in map(str, steps):
        raise ValueError(f"{path} is no checkpoint, expected one of the steps {sorted(steps)}")
    return folder, max(steps) if folder.path == path else int(path.name)


def _flat(tree: Any) -> dict[str, Any]:
    return {dotted(path): leaf for path, leaf in traverse_util.flatten_dict(tree).items()}


def _named_specs(saved: SavedTree, numbers: Any) -> dict[str, Spec]:
    named = _flat(numbers) if isinstance(numbers, dict) else {"": 0}
    return {path: saved.specs[number] for path, number in named.items()}


def _listed(specs: list[Spec]) -> dict[str, Spec]:
    return {f"{OPTIMIZER}.{number}": spec for number, spec in enumerate(specs)}


@contextmanager
def _readable(checkpoint: Path) -> Iterator[None]:
    """Turn whatever Orbax and its storage raise for a damaged file into a ValueError that names the checkpoint."""
    try:
        yield
    except WeightsError:
        raise
    except Exception as error:
        reason = str(error).strip().partition("\n")[0] or type(error).__name__
        raise ValueError(f"{checkpoint} cannot be read: {printable(reason, 400)}") from error
