"""Predict by a linear probe of frozen features (paper, S6)."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, Float32, Float64, Int64, Integer

from aef_jax.evaluation.evaluator import Evaluator
from aef_jax.evaluation.metrics import classification_metrics, confusion_matrix

SMALLEST = 1e-12
"""Share of the largest variance of the features below which a direction counts as constant."""


def linear_classifier() -> Evaluator:
    """Make the evaluator that fits a one-vs-rest least-squares classifier on {-1, 1}.

    Returns:
        The evaluator. All classes have the same weight in the fit (our choice).
    """

    def predict(
        x: Float[np.ndarray, "N F"], y: Int64[np.ndarray, "N"], queries: Float[np.ndarray, "M F"]
    ) -> Int64[np.ndarray, "M"]:
        classes, index, counts = np.unique(y, return_inverse=True, return_counts=True)
        signs = np.where(index[:, None] == np.arange(len(classes)), 1.0, -1.0)
        return classes[least_squares(x, signs, 1 / counts[index], queries).argmax(axis=1)]

    return Evaluator("linear", predict)


def linear_regressor() -> Evaluator:
    """Make the evaluator that fits least squares.

    Returns:
        The evaluator.
    """

    def predict(
        x: Float[np.ndarray, "N F"], y: Float64[np.ndarray, "N"], queries: Float[np.ndarray, "M F"]
    ) -> Float64[np.ndarray, "M"]:
        return least_squares(x, y[:, None], np.ones(len(y)), queries)[:, 0]

    return Evaluator("linear", predict)


def least_squares(
    x: Float[np.ndarray, "N F"],
    y: Float64[np.ndarray, "N K"],
    weight: Float64[np.ndarray, "N"],
    queries: Float[np.ndarray, "M F"],
) -> Float64[np.ndarray, "M K"]:
    """Fit an affine map by least squares, and apply it. It equals scikit-learn's LinearRegression.

    That takes ten times as long for few samples, of which a trial makes thousands of fits, and for many.

    Args:
        x: features.
        y: what they are mapped to.
        weight: of each sample, above 0.
        queries: features to map.

    Returns:
        The predictions. Of several solutions, the one with the smallest norm is taken.
    """
    weight = weight / weight.sum()
    center, mean = weight @ x, weight @ y
    root = np.sqrt(weight)[:, None]
    x, y = (x - center) * root, (y - mean) * root
    # the smaller one of the two Gram matrices
    gram = x.T @ x if len(x) > x.shape[1] else x @ x.T
    inverse = np.linalg.pinv(gram, rcond=SMALLEST, hermitian=True)
    coefficients = inverse @ (x.T @ y) if len(x) > x.shape[1] else x.T @ (inverse @ y)
    return (queries - center) @ coefficients + mean


def probe_score(
    features: Sequence[Float32[np.ndarray, "H W D"]], labels: Sequence[Integer[np.ndarray, "H W"]], seed: int
) -> float:
    """Fit a linear classifier to half of the sites and score it on the other half.

    Pixels without a label, or whose features are not all finite, are left out. Pixels of one site are never in both
    halves. Classes that the training half lacks are not scored.

    Args:
        features: of each site.
        labels: the class of each pixel of each site; below 0 is no label.
        seed: of the division into halves.

    Returns:
        Balanced accuracy; 0 if the training half has fewer than two classes or shares none with the other half.
    """
    order = np.random.default_rng(seed).permutation(len(features))
    is_training = np.isin(np.arange(len(features)), order[: (len(order) + 1) // 2])
    usable = [np.isfinite(field).all(axis=-1) & (classes >= 0) for field, classes in zip(features, labels, strict=True)]
    x = np.concatenate([field[mask] for field, mask in zip(features, usable, strict=True)])
    y = np.concatenate([classes[mask] for classes, mask in zip(labels, usable, strict=True)])
    trains = np.repeat(is_training, [int(mask.sum()) for mask in usable])
    classes, target = np.unique(y, return_inverse=True)
    is_known = ~trains & np.isin(target, target[trains])
    num_trained = len(np.unique(target[trains]))
    if num_trained < 2 or not is_known.any():
        return 0.0
    predicted = linear_classifier().predict(x[trains], target[trains], x[is_known])
    confusion = confusion_matrix(target[is_known], predicted, len(classes))
    return classification_metrics(confusion, num_trained)["balanced_accuracy"]
