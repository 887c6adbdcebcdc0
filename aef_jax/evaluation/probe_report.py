"""`aef probe`: what a linear probe reads from a run's embeddings, beside what it reads from composites (paper, S6)."""

import warnings
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Float32
from tqdm import tqdm

from aef_jax.data.store.dataset import Dataset
from aef_jax.data.store.normalization import Normalization
from aef_jax.data.store.site import Site
from aef_jax.evaluation.linear_probe import probe_score
from aef_jax.inference.embed import embed_with, make_embedder
from aef_jax.run.checkpoint import Which, restore_params
from aef_jax.run.folder import RunFolder
from configs.config import Config

COMPOSITE = {"sentinel2": 5, "landsat": 7, "sentinel1": 4}
"""Bands of each source in the composite, the first ones (the radar's angle is left out): the paper's 16 numbers."""


class Probed(NamedTuple):
    """How well one kind of features did."""

    features: str
    numbers: int
    """Per pixel."""
    scores: list[float]
    """Balanced accuracy, of one division of the sites for each seed."""


def probe_run(
    run: RunFolder, sites: int, seeds: int, which: Which = "latest", data: Path | None = None
) -> list[Probed]:
    """Embeds held-out sites that have labels, and probes embeddings and composites at the same pixels.

    For each seed the probe sees one half of the sites and is asked for the other. Raises ValueError where the run was
    not trained on a data set, or less than two of its held-out sites have labels.
    """
    config = run.read_config()
    folder = data or (Path(config.data.path) if config.data.path else None)
    if folder is None:
        raise ValueError(f"{run.path} was trained on the sample, which has no labels: probe a run of a data set")
    normalization = run.read_normalization()
    records = Dataset.open(folder).records("validation")
    embedder, params = make_embedder(config), restore_params(run.checkpoints, config, which=which)
    embeddings, composites, labels = [], [], []
    for index in tqdm(np.unique(np.linspace(0, len(records) - 1, min(sites, len(records))).astype(int)), "sites"):
        site = records[int(index)]
        if site.labels is None or site.support is None:
            continue
        normalized = normalization.apply(site, normalization.known(config.input_sources))
        embeddings.append(embed_with(embedder, params, normalized, config, site.support, site.support))
        composites.append(composite(site, normalization, config))
        labels.append(site.labels)
    if len(labels) < 2:
        raise ValueError(f"{folder}: {len(labels)} of its held-out sites have labels, expected at least two")
    kinds = {"embedding": embeddings, "composite": composites}
    return [
        Probed(name, features[0].shape[-1], [probe_score(features, labels, seed) for seed in range(seeds)])
        for name, features in kinds.items()
    ]


def composite(site: Site, normalization: Normalization, config: Config) -> Float32[np.ndarray, "H W F"]:
    """The median of optical, the mean of radar frames: of valid pixels, z-scored (paper, S6); 0 where there is none."""
    parts = []
    for source in config.input_sources:
        bands = COMPOSITE.get(source.name, source.channels)
        if source.name not in site.series or source.name not in normalization.mean:
            parts.append(np.zeros((*site.shape, bands), np.float32))
            continue
        series = normalization.z_score(site.series[source.name], source)
        seen = np.where(series.valid, series.pixels, np.nan)[..., :bands]
        middle = np.nanmean if source.name == "sentinel1" else np.nanmedian
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)  # a pixel that no frame shows has no median
            parts.append(np.nan_to_num(middle(seen, axis=0)).astype(np.float32))
    return np.concatenate(parts, axis=-1)


def table(probed: list[Probed]) -> str:
    """For people: mean and standard deviation over the seeds."""
    lines = [f"{'features':<12}{'numbers':>8}  balanced accuracy"]
    lines += [f"{p.features:<12}{p.numbers:>8}  {np.mean(p.scores):.3f} +- {np.std(p.scores):.3f}" for p in probed]
    return "\n".join(lines)
