"""Detect change without training samples (paper, S6)."""

import numpy as np
from jaxtyping import Float, Float64, Int64

from aef_jax.evaluation.evaluator import Scores
from aef_jax.evaluation.metrics import Estimate, Tested, classification_metrics, confusion_matrix, over_bootstraps

THRESHOLDS = tuple(round(0.1 * step, 1) for step in range(1, 10))


def change_magnitude(before: Float[np.ndarray, "*N D"], after: Float[np.ndarray, "*N D"]) -> Float64[np.ndarray, "*N"]:
    """Compute d = (1 - e . p) / 2 between two vectors of the same place.

    Args:
        before: vectors, of any length above 0.
        after: vectors.

    Returns:
        From 0, the same direction, to 1, the opposite one.
    """
    unit = [each / np.linalg.norm(each, axis=-1, keepdims=True) for each in (before.astype(float), after.astype(float))]
    return (1 - (unit[0] * unit[1]).sum(axis=-1)) / 2


def unsupervised_change(
    before: Float[np.ndarray, "N D"], after: Float[np.ndarray, "N D"], changed: Int64[np.ndarray, "N"], seed: int
) -> Scores:
    """Score the best of the thresholds 0.1 ... 0.9 of the change magnitude.

    The threshold is chosen by the balanced accuracy of the samples that are scored, as in the paper: that is an upper
    bound of what an unseen place has.

    Args:
        before: vectors of the first period.
        after: vectors of the second period.
        changed: 1 where something changed, otherwise 0.
        seed: of the bootstrap.

    Returns:
        The scores of the trial `none`, with the metric `threshold`: magnitudes above it are change.
    """
    magnitude = change_magnitude(before, after)
    guesses = {threshold: (magnitude > threshold).astype(np.int64) for threshold in THRESHOLDS}
    scores = {threshold: _score(changed, guess) for threshold, guess in guesses.items()}
    best = max(THRESHOLDS, key=lambda threshold: scores[threshold]["balanced_accuracy"])
    guess = guesses[best]
    metrics = over_bootstraps([scores[best]], [Tested(_score, changed, guess)], seed)
    metrics["threshold"] = Estimate(best, 0)
    return Scores("magnitude", "none", 1, 0, metrics, confusion_matrix(changed, guess, 2), guess)


def _score(changed: Int64[np.ndarray, "N"], guess: Int64[np.ndarray, "N"]) -> dict[str, float]:
    return classification_metrics(confusion_matrix(changed, guess, 2), 2)
