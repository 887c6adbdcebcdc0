"""A linear probe of frozen embeddings: how much of a map can be read from them (paper, S6)."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float32, Float64, UInt8

RIDGE = 1e-3
"""Next to nothing: least squares that do not fail on features that depend on each other."""


def probe_score(
    features: Sequence[Float32[np.ndarray, "H W D"]], labels: Sequence[UInt8[np.ndarray, "H W"]], seed: int
) -> float:
    """Balanced accuracy, at half of the places, of one-vs-rest least squares on {-1, 1} that saw the other half.

    A place is one of the sequences' elements: pixels of one place never lie on both sides. Classes weigh alike in the
    fit (ours), and those that the seen half lacks are not asked for.
    """
    # imported here: loading it takes seconds, and most runs have no labels
    from sklearn.linear_model import RidgeClassifier
    from sklearn.preprocessing import StandardScaler

    order = np.random.default_rng(seed).permutation(len(features))
    seen, asked = order[: (len(order) + 1) // 2], order[(len(order) + 1) // 2 :]
    x_seen, x_asked = (np.concatenate([_flat(features[i]) for i in half]) for half in (seen, asked))
    y_seen, y_asked = (np.concatenate([labels[i].ravel() for i in half]) for half in (seen, asked))
    known = np.isin(y_asked, y_seen)
    if not known.any() or len(np.unique(y_seen)) < 2:
        return 0.0
    scaler = StandardScaler().fit(x_seen)
    probe = RidgeClassifier(alpha=RIDGE, class_weight="balanced").fit(scaler.transform(x_seen), y_seen)
    guesses = np.asarray(probe.predict(scaler.transform(x_asked[known])))
    right = [np.mean(guesses[y_asked[known] == label] == label) for label in np.unique(y_asked[known])]
    return float(np.mean(right))


def _flat(features: Float32[np.ndarray, "H W D"]) -> Float64[np.ndarray, "n D"]:
    return features.reshape(-1, features.shape[-1]).astype(np.float64)
