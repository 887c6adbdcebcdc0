"""`aef probe`: compare linear probes of a run's embeddings and of composites (paper, S6)."""

import warnings
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Float32, Shaped
from tqdm import tqdm

from aef_jax.console.tables import format_table
from aef_jax.data.store.dataset import Dataset
from aef_jax.data.store.normalization import Normalization
from aef_jax.data.store.record import OLD_LABELS_NAME
from aef_jax.data.store.site import Site
from aef_jax.evaluation.linear_probe import probe_score
from aef_jax.inference.load_run import load_run
from aef_jax.inference.site import SitePeriods, default_batch, embed_sites
from aef_jax.run.folder import RunFolder
from aef_jax.run.steps import Which
from configs.config import Config
from configs.serialization.config_json import nearest

NUM_COMPOSITE_BANDS = {"sentinel2": 5, "landsat": 7, "sentinel1": 4}
"""Number of leading bands of each source in the composite: the paper's 16 features. The radar's angle is left out."""


class ProbeResult(NamedTuple):
    """The scores of one kind of features."""

    features: str
    width: int
    """Number of features per pixel."""
    scores: list[float]
    """Balanced accuracy for each seed, which determines how the sites are divided."""


def probe_run(
    run: RunFolder, sites: int, seeds: int, which: Which = "latest", data: Path | None = None, name: str = ""
) -> list[ProbeResult]:
    """Embed validation sites that have labels, and probe embeddings and composites at the same pixels.

    If there is one such site, its quarters take the place of sites; the pixels along their borders are neighbors.

    Args:
        run: the run whose model is probed.
        sites: the largest number of sites to embed, spread evenly over the validation split.
        seeds: number of divisions of the sites into a half to fit and a half to score.
        which: the checkpoint.
        data: folder of the data set, if it is no longer where the run read it.
        name: of the label map; may be empty if the data set has one.

    Returns:
        The results of embeddings and of composites.

    Raises:
        ValueError: if the run was not trained on a data set, its data set has no such label map or several to choose
            from, or none of the sites has labels.
    """
    config = run.read_config()
    folder = data or (Path(config.data.path) if config.data.path else None)
    if folder is None:
        raise ValueError(
            f"{run.path} was trained on the sample, which has no labels; expected a run that was trained on a data set"
        )
    normalization, dataset = run.read_normalization(), Dataset.open(folder)
    name, records = choose_labels(dataset, name), dataset.records("validation")
    embedder = load_run(run.path, which)
    embeddings, composites, labels = [], [], []

    def read(index: int) -> list[SitePeriods]:
        site = records[index]
        return [SitePeriods(site, [site.support], site.support)] if name in site.labels and site.support else []

    chosen = np.unique(np.linspace(0, len(records) - 1, min(sites, len(records))).astype(int)).tolist()
    for (site, *_), (field,) in embed_sites(embedder, read, tqdm(chosen, "sites"), default_batch()):
        embeddings.append(field)
        # both are scored on the pixels that have an embedding
        composites.append(np.where(np.isfinite(field[..., :1]), composite(site, normalization, config), np.nan))
        labels.append(site.labels[name])
    if not labels:
        raise ValueError(f"{folder}: none of its validation sites has {name!r}, expected at least one")
    if len(labels) == 1:
        embeddings, composites, labels = (quarters(of[0]) for of in (embeddings, composites, labels))
    return [
        ProbeResult(kind, features[0].shape[-1], [probe_score(features, labels, seed) for seed in range(seeds)])
        for kind, features in (("embedding", embeddings), ("composite", composites))
    ]


def choose_labels(dataset: Dataset, name: str) -> str:
    """Choose a label map of a data set.

    Args:
        dataset: the data set.
        name: of the map; empty if there is but one.

    Returns:
        The name of the map.

    Raises:
        ValueError: there is no map, none of this name, or several and no name.
    """
    names = [OLD_LABELS_NAME] if dataset.labels is None else list(dataset.labels)
    if not names:
        raise ValueError(f"{dataset.path}: none of its sites has labels, expected at least one")
    if not name and len(names) > 1:
        raise ValueError(f"{dataset.path}: it has the label maps {', '.join(names)}: choose one with --labels")
    if name and name not in names:
        raise ValueError(f"{dataset.path}: it has no label map {name!r}; {nearest(name, names)}")
    return name or names[0]


def quarters(field: Shaped[np.ndarray, "H W ..."]) -> list[Shaped[np.ndarray, "h w ..."]]:
    """Cut a map into its four quarters.

    Args:
        field: the map.

    Returns:
        Its quarters, as views.
    """
    return [part for half in np.array_split(field, 2) for part in np.array_split(half, 2, axis=1)]


def composite(site: Site, normalization: Normalization, config: Config) -> Float32[np.ndarray, "H W F"]:
    """Compute the per-pixel median of optical frames and mean of radar frames over valid pixels (paper, S6).

    Args:
        site: in the units it is stored in.
        normalization: of the run.
        config: of the run.

    Returns:
        Z-scored features; 0 at pixels that no frame shows and for sources that the site lacks.
    """
    parts = []
    for source in config.input_sources:
        bands = NUM_COMPOSITE_BANDS.get(source.name, source.channels)
        if source.name not in site.series or source.name not in normalization.mean:
            parts.append(np.zeros((*site.shape, bands), np.float32))
            continue
        series = normalization.z_score(site.series[source.name], source)
        valid = np.where(series.valid, series.pixels, np.nan)[..., :bands]
        average = np.nanmean if source.name == "sentinel1" else np.nanmedian
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)  # the median of a pixel that no frame shows is NaN
            parts.append(np.nan_to_num(average(valid, axis=0)).astype(np.float32))
    return np.concatenate(parts, axis=-1)


def table(results: list[ProbeResult]) -> str:
    """Format the mean and the standard deviation over the seeds.

    Args:
        results: of `probe_run`.

    Returns:
        Lines of text.
    """
    rows = [("features", "numbers", "balanced accuracy")]
    rows += [(p.features, str(p.width), f"{np.mean(p.scores):.3f} +- {np.std(p.scores):.3f}") for p in results]
    return "\n".join(format_table(rows, "<><"))
