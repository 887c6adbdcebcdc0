"""Compute the embedding field of a run's data in both frameworks, each from its own copy of the weights."""

from dataclasses import replace
from pathlib import Path

import jax
import numpy as np
import torch

import aef_torch.model.alphaearth
from aef_jax.data.loading.training_data import find_site
from aef_jax.inference.embed_records import write_site
from aef_jax.inference.request import open_weights
from aef_jax.inference.site import SitePeriods, choose_supports, embed_site
from aef_jax.inference.target import Target
from aef_jax.run.folder import RunFolder
from configs.batch import Frames
from configs.fields.periods import Period
from configs.fields.tiling import Embed
from parity.aef.conversion.torch_checkpoint import TorchCheckpoint
from parity.aef.model import abstract_torch
from parity.capture.tensors import load_torch, torch_specs
from parity.mapping.spec import check_specs

TOLERANCE = 1e-5
"""Largest accepted difference of a component of two unit vectors, in float32 after the whole model."""


def embed_both(
    run: RunFolder, weights: Path, period: Period, output: Path, data: Path | None = None, site_name: str | None = None
) -> float:
    """Write PyTorch's embedding field of a site of a run's data as GeoTIFF, as `aef embed` writes that of JAX.

    Args:
        run: the run's folder.
        weights: the same run, converted.
        period: valid period, [start, end) in epoch milliseconds.
        output: the GeoTIFF.
        data: folder of the data set, if it is no longer where the run read it.
        site_name: a site of the data set; by default the first one of the validation split.

    Returns:
        The largest |difference| of any component of a unit vector between the two fields.

    Raises:
        ValueError: something is missing or does not fit; nothing is written.
        ModuleNotFoundError: rasterio is not installed.
    """
    target = Target(output, "cog", "int8", stac=False)
    target.require(1, 1)
    config = run.read_config()
    checkpoint, model = read_model(weights)
    carried = checkpoint.config
    if (carried.model, carried.sources) != (config.model, config.sources):
        raise ValueError(f"{weights} is of another model or other sources than {run.path}: compare a run with its own")
    by_jax = open_weights(run.path).embedder
    by_torch = replace(by_jax, model=torch_embedder(model))
    site = find_site(data or (Path(config.data.path) if config.data.path else None), site_name)
    ((support, _),) = choose_supports(site, config, [period]).items()
    field = embed_site(by_torch, site, period, support)
    with jax.default_matmul_precision("highest"):  # accelerators round to fewer bits by default
        reference = embed_site(by_jax, site, period, support)
    name = f"{weights.name}, step {checkpoint.saved.step}"
    write_site(target, name, [(period, SitePeriods(site, [period], support), field)])
    # NaN is where no frame shows a pixel, in both alike: an embedding without numbers has been refused
    return float(np.nanmax(np.abs(field - reference)))


def read_model(weights: Path) -> tuple[TorchCheckpoint, aef_torch.model.alphaearth.AlphaEarth]:
    """Load weights into a PyTorch model on the CPU.

    Args:
        weights: a file or folder of weights.

    Returns:
        The checkpoint, and its model.

    Raises:
        ValueError: the files are damaged, or carry no config.
        WeightsError: the tensors are not those of the config's model.
    """
    checkpoint = TorchCheckpoint(weights)
    model = abstract_torch(checkpoint.config)
    check_specs(checkpoint.params, torch_specs(model))
    model = model.to_empty(device="cpu").eval()
    load_torch(model, {name: checkpoint.tensor(name) for name in checkpoint.params})
    return checkpoint, model


def torch_embedder(model: aef_torch.model.alphaearth.AlphaEarth) -> Embed:
    """Wrap a model as `embed_site` calls it.

    Args:
        model: the model.

    Returns:
        A function of NumPy arrays.
    """

    @torch.inference_mode()
    def embed(frames: dict[str, Frames], periods: np.ndarray) -> np.ndarray:
        tensors = {name: Frames(*map(torch.from_numpy, arrays)) for name, arrays in frames.items()}
        return model(tensors, torch.from_numpy(periods)).numpy()

    return embed
