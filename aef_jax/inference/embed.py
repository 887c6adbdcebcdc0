"""Embedding fields with the JAX model: what `aef embed` and the training's pictures call."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import jax
import numpy as np
from flax import nnx
from jaxtyping import Array, Float32

from aef_jax.data.loading.training_data import find_site
from aef_jax.data.store.site import Period, Site
from aef_jax.inference.site import embed_site
from aef_jax.inference.writers.geotiff import StoredAs, import_rasterio, write_field
from aef_jax.run.checkpoint import Which, restore_params
from aef_jax.run.folder import RunFolder
from aef_jax.sharding.compiler_options import compiler_options
from aef_jax.sharding.mesh import single_device_mesh
from aef_jax.training.step import abstract_model
from aef_jax.visualize.pictures import write_field_png
from configs.batch import Frames
from configs.config import Config
from configs.fields.tiling import default_support, require_period


def embedder(config: Config) -> Callable[[nnx.State, dict[str, Frames], Array], Array]:
    """(parameters, frames, periods) -> mean directions."""
    graph, _ = abstract_model(config)
    return lambda params, frames, periods: nnx.merge(graph, params)(frames, periods)


def make_embedder(config: Config) -> Callable[[nnx.State, dict[str, Frames], Array], Array]:
    """The same, compiled once per shape."""
    return jax.jit(embedder(config), compiler_options=compiler_options(single_device_mesh()))


def embed_with(
    embedder: Callable, params: nnx.State, site: Site, config: Config, period: Period, support: Period | None = None
) -> Float32[np.ndarray, "H W D"]:
    """The embedding field of a scaled, z-scored site; see `embed_site`."""
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
    """Writes the field of a run's data over a valid period as GeoTIFF, and a picture beside it, whose path it returns.

    Of a data set it is the field of the site of that name, or of the first held-out one; `data` is its folder, if it is
    no longer where the run found it.

    Raises ValueError or ModuleNotFoundError, with one sentence, for whatever is missing.
    """
    import_rasterio()  # whatever is missing is told before the work, not after it
    if output.suffix not in (".tif", ".tiff") or output.is_dir():
        raise ValueError(f"{output} is no place for a GeoTIFF, expected a file that ends in .tif")
    require_period("valid", period)
    config, normalization = run.read_config(), run.read_normalization()
    if data:
        config = replace(config, data=replace(config.data, path=str(data)))
    site = find_site(config, site_name)
    params = restore_params(run.checkpoints, config, which=which)
    normalized = normalization.apply(site, normalization.known(config.input_sources))
    support = support or site.support or default_support(period, config)
    field = embed_with(make_embedder(config), params, normalized, config, period, support)
    write_field(
        output,
        field,
        crs=site.crs,
        transform=site.transform,
        period=period,
        support=support,
        model=run.path.name,
        dtype=dtype,
    )
    picture = output.with_suffix(".png")
    write_field_png(picture, field)
    return picture
