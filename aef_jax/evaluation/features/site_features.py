"""Features of the sites of a data set at labeled points: designed ones, and the embeddings of a run."""

from collections.abc import Collection, Iterator
from pathlib import Path

import numpy as np
from jaxtyping import Float32
from tqdm import tqdm

from aef_jax.data.store.dataset import Dataset
from aef_jax.data.store.records import Split
from aef_jax.data.store.site import Period, Site
from aef_jax.evaluation.features.frame_values import Design, designed_features, frame_values
from aef_jax.evaluation.features.site_sampling import sample_sites
from aef_jax.evaluation.labels.labeled_points import LabeledPoints
from aef_jax.inference.load_run import load_run
from aef_jax.inference.site import embed_site
from aef_jax.run.steps import Which
from configs.fields.embedder import Embedder
from configs.serialization.printable import printable
from configs.validate import require

Field = Float32[np.ndarray, "H W F"]


def sample_designed(
    design: Design, dataset: Dataset, splits: Collection[Split], points: LabeledPoints, period: Period | None
) -> Float32[np.ndarray, "N F"]:
    """Compute designed features at points.

    Args:
        design: which features.
        dataset: of imagery.
        splits: whose records are used.
        points: the points.
        period: of the frames; None: each site's support period.

    Returns:
        The features; NaN where no site lies or shows the ground.

    Raises:
        ValueError: no point lies in a site, or the data set has no input.
    """
    sources = [
        source for source in dataset.definitions if source.is_input and source.name in dataset.normalization.mean
    ]
    require(bool(sources), f"{dataset.path}: it has no source that models read, expected imagery")

    def of_site(site: Site) -> Field:
        return designed_features(design, frame_values(site, dataset.normalization, sources, period))

    return sample_sites(_sites(dataset, splits), _where(dataset, splits), points, of_site)


def sample_run(
    run: Path,
    which: Which,
    dataset: Dataset | None,
    splits: Collection[Split],
    points: LabeledPoints,
    period: Period | None,
) -> Float32[np.ndarray, "N D"]:
    """Compute the embeddings of a run at points.

    Args:
        run: folder of the run.
        which: its checkpoint.
        dataset: of imagery; None: the one that the run was trained on.
        splits: whose records are used.
        points: the points.
        period: the valid period; None: each site's support period.

    Returns:
        Unit vectors; NaN where no site lies or shows the ground.

    Raises:
        ValueError: no point lies in a site, the run was trained on the sample, or a site has no period.
    """
    embedder = load_run(run, checkpoint=which)
    if dataset is None:
        path = embedder.config.data.path
        require(
            bool(path), f"{run} was trained on the sample; expected a run that was trained on a data set, or --data"
        )
        dataset = Dataset.open(Path(path))
    sites, where = _sites(dataset, splits), _where(dataset, splits)
    return sample_sites(sites, where, points, lambda site: embed_stored_site(embedder, site, period))


def embed_stored_site(embedder: Embedder, site: Site, period: Period | None) -> Field:
    """Compute the embedding field of a site as it is stored.

    Args:
        embedder: of a run.
        site: in the units that it is stored in.
        period: the valid period; None: the site's support period.

    Returns:
        Unit vectors; NaN at a pixel that no frame shows.

    Raises:
        ValueError: there is no period, or no frame in it.
    """
    period = period or site.support
    if period is None:
        raise ValueError(f"site {printable(site.name)} has no support period, expected one: give it after @")
    return embed_site(embedder, site, period)


def _sites(dataset: Dataset, splits: Collection[Split]) -> Iterator[Site]:
    for split in splits:
        yield from tqdm(dataset.records(split), "sites", unit="site", leave=False, disable=None)


def _where(dataset: Dataset, splits: Collection[Split]) -> str:
    return f"{dataset.path} ({' and '.join(splits)})"
