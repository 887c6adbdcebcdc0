"""A checkpoint on the PyTorch side: a weights file with parameters, or a folder with Adam's moments beside them.

The folder holds `model.safetensors` and `optimizer.safetensors`, each in shards with an index where it is large. The
moments of the parameter NAME are `exp_avg.NAME` and `exp_avg_sq.NAME`, as torch.optim.Adam calls them.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from types import MappingProxyType

import numpy as np
from jaxtyping import Shaped

from aef_jax.files.atomic import replacing
from configs.config import Config
from parity.aef.conversion.metadata import CheckpointMetadata
from parity.aef.conversion.optimizer_state import MOMENTS, OptimizerState
from parity.aef.model import abstract_jax
from parity.files.cast import cast_specs
from parity.files.digest import Digests
from parity.files.replacing_folder import check_file, check_folder, replacing_folder
from parity.files.weights_file import SUFFIX
from parity.files.weights_folder import INDEX, ShardsWriter, Weights, has_weights
from parity.files.weights_writer import WeightsWriter
from parity.mapping.spec import Spec, WeightsError, check_specs, printable
from parity.mapping.weights import param_links

MODEL, OPTIMIZER = "model", "optimizer"
SHARD_SIZE = 2 * 10**9
"""Bytes."""
AT_ONCE = 4
"""Tensors that are read, checked and written at a time: as many as there are in memory."""
NO_DIGESTS: Digests = MappingProxyType({})


class TorchCheckpoint:
    """A weights file, or a folder of weights; what goes with them is asked for where it is needed.

    `params` and `moments` say what tensors there are; there may be no moments. Raises ValueError where a file is
    damaged, or what lies in the folder was not written together.
    """

    def __init__(self, path: Path):
        self.path = path
        self._weights = [Weights.open(path, MODEL)]
        if path.is_dir() and has_weights(path, OPTIMIZER):
            self._weights.append(Weights.open(path, OPTIMIZER))
            if self._weights[0].metadata != self._weights[1].metadata:
                raise ValueError(f"{path}: model and optimizer are of different checkpoints by their metadata")
        self.params = self._weights[0].specs
        self.moments = self._weights[1].specs if len(self._weights) > 1 else {}
        both = self.params.keys() & self.moments.keys()
        if both:
            raise ValueError(f"{path}: model and optimizer both hold {printable(min(both))}")

    def tensor(self, name: str) -> Shaped[np.ndarray, "..."]:
        """One tensor. Raises ValueError where its checksum is wrong."""
        return self._weights[name not in self.params].tensor(name)

    def digest(self, name: str) -> str | None:
        """The checksum that the tensor was written with, where there is one."""
        return self._weights[name not in self.params].digest(name)

    @cached_property
    def saved(self) -> CheckpointMetadata:
        """What goes with the tensors. Raises ValueError where the files do not say."""
        saved = CheckpointMetadata.from_metadata(self._weights[0].path, self._weights[0].metadata)
        if self.moments and saved.training is None:
            raise ValueError(f"{self.path} holds moments, and its metadata does not say how training goes on with them")
        return saved

    @cached_property
    def config(self) -> Config:
        """Raises ValueError where the files carry none, or one that is obviously of another model."""
        config = self.saved.parse_config(self._weights[0].path)
        if config.model.num_blocks > len(self.params):  # before so many are built, abstract as they are
            raise ValueError(
                f"{self.path}: its config has {config.model.num_blocks} blocks, and it has {len(self.params)} tensors"
            )
        return config

    def check(self, dtype: str | None = None) -> None:
        """Raises WeightsError where the tensors are not those of the config's model and optimiser.

        With `dtype` parameters may have any, and are expected to be that after a cast.
        """
        structure = abstract_jax(self.config)
        params = {param_link.name: param_link.spec for param_link in param_links(structure)}
        found = cast_specs(self.params, dtype)
        same = found.keys() == params.keys() and all(found[name].shape == params[name].shape for name in params)
        dtypes = {str(spec.dtype) for spec in found.values()}
        expected = {str(spec.dtype) for spec in params.values()}
        if same and len(dtypes) == 1 and len(expected) == 1 and dtypes != expected:
            raise WeightsError(
                f"{self.path} would give parameters of type {min(dtypes)}, and a run's are {min(expected)}:"
                f" give --dtype {min(expected)}"
            )
        check_specs(found, params)
        if self.moments:
            self._check_moments(OptimizerState.of(self.config, structure), params)

    def _check_moments(self, optimizer: OptimizerState, params: dict[str, Spec]) -> None:
        dtypes = {moment: optimizer.leaves[min(optimizer.moments[moment].values())].dtype for moment in MOMENTS}
        check_specs(
            self.moments,
            {f"{moment}.{name}": Spec(params[name].shape, dtypes[moment]) for moment in MOMENTS for name in params},
        )
        assert self.saved.training is not None
        check_names = self.saved.training.counters.keys() ^ optimizer.counters.keys()
        if check_names:
            raise ValueError(f"{self.path}: the optimiser's counters are not exactly {sorted(optimizer.counters)}")
        for name, value in self.saved.training.counters.items():
            optimizer.counter(name, value)


def check_torch_target(target: Path, overwrite: bool) -> None:
    """Raises ValueError where what `write_torch` writes cannot take the place of what is there, or is not to."""
    if target.suffix == SUFFIX:
        check_file(target, overwrite)
    else:
        check_folder(target, overwrite, _is_ours)


def write_torch(
    target: Path,
    saved: CheckpointMetadata,
    params: Mapping[str, Spec],
    moments: Mapping[str, Spec],
    tensor: Callable[[str], Shaped[np.ndarray, "..."]],
    shard_size: int = SHARD_SIZE,
    overwrite: bool = False,
    digests: Digests = NO_DIGESTS,
) -> None:
    """Writes what `tensor` gives for each name, called by a few threads: to a file, or with the moments to a folder.

    It appears whole or not at all. `shard_size` is in bytes; `digests` may have checksums of what `tensor` gave. Raises
    ValueError where a folder that is to be overwritten holds more than weights, or a file is given moments; OSError
    where it cannot be written.
    """
    if target.suffix == SUFFIX and moments:
        raise ValueError(f"{target} is a file, which holds parameters alone: Adam's moments need a folder")
    metadata = (saved if moments else replace(saved, training=None)).as_metadata()
    with ExitStack() as stack:
        if target.suffix == SUFFIX:
            temporary = stack.enter_context(replacing(target))
            _write_all(WeightsWriter(temporary, params, metadata), params, tensor, digests)
            return
        temporary = stack.enter_context(replacing_folder(target, overwrite, _is_ours))
        for name, specs in ((MODEL, params), (OPTIMIZER, moments)):
            if specs:
                _write_all(ShardsWriter(temporary, name, specs, metadata, shard_size), specs, tensor, digests)


def _write_all(writer: WeightsWriter | ShardsWriter, names: Iterable[str], tensor: Callable, digests: Digests) -> None:
    def move(name: str) -> None:
        writer.write(name, tensor(name), digests.get(name))

    with writer, ThreadPoolExecutor(AT_ONCE) as pool:
        for _ in pool.map(move, names):  # raises what `move` raised, and then starts no more of them
            pass


def _is_ours(name: str) -> bool:
    pattern = rf"({MODEL}|{OPTIMIZER})(-\d{{5}}-of-\d{{5}})?{re.escape(SUFFIX)}({re.escape(INDEX)})?"
    return re.fullmatch(pattern, name) is not None
