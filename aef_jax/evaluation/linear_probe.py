"""Score frozen embeddings with a linear probe: how well a linear classifier predicts a map from them (paper, S6)."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float32, Float64, UInt8

RIDGE = 1e-3
"""Weight of the penalty: just enough for least squares to have a solution if features are linearly dependent."""


def probe_score(
    features: Sequence[Float32[np.ndarray, "H W D"]], labels: Sequence[UInt8[np.ndarray, "H W"]], seed: int
) -> float:
    """Fit a one-vs-rest least-squares classifier on {-1, 1} to half of the sites and score it on the other half.

    Pixels of one site are never in both halves. All classes have the same weight in the fit (our choice). Classes that
    the training half lacks are not scored.

    Args:
        features: of each site.
        labels: the class of each pixel of each site.
        seed: of the division into halves.

    Returns:
        Balanced accuracy; 0 if the training half has fewer than two classes or shares none with the other half.
    """
    # imported here because loading it takes seconds and most runs have no labels
    from sklearn.linear_model import RidgeClassifier
    from sklearn.preprocessing import StandardScaler

    order = np.random.default_rng(seed).permutation(len(features))
    train, test = order[: (len(order) + 1) // 2], order[(len(order) + 1) // 2 :]
    x_train, x_test = (np.concatenate([_flat(features[i]) for i in half]) for half in (train, test))
    y_train, y_test = (np.concatenate([labels[i].ravel() for i in half]) for half in (train, test))
    known = np.isin(y_test, y_train)
    if not known.any() or len(np.unique(y_train)) < 2:
        return 0.0
    scaler = StandardScaler().fit(x_train)
    probe = RidgeClassifier(alpha=RIDGE, class_weight="balanced").fit(scaler.transform(x_train), y_train)
    predicted = np.asarray(probe.predict(scaler.transform(x_test[known])))
    recalls = [np.mean(predicted[y_test[known] == label] == label) for label in np.unique(y_test[known])]
    return float(np.mean(recalls))


def _flat(features: Float32[np.ndarray, "H W D"]) -> Float64[np.ndarray, "n D"]:
    return features.reshape(-1, features.shape[-1]).astype(np.float64)
