"""One checkpoint of a JAX run, tensor by tensor, by PyTorch's names and in its layout.

Arrays are read to the host, whole, and exactly as they were saved, whatever devices they were sharded over.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any

import jax
import numpy as np
import orbax.checkpoint as ocp
from flax import nnx
from jaxtyping import Shaped

from aef_jax.run.folder import RunFolder
from parity.aef.conversion.metadata import CheckpointMetadata, Training
from parity.aef.conversion.optimizer_state import OptimizerState
from parity.aef.model import abstract_jax
from parity.files.contiguous import contiguous
from parity.files.digest import Digests, verify
from parity.files.leaves_reader import LeavesReader
from parity.files.read_ahead import ReadAhead
from parity.files.weights_file import are_digests
from parity.mapping.model_map import dotted
from parity.mapping.spec import Spec, WeightsError, check_specs
from parity.mapping.weights import ParamLink, param_links, state_specs

MANIFEST = "manifest"
"""The item of a checkpoint with the checksum of each tensor, in PyTorch's layout."""
Leaf = tuple[str, int]
"""An item of the checkpoint, and which of its leaves."""
Group = tuple[Leaf, ...]
"""Leaves of one item that are read together."""
GROUP = 64 * 2**20
"""Bytes of a group of more than one leaf: a read takes as long as it takes to decompress so many."""


class JaxCheckpoint:
    """The latest checkpoint of a run's folder, or RUN/checkpoints/STEP.

    `params` and `moments` say what tensors there are; there may be no moments. Raises ValueError where the path is
    neither or cannot be read, WeightsError where the parameters or moments are not exactly those of the run's config.
    """

    def __init__(self, path: Path):
        self.path = path
        self.folder, self.step = _found(path)
        self.checkpoint = self.folder.checkpoints.absolute() / str(self.step)
        self.config = self.folder.read_config()
        self.structure = abstract_jax(self.config)
        self.params: dict[str, Spec] = {}
        self.moments: dict[str, Spec] = {}
        self._readers: dict[str, LeavesReader] = {}
        self._where: dict[str, tuple[Leaf, ParamLink]] = {}
        with _told(self.checkpoint):
            twin_of = self._add_params()
            if (self.checkpoint / "optimizer").exists():
                self._add_moments(twin_of)
        groups = self._groups()
        self._group_of = {leaf: group for group in groups for leaf in group}
        self._read_ahead = ReadAhead(groups, self._read)

    def tensor(self, name: str) -> Shaped[np.ndarray, "..."]:
        """One tensor. Fast where they are asked for in order. Raises ValueError where its checksum is wrong."""
        leaf, param_link = self._where[name]
        array = self._read_ahead[self._group_of[leaf]][leaf[1]]
        array = contiguous(param_link.layout.to_torch(param_link.select(array)))
        if self.digests is not None:
            verify(self.checkpoint, name, array, self.digests)
        return array

    def digest(self, name: str) -> str | None:
        """The checksum that the tensor was written with, where there is one."""
        return None if self.digests is None else self.digests[name]

    @cached_property
    def digests(self) -> Digests | None:
        """The manifest, which the checkpoints of the trainer itself have not."""
        digests = self._json(MANIFEST)
        if digests is not None and not are_digests(digests, self._where):
            raise ValueError(f"{self.checkpoint}: its {MANIFEST} does not list exactly the tensors that it holds")
        return digests

    @cached_property
    def saved(self) -> CheckpointMetadata:
        """What goes with the tensors."""
        normalization = self.folder.normalization_path
        text = normalization.read_text() if normalization.exists() else None
        training = None
        if self.moments:
            values = self._read_counters()
            about, position, scores = (self._json(item) for item in ("run", "data", "metrics"))
            if about is None or position is None:
                raise ValueError(f"{self.checkpoint} holds moments, and not what they were trained on")
            data = about.get("data")
            if not isinstance(data, dict):
                raise ValueError(
                    f"{self._file('run')} does not say what was trained on: its data is {data!r}, expected an object"
                )
            training = Training(values, position, data, scores or {})
        return CheckpointMetadata(self.folder.config_path.read_text(), text, self.step, training)

    @cached_property
    def optimizer(self) -> OptimizerState:
        return OptimizerState.of(self.config, self.structure)

    def _add_params(self) -> dict[str, ParamLink]:
        """Returns where each parameter is in JAX, by PyTorch's name."""
        reader = self._readers["params"] = LeavesReader(self.checkpoint / "params")
        check_specs(state_specs(reader.metadata), state_specs(nnx.state(self.structure, nnx.Param)))
        # only now: one for each block, of which the config may want absurdly many
        twin_of = {param_link.name: param_link for param_link in param_links(self.structure)}
        self.params |= {name: param_link.spec for name, param_link in twin_of.items()}
        leaves = jax.tree_util.tree_flatten_with_path(reader.metadata)[0]
        places = {dotted(tuple(key.key for key in path)): place for place, (path, _) in enumerate(leaves)}
        self._where |= {
            name: (("params", places[dotted(param_link.path)]), param_link) for name, param_link in twin_of.items()
        }
        return twin_of

    def _add_moments(self, twin_of: dict[str, ParamLink]) -> None:
        reader = self._readers["optimizer"] = LeavesReader(self.checkpoint / "optimizer")
        numbered = lambda leaves: {f"optimizer.{place}": Spec.of(leaf) for place, leaf in enumerate(leaves)}  # noqa: E731
        check_specs(numbered(reader.metadata), numbered(self.optimizer.leaves))
        for moment, places in self.optimizer.moments.items():
            for name, param_link in twin_of.items():
                place = places[dotted(param_link.path)]
                spec = Spec(param_link.spec.shape, self.optimizer.leaves[place].dtype)
                self.moments[f"{moment}.{name}"] = spec
                self._where[f"{moment}.{name}"] = ("optimizer", place), param_link

    def _groups(self) -> list[Group]:
        """All leaves, in the order of the tensors."""
        specs, sizes = self.params | self.moments, {}
        for name, (leaf, _) in self._where.items():
            sizes[leaf] = sizes.get(leaf, 0) + specs[name].nbytes
        groups: list[list[Leaf]] = []
        for leaf, size in sizes.items():
            last = groups[-1] if groups else [("", 0)]
            if last[0][0] != leaf[0] or size + sum(sizes[one] for one in last) > GROUP:
                groups.append([])
            groups[-1].append(leaf)
        return [tuple(group) for group in groups]

    def _read(self, group: Group) -> dict[int, Shaped[np.ndarray, "..."]]:
        item = group[0][0]
        with _told(self.checkpoint):
            return self._readers[item].read([place for _, place in group])

    def _read_counters(self) -> dict[str, Any]:
        places = self.optimizer.counters
        with _told(self.checkpoint):
            leaves = self._readers["optimizer"].read(places.values())
        return {name: leaves[place].item() for name, place in places.items()}

    def _file(self, item: str) -> Path:
        return self.checkpoint / item / ("metrics" if item == "metrics" else "metadata")

    def _json(self, item: str) -> dict[str, Any] | None:
        """A JSON item of the checkpoint; None where it has none. Raises ValueError where it is no object."""
        file = self._file(item)
        if not file.is_file():
            return None
        try:
            tree = json.loads(file.read_text())
        except (ValueError, RecursionError) as error:
            raise ValueError(f"{file} cannot be read: {error}") from None
        if not isinstance(tree, dict):
            raise ValueError(f"{file} is not the JSON of an object")
        return tree


def is_run(path: Path) -> bool:
    """Whether a path looks like a run's folder, or like one of its checkpoints."""
    return _folder(path).started and (RunFolder(path).started or path.parent.name == "checkpoints")


def _folder(path: Path) -> RunFolder:
    folder = RunFolder(path)
    return RunFolder(path.parent.parent) if not folder.started and path.parent.name == "checkpoints" else folder


def _found(path: Path) -> tuple[RunFolder, int]:
    """The run, and the step of the checkpoint that is meant."""
    folder = _folder(path)
    steps = ocp.utils.checkpoint_steps(folder.checkpoints.absolute()) if folder.checkpoints.is_dir() else []
    if not steps:
        raise ValueError(f"{folder.checkpoints} holds no checkpoint")
    if folder.path != path and path.name not in map(str, steps):
        raise ValueError(f"{path} is no checkpoint, expected one of the steps {sorted(steps)}")
    return folder, max(steps) if folder.path == path else int(path.name)


@contextmanager
def _told(checkpoint: Path) -> Iterator[None]:
    try:
        yield
    except WeightsError:
        raise
    except Exception as error:  # whatever Orbax and its storage raise for a damaged file
        reason = str(error).strip().partition("\n")[0] or type(error).__name__
        raise ValueError(f"{checkpoint} cannot be read: {reason}") from error
