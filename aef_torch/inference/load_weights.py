"""Converted weights as an embedder of the user's own frames."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file

from aef_torch.model.alphaearth import AlphaEarth
from configs.batch import Frames
from configs.config import Config
from configs.fields.embedder import Embedder
from configs.fields.statistics import BandStatistics
from configs.serialization.config_json import from_json
from configs.serialization.printable import printable_value, sentence
from configs.serialization.strict_json import loads, read_json
from configs.serialization.weights_metadata import CONFIG, NORMALIZATION, find_normalization

INDEX = "model.safetensors.index.json"


def load_weights(path: str | Path, device: str = "cpu") -> Embedder:
    """Load weights that `aef-parity convert` wrote, ready to embed frames.

    Args:
        path: a .safetensors file, or a folder that holds `model.safetensors` or its shards with their index.
        device: where PyTorch computes.

    Returns:
        The embedder; its `model` computes in PyTorch.

    Raises:
        ValueError: a file is missing or damaged, carries no config or statistics, or its tensors are not the config's.
    """
    files = _files(Path(path))
    try:
        with safe_open(files[0], "pt") as opened:
            metadata = opened.metadata() or {}
        tensors = {name: tensor for file in files for name, tensor in load_file(file, device).items()}
    except (OSError, SafetensorError) as error:
        raise ValueError(f"{path}: not readable as safetensors: {sentence(error)}") from None
    normalization = find_normalization(metadata)
    for key, meaning, text in (
        (CONFIG, "config", metadata.get(CONFIG)),
        (NORMALIZATION, "normalization statistics", normalization),
    ):
        if text is None:
            raise ValueError(f"{files[0]} carries no {meaning} under {key!r} in its metadata")
    try:
        config = from_json(metadata[CONFIG])
        statistics = BandStatistics.from_table(loads(NORMALIZATION, normalization or ""))
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise ValueError(f"{files[0]}: {error}") from None
    return Embedder(config, statistics, _embed_fn(_model(config, tensors, files[0]), device))


def _files(path: Path) -> list[Path]:
    """Find the file of the weights, or all shards of an index, each in the folder itself."""
    if not path.is_dir():
        return [path]
    if not (path / INDEX).exists():
        return [path / "model.safetensors"]
    try:
        shards = sorted(set(read_json(path / INDEX)["weight_map"].values()))
    except (ValueError, KeyError, TypeError, AttributeError):
        raise ValueError(f"{path / INDEX} is no index of safetensors, expected a weight_map") from None
    outside = [shard for shard in shards if not isinstance(shard, str) or Path(shard).name != shard]
    if outside or not shards:
        raise ValueError(
            f"{path / INDEX}: a shard is called {printable_value(outside or None)}, expected the name of a file"
            " beside it"
        )
    return [path / shard for shard in shards]


def _model(config: Config, tensors: dict[str, torch.Tensor], path: Path) -> AlphaEarth:
    with torch.device("meta"):
        model = AlphaEarth(config)
    try:
        model.load_state_dict(tensors, assign=True)
    except RuntimeError as error:
        reason = sentence(error)[:200]
        raise ValueError(f"{path}: its tensors are not those of its config's model: {reason}") from None
    return model.eval()


def _embed_fn(model: AlphaEarth, device: str) -> Callable[[dict[str, Frames], np.ndarray], np.ndarray]:
    @torch.inference_mode()
    def embed(frames: dict[str, Frames], periods: np.ndarray) -> np.ndarray:
        tensors = {
            name: Frames(*(torch.from_numpy(array).to(device) for array in arrays)) for name, arrays in frames.items()
        }
        return model(tensors, torch.from_numpy(periods).to(device)).float().cpu().numpy()

    return embed
