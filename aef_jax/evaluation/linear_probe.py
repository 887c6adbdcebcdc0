"""Score frozen embeddings with a linear probe: how well a linear classifier predicts a map from them (paper, S6)."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float32, Integer

RIDGE = 1e-3
"""Weight of the penalty: just enough for least squares to have a solution if features are linearly dependent."""


def probe_score(
    features: Sequence[Float32[np.ndarray, "H W D"]], labels: Sequence[Integer[np.ndarray, "H W"]], seed: int
) -> float:
    """Fit a one-vs-rest least-squares classifier on {-1, 1} to half of the sites and score it on the other half.

    Pixels without a label, or whose features are not all finite, are left out. Pixels of one site are never in both
    halves. All classes have the same weight in the fit (our choice). Classes that the training half lacks are not
    scored.

    Args:
        features: of each site.
        labels: the class of each pixel of each site; below 0 is no label.
        seed: of the division into halves.

    Returns:
        Balanced accuracy; 0 if the training half has fewer than two classes or shares none with the other half.
    """
    # imported here because loading it takes seconds and most runs have no labels
    from sklearn.linear_model import RidgeClassifier
    from sklearn.preprocessing import StandardScaler

    order = np.random.default_rng(seed).permutation(len(features))
    train, test = order[: (len(order) + 1) // 2], order[(len(order) + 1) // 2 :]
    is_usable = [
        np.isfinite(field).all(axis=-1) & (classes >= 0) for field, classes in zip(features, labels, strict=True)
    ]
    x = [field[mask].astype(np.float64) for field, mask in zip(features, is_usable, strict=True)]
    y = [classes[mask] for classes, mask in zip(labels, is_usable, strict=True)]
    x_train, x_test, y_train, y_test = (
        np.concatenate([of[i] for i in half]) for of in (x, y) for half in (train, test)
    )
    known = np.isin(y_test, y_train)
    if not known.any() or len(np.unique(y_train)) < 2:
        return 0.0
    scaler = StandardScaler().fit(x_train)
    probe = RidgeClassifier(alpha=RIDGE, class_weight="balanced").fit(scaler.transform(x_train), y_train)
    predicted = np.asarray(probe.predict(scaler.transform(x_test[known])))
    recalls = [np.mean(predicted[y_test[known] == label] == label) for label in np.unique(y_test[known])]
    return float(np.mean(recalls))
