"""Predict from the nearest training samples, by the L2 distance (paper, S6).

It equals scikit-learn's KNeighborsClassifier and KNeighborsRegressor. These take 10 ms a call for their threads and
checks, and a trial of few shots makes thousands of calls.
"""

import numpy as np
from jaxtyping import Float, Float64, Int64

from aef_jax.evaluation.evaluator import Evaluator

MAX_DISTANCES = 2**23
"""Distances in memory at once."""


def knn_classifier(k: int) -> Evaluator:
    """Make the evaluator that predicts the most frequent class of the k nearest training samples.

    Args:
        k: neighbors; 1 and 3 in the paper.

    Returns:
        The evaluator. A tie goes to the class with the smaller index.
    """

    def predict(
        x: Float[np.ndarray, "N F"], y: Int64[np.ndarray, "N"], queries: Float[np.ndarray, "M F"]
    ) -> Int64[np.ndarray, "M"]:
        votes = y[nearest(x, queries, k)]
        counts = (votes[:, :, None] == np.arange(y.max() + 1)).sum(axis=1)
        return counts.argmax(axis=1)

    return Evaluator(f"knn{k}", predict, min_samples=k)


def knn_regressor(k: int) -> Evaluator:
    """Make the evaluator that predicts the mean of the k nearest training samples.

    Args:
        k: neighbors.

    Returns:
        The evaluator.
    """

    def predict(
        x: Float[np.ndarray, "N F"], y: Float64[np.ndarray, "N"], queries: Float[np.ndarray, "M F"]
    ) -> Float64[np.ndarray, "M"]:
        return y[nearest(x, queries, k)].mean(axis=1)

    return Evaluator(f"knn{k}", predict, min_samples=k)


def nearest(x: Float[np.ndarray, "N F"], queries: Float[np.ndarray, "M F"], k: int) -> Int64[np.ndarray, "M k"]:
    """Find the k nearest samples of each query.

    Args:
        x: samples.
        queries: queries.
        k: neighbors; all samples, if there are fewer.

    Returns:
        Indices of samples, in any order.
    """
    k, center = min(k, len(x)), x.mean(axis=0, dtype=np.float64)
    x, indices = x - center, np.empty((len(queries), k), np.int64)
    offset = (x**2).sum(axis=1) / 2
    step = max(1, MAX_DISTANCES // len(x))
    for start in range(0, len(queries), step):
        # half of the squared distance, less what depends on the query alone
        distance = offset - (queries[start : start + step] - center) @ x.T
        indices[start : start + step] = np.argpartition(distance, k - 1, axis=1)[:, :k]
    return indices
