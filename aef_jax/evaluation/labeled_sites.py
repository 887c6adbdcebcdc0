"""Evaluate a model while it trains, at labeled points of its validation sites."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
from jaxtyping import Float32
from tqdm import tqdm

from aef_jax.data.store.dataset import Dataset
from aef_jax.data.store.site import Site
from aef_jax.evaluation.command import Protocol, evaluate_samples
from aef_jax.evaluation.evaluator import Samples
from aef_jax.evaluation.features.site_sampling import points_inside, sample_sites
from aef_jax.evaluation.labels.georeference import to_crs
from aef_jax.evaluation.labels.labeled_points import LabeledPoints, require_several
from aef_jax.evaluation.labels.read_labels import read_labels
from aef_jax.evaluation.splits import Split, make_splits
from configs.config import Config
from configs.validate import require

PROTOCOL = Protocol(trials=("max",), max_folds=100)


class LabeledSites:
    """Labeled points, and the validation sites that they lie in.

    Args:
        labels: points or polygons with a property `label`, which is a class; or another kind of `read_labels`.
        dataset: of the run. Each record of its validation split is decoded once here.

    Raises:
        ValueError: the labels cannot be read, no point lies in a validation site, or they are too few to evaluate.
    """

    def __init__(self, labels: Path, dataset: Dataset):
        points = read_labels(labels, "", PROTOCOL.task)
        self.records, self.where, positions = dataset.records("validation"), str(dataset.path), {}
        self.indices, is_inside = [], np.zeros(len(points.target), bool)
        for number, site in enumerate(tqdm(self.records, "labeled sites", unit="site", leave=False, disable=None)):
            if site.crs not in positions:
                positions[site.crs] = to_crs(points.lon, points.lat, site.crs, f"{self.where}, site {site.name}")
            index, *_ = points_inside(site, positions[site.crs])
            if len(index):
                self.indices.append(number)
                is_inside[index] = True
        require(bool(self.indices), f"{labels}: none of its points lies in a validation site of {self.where}")
        self.points = points.select(is_inside)
        self._splits(self.points)  # tells what is wrong before training begins

    def __call__(self, embed: Callable[[Site], Float32[np.ndarray, "H W D"]]) -> dict[str, float]:
        """Evaluate a model.

        Args:
            embed: computes the field of a site as stored.

        Returns:
            Metrics of the `max` trial by EVALUATOR/METRIC, such as knn3/balanced_accuracy.

        Raises:
            ValueError: too few of the points have an embedding.
        """
        features = sample_sites((self.records[index] for index in self.indices), self.where, self.points, embed)
        known = np.flatnonzero(np.isfinite(features).all(axis=1))
        require(len(known) > 0, f"{self.points.where}: none of its points has an embedding")
        points = self.points.select(known)
        samples = Samples(features[known], points.target, len(points.classes), self._splits(points))
        return {
            f"{scores.evaluator}/{name}": estimate.mean
            for scores in evaluate_samples(samples, PROTOCOL)
            for name, estimate in scores.metrics.items()
        }

    def _splits(self, points: LabeledPoints) -> list[Split]:
        require_several(points)
        return make_splits(points, PROTOCOL.parts, PROTOCOL.seed)


def open_labeled_sites(config: Config) -> LabeledSites | None:
    """Open the labels that a run is evaluated at.

    Args:
        config: of the run.

    Returns:
        The labels; None if the config names none.

    Raises:
        ValueError: the run has no data set, or the labels do not fit it.
    """
    if not config.training.evaluate_labels:
        return None
    require(bool(config.data.path), "training.evaluate_labels needs a data set with a validation split: give --data")
    return LabeledSites(Path(config.training.evaluate_labels), Dataset.open(Path(config.data.path)))
