"""Compute embedding fields with the JAX model, for `aef embed` and for the pictures of training."""

import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import jax
import numpy as np
from flax import nnx
from jaxtyping import Array, Float32

from aef_jax.data.loading.training_data import find_site
from aef_jax.data.store.dataset import Dataset
from aef_jax.data.store.site import Period, Site
from aef_jax.inference.site import choose_support, embed_site
from aef_jax.inference.writers.geotiff import StoredAs, model_tag, require_field_target, write_field
from aef_jax.run.checkpoint import restore_params
from aef_jax.run.data_levels import level_warning
from aef_jax.run.folder import RunFolder
from aef_jax.run.steps import Which, find_step
from aef_jax.sharding.compiler_options import compiler_options
from aef_jax.sharding.mesh import single_device_mesh
from aef_jax.training.step import abstract_model
from aef_jax.visualize.pictures import write_field_png
from configs.batch import Frames
from configs.config import Config
from configs.fields.tiling import require_period
from configs.serialization.printable import print_lines


def embed_fn(config: Config) -> Callable[[nnx.State, dict[str, Frames], Array], Array]:
    """Make the model's function of its parameters.

    Args:
        config: of the model.

    Returns:
        (parameters, frames, periods) -> unit vectors mu, float32, of shape (sequences, periods, height, width, D).
    """
    graph, _ = abstract_model(config)
    return lambda params, frames, periods: nnx.merge(graph, params)(frames, periods)


def make_embedder(config: Config) -> Callable[[nnx.State, dict[str, Frames], Array], Array]:
    """Make the model's function, compiled once per shape on a single device.

    Args:
        config: of the model.

    Returns:
        As `embed_fn`.
    """
    return jax.jit(embed_fn(config), compiler_options=compiler_options(single_device_mesh()))


def embed_with(
    embedder: Callable, params: nnx.State, site: Site, config: Config, period: Period, support: Period | None = None
) -> Float32[np.ndarray, "H W D"]:
    """Compute the embedding field of a scaled, z-scored site (see `embed_site`).

    Args:
        embedder: made by `make_embedder`.
        params: of the model.
        site: scaled and z-scored.
        config: of the model.
        period: the valid period.
        support: the period whose frames are used; by default `default_support`.

    Returns:
        Unit vectors; NaN at a pixel that no frame of any source shows.
    """
    return embed_site(lambda frames, periods: embedder(params, frames, periods), site, config, period, support=support)


def embed_run(
    run: RunFolder,
    period: Period,
    support: Period | None,
    output: Path,
    dtype: StoredAs,
    *,
    data: Path | None = None,
    site_name: str | None = None,
    which: Which = "latest",
) -> Path:
    """Write a site's embedding field as GeoTIFF, and a picture; a pixel that no frame shows is -128 (float32: NaN).

    Args:
        run: the run whose model embeds.
        period: the valid period.
        support: the period whose frames are used; by default `choose_support`.
        output: the GeoTIFF to write.
        dtype: of the file.
        data: folder of the data set, if it is no longer where the run read it.
        site_name: a site of the data set; by default the first one of the validation split.
        which: the checkpoint.

    Returns:
        Path of the picture.

    Raises:
        ValueError, ModuleNotFoundError: if an argument does not fit, or the run, the site or rasterio is missing.
    """
    require_field_target(output)
    require_period("valid", period)
    config, site, normalized = open_site(run, data, site_name, which)
    step = find_step(run.checkpoints, which)
    params = restore_params(run.checkpoints, config, which=step)
    support = support or choose_support(site, config, period)
    field = embed_with(make_embedder(config), params, normalized, config, period, support)
    write_field(
        output,
        field,
        crs=site.crs,
        transform=site.transform,
        period=period,
        support=support,
        model=model_tag(run.path.absolute().name, step, site.name),
        dtype=dtype,
    )
    write_field_png(picture := output.with_suffix(".png"), field)
    return picture


def open_site(
    run: RunFolder, data: Path | None = None, site_name: str | None = None, which: Which = "latest"
) -> tuple[Config, Site, Site]:
    """Read a run's config and a site of its data. A line tells if `data` have other processing levels than the run's.

    Args:
        run: the run.
        data: folder of the data set, if it is no longer where the run read it.
        site_name: a site of the data set; by default the first one of the validation split.
        which: the checkpoint, which knows the levels.

    Returns:
        The config, the site as stored, and the site's inputs scaled and z-scored by the run's statistics.

    Raises:
        ValueError: the run or the site is missing or invalid.
    """
    config, normalization = run.read_config(), run.read_normalization()
    if data:
        levels, step = Dataset.open(data).levels, find_step(run.checkpoints, which)
        if warning := level_warning(run.checkpoints, step, levels, str(data)):
            print_lines(f"aef: {warning}", file=sys.stderr)
        config = replace(config, data=replace(config.data, path=str(data)))
    site = find_site(config, site_name)
    return config, site, normalization.apply(site, normalization.known(config.input_sources))
