"""A checkpoint on the PyTorch side: a weights file with parameters, or a folder with Adam's moments beside them.

The folder holds `model.safetensors` and `optimizer.safetensors`, each in shards with an index where it is large. The
moments of the parameter NAME are `exp_avg.NAME` and `exp_avg_sq.NAME`, as torch.optim.Adam calls them.
"""

import re
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from types import MappingProxyType

import numpy as np
from jaxtyping import Shaped

from aef_jax.files.atomic import replace_file, replace_folder, require_file_target, require_folder_target
from aef_jax.run.folder import CONFIG_FILE, RunFolder
from configs.config import Config
from configs.serialization.config_json import to_json
from configs.serialization.printable import printable
from configs.serialization.read_file import read_text, require_inside
from configs.serialization.weights_metadata import CONFIG, NORMALIZATION
from parity.aef.conversion.metadata import CheckpointMetadata
from parity.aef.conversion.optimizer_state import MOMENTS, OptimizerState
from parity.aef.model import abstract_jax
from parity.files.cast import cast_specs
from parity.files.digest import Digests
from parity.files.weights_file import SUFFIX
from parity.files.weights_folder import INDEX, ShardsWriter, Weights, has_weights
from parity.files.weights_writer import WeightsWriter
from parity.mapping.model_map import dotted
from parity.mapping.spec import Spec, WeightsError, check_specs
from parity.mapping.weights import param_links

MODEL, OPTIMIZER = "model", "optimizer"
SHARD_SIZE = 2 * 10**9
"""Bytes."""
WRAPPERS = ("_orig_mod.", "module.")
"""Prefixes of torch.compile, and of DataParallel and DistributedDataParallel."""
NO_DIGESTS: Digests = MappingProxyType({})


class TorchCheckpoint:
    """A weights file or a folder of weights. Its tensors and metadata are read when they are asked for.

    `params` and `moments` are the specs of its tensors; there may be no moments. Names are without the prefix that
    torch.compile and DistributedDataParallel add to all of them.

    Args:
        path: a .safetensors file, or a folder, which may hold config.json and normalization.json beside the weights.
        config: the config of weights that carry none.

    Raises:
        ValueError: a file is damaged, or the files of the folder were not written together.
    """

    def __init__(self, path: Path, config: Config | None = None):
        self.path, self._given = path, config
        self._weights = [Weights.open(path, MODEL)]
        if path.is_dir() and has_weights(path, OPTIMIZER):
            self._weights.append(Weights.open(path, OPTIMIZER))
            if self._weights[0].metadata != self._weights[1].metadata:
                raise ValueError(f"{path}: model and optimizer are of different checkpoints by their metadata")
        self._prefix = _wrapper(self._weights[0].specs)
        self.params = {name.removeprefix(self._prefix): spec for name, spec in self._weights[0].specs.items()}
        self.moments = self._weights[1].specs if len(self._weights) > 1 else {}
        both = self.params.keys() & self.moments.keys()
        if both:
            raise ValueError(f"{path}: model and optimizer both hold {printable(min(both))}")

    def tensor(self, name: str) -> Shaped[np.ndarray, "..."]:
        """Read one tensor.

        Args:
            name: its name.

        Returns:
            The tensor, mapped from the file.

        Raises:
            ValueError: its checksum is wrong.
        """
        return self._weights[1].tensor(name) if name in self.moments else self._weights[0].tensor(self._prefix + name)

    def digest(self, name: str) -> str | None:
        """Return the checksum with which a tensor was written.

        Args:
            name: the tensor's name.

        Returns:
            The checksum, or None if the file has none.
        """
        return self._weights[1].digest(name) if name in self.moments else self._weights[0].digest(self._prefix + name)

    @cached_property
    def saved(self) -> CheckpointMetadata:
        """Everything but the tensors. Raises ValueError if it is neither in the files, nor beside them, nor given."""
        metadata = self._weights[0].metadata
        if CONFIG not in metadata:
            metadata = metadata | self._texts_beside()
        elif self._given is not None:
            raise ValueError(f"{self.path} carries a config of its own: leave --config out")
        saved = CheckpointMetadata.from_metadata(self._weights[0].path, metadata)
        if self.moments and saved.training is None:
            raise ValueError(f"{self.path} holds moments, and its metadata does not say how training goes on with them")
        return saved

    def _texts_beside(self) -> dict[str, str]:
        """Return the config that was given, or that lies in the folder as in Hugging Face's, and the statistics."""
        texts = {}
        if self.path.is_dir():
            beside = RunFolder(self.path)
            if beside.started:
                if self._given is not None:
                    raise ValueError(f"{self.path} has a config of its own, {CONFIG_FILE}: leave --config out")
                require_inside(self.path, beside.config_path)
                texts[CONFIG] = to_json(beside.read_config())
            if beside.normalization_path.exists():
                require_inside(self.path, beside.normalization_path)
                texts[NORMALIZATION] = read_text(beside.normalization_path)
        return texts if self._given is None else texts | {CONFIG: to_json(self._given)}

    @cached_property
    def config(self) -> Config:
        """The config in the metadata. Raises ValueError if there is none, or it is obviously of another model."""
        config = self.saved.parse_config(self._weights[0].path)
        if config.model.num_blocks > len(self.params):  # before so many are built, abstract as they are
            raise ValueError(
                f"{self.path}: its config has {config.model.num_blocks} blocks, and it has {len(self.params)} tensors"
            )
        return config

    def require_model(self, dtype: str | None = None) -> None:
        """Require that the tensors are those of the config's model and optimizer.

        Args:
            dtype: what parameters will be cast to, from any dtype; None if they are not cast.

        Raises:
            WeightsError: tensors are missing, too many, or of another shape or dtype.
            ValueError: the optimizer's counters are not those of the config.
        """
        structure = abstract_jax(self.config)
        params = {param_link.name: param_link.spec for param_link in param_links(structure)}
        actual = cast_specs(self.params, dtype)
        is_same = actual.keys() == params.keys() and all(actual[name].shape == params[name].shape for name in params)
        dtypes = {str(spec.dtype) for spec in actual.values()}
        expected = {str(spec.dtype) for spec in params.values()}
        if is_same and len(dtypes) == 1 and len(expected) == 1 and dtypes != expected:
            raise WeightsError(
                f"{self.path} would give parameters of type {min(dtypes)}, and a run's are {min(expected)}:"
                f" give --dtype {min(expected)}"
            )
        check_specs(actual, params)
        if self.moments:
            self._require_moments(OptimizerState.of(self.config, structure))

    def _require_moments(self, optimizer: OptimizerState) -> None:
        expected = {
            f"{moment}.{param_link.name}": Spec(
                param_link.spec.shape, optimizer.moments[moment][dotted(param_link.path)].dtype
            )
            for param_link in param_links(abstract_jax(self.config))
            for moment in MOMENTS
        }
        check_specs(self.moments, expected)
        assert self.saved.training is not None
        counters = self.saved.training.counters
        if counters.keys() != optimizer.counters.keys():
            raise ValueError(f"{self.path}: the optimizer's counters are not exactly {sorted(optimizer.counters)}")
        for name, value in counters.items():
            optimizer.counter(name, value)


def _wrapper(names: Collection[str]) -> str:
    """Return the prefix of a wrapper if all names have it, or several of them around each other."""
    prefix = ""
    while names and (wrappers := [w for w in WRAPPERS if all(name.startswith(prefix + w) for name in names)]):
        prefix += wrappers[0]
    return prefix


def require_torch_target(target: Path, overwrite: bool) -> None:
    """Refuse to write weights over what must not be lost.

    Args:
        target: a .safetensors file, or a folder.
        overwrite: whether converted weights may be replaced.

    Raises:
        ValueError: something is there and is not to be overwritten, or holds more than converted weights.
    """
    if target.suffix == SUFFIX:
        require_file_target(target, overwrite)
    else:
        require_folder_target(target, overwrite, _is_of_weights)


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
    """Write parameters to a file, or parameters and moments to a folder, which appears whole or not at all.

    Args:
        target: a .safetensors file, or a folder.
        saved: everything but the tensors.
        params: specs of the parameters by name.
        moments: specs of the moments by name.
        tensor: gives a tensor by its name; called once for each, in order.
        shard_size: bytes of a shard.
        overwrite: replace a file, or a folder that holds nothing but weights.
        digests: checksums of what `tensor` gave, if they are known.

    Raises:
        ValueError: the target must not be replaced, or is a file and there are moments.
        OSError: it cannot be written.
    """
    if target.suffix == SUFFIX and moments:
        raise ValueError(f"{target} is a file, which holds parameters alone: Adam's moments need a folder")
    metadata = (saved if moments else replace(saved, training=None)).as_metadata()
    if target.suffix == SUFFIX:
        with replace_file(target) as temporary:
            _write_all(WeightsWriter(temporary, params, metadata), params, tensor, digests)
        return
    with replace_folder(target, overwrite, _is_of_weights) as temporary:
        for name, specs in ((MODEL, params), (OPTIMIZER, moments)):
            if specs:
                _write_all(ShardsWriter(temporary, name, specs, metadata, shard_size), specs, tensor, digests)


def _write_all(writer: WeightsWriter | ShardsWriter, names: Iterable[str], tensor: Callable, digests: Digests) -> None:
    with writer:
        for name in names:
            array = tensor(name)  # which notes its checksum in `digests`
            writer.write(name, array, digests.get(name))


def _is_of_weights(name: str) -> bool:
    pattern = rf"({MODEL}|{OPTIMIZER})(-\d{{5}}-of-\d{{5}})?{re.escape(SUFFIX)}({re.escape(INDEX)})?"
    return re.fullmatch(pattern, name) is not None
