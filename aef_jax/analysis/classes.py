"""Map classes: from a few labeled points, or by clustering."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import numpy as np
from jaxtyping import Float, Float32, Int

from aef_jax.analysis.picture import LONGEST, MapPicture
from aef_jax.analysis.points import LabeledVectors
from aef_jax.analysis.raster import RasterLayout, create_raster, read_reduced
from aef_jax.analysis.windows import each_window, sample_vectors
from aef_jax.inference.field import Field
from configs.validate import require

Method = Literal["knn", "linear"]
MAX_CLASSES = 255
"""Classes of a map of 8 bits, which has 0 for no data."""
SAMPLE = 100_000
"""Pixels that clusters are fitted to, at most."""


Probabilities = Callable[[Float32[np.ndarray, "N D"]], Float[np.ndarray, "N K"]]
"""Predicts the probability of each class, in the order of their names."""


def fit_classifier(labeled: LabeledVectors, method: Method, neighbors: int) -> tuple[Probabilities, list[str]]:
    """Fit a classifier to labeled vectors.

    Args:
        labeled: the vectors.
        method: knn: the share of the nearest neighbors by cosine similarity, all of the same weight. linear: a
            logistic regression of each class against the rest, all classes of the same weight.
        neighbors: of knn.

    Returns:
        A function from vectors to the probability of each class, and the names of the classes.

    Raises:
        ValueError: there is but one class, there are too many, or fewer points than neighbors.
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.multiclass import OneVsRestClassifier
    from sklearn.neighbors import KNeighborsClassifier

    names, count = np.unique(labeled.labels).tolist(), len(labeled.labels)
    require(len(names) > 1, f"all {count} points in the field are of the class {names[0]!r}, expected at least two")
    require(len(names) <= MAX_CLASSES, f"the points have {len(names)} classes, expected at most {MAX_CLASSES}")
    if method == "knn":
        require(1 <= neighbors <= count, f"there are {neighbors} neighbors, expected 1 to {count}: the points")
        # of unit vectors, the nearest by distance are the nearest by cosine
        classifier: Any = KNeighborsClassifier(neighbors)
    else:
        classifier = OneVsRestClassifier(LogisticRegression(C=100.0, class_weight="balanced", max_iter=1000))
    return classifier.fit(labeled.vectors, labeled.labels).predict_proba, names


def write_classification(field: Field, classify: Probabilities, names: list[str], output: Path) -> Path:
    """Write the most probable class of each pixel, with a confidence, and a picture.

    Args:
        field: the field.
        classify: of `fit_classifier`.
        names: of the classes.
        output: the GeoTIFF. Its first band is the class, counted from 1, and 0 for no data. The second band is the
            confidence in percent: the probability of that class (knn: its share of the neighbors).

    Returns:
        Path of the picture.
    """

    def predict(vectors: Float32[np.ndarray, "N D"]) -> Int[np.ndarray, "N 2"]:
        probabilities = classify(vectors)
        percent = np.rint(100 * probabilities.max(axis=-1)).clip(1)
        return np.stack([probabilities.argmax(axis=-1) + 1, percent], axis=-1).astype(np.uint8)

    layout = RasterLayout(("class", "confidence in percent"), "uint8", 0, tuple(names))
    bands = _write_classes(field, layout, predict, output, "classify")
    picture = MapPicture(field.info, "Classes", panels=2)
    picture.draw_classes(bands[..., 0], names, "class, share")
    confidence = np.where(bands[..., 1] > 0, bands[..., 1], np.nan)
    picture.draw_values(confidence, "confidence in percent", (100 / len(names), 100), panel=1)
    return picture.save(output)


def write_clusters(field: Field, clusters: int, seed: int, output: Path) -> Path:
    """Cluster a field by k-means of its unit vectors, fitted to a sample, and write a class map and a picture.

    Args:
        field: the field.
        clusters: number of clusters.
        seed: of the sample and of the fit.
        output: the GeoTIFF: the cluster, counted from 1 by size in the sample, and 0 for no data.

    Returns:
        Path of the picture.

    Raises:
        ValueError: the number of clusters is not from 2 to 255, or larger than that of pixels with data.
    """
    from sklearn.cluster import MiniBatchKMeans

    require(2 <= clusters <= MAX_CLASSES, f"there are {clusters} clusters, expected 2 to {MAX_CLASSES}")
    sample = sample_vectors(field, SAMPLE, seed)
    require(clusters <= len(sample), f"there are {clusters} clusters, expected at most {len(sample)}: pixels with data")
    means = MiniBatchKMeans(clusters, random_state=seed, n_init="auto").fit(sample)
    rank = np.empty(clusters, np.uint8)
    rank[np.argsort(-np.bincount(means.labels_, minlength=clusters), kind="stable")] = np.arange(1, clusters + 1)
    names = tuple(f"cluster {number}" for number in range(1, clusters + 1))
    layout = RasterLayout(("cluster",), "uint8", 0, names)
    bands = _write_classes(field, layout, lambda vectors: rank[means.predict(vectors)][:, None], output, "cluster")
    picture = MapPicture(field.info, f"{clusters} clusters")
    picture.draw_classes(bands[..., 0], names, "cluster, share")
    return picture.save(output)


def _write_classes(
    field: Field,
    layout: RasterLayout,
    predict: Callable[[Float32[np.ndarray, "N D"]], Int[np.ndarray, "N B"]],
    output: Path,
    label: str,
) -> Int[np.ndarray, "h w B"]:
    """Predict the pixels with data, and return the bands reduced for a picture."""
    with create_raster(output, field.info, layout) as write:
        for window in each_window(field.info.shape, label):
            vectors = field.read(*window)
            has_data = np.isfinite(vectors).all(axis=-1)
            bands = np.zeros((*has_data.shape, len(layout.names)), np.uint8)
            if has_data.any():
                bands[has_data] = predict(np.ascontiguousarray(vectors[has_data]))
            write(window, bands)
    return read_reduced(output, LONGEST)
